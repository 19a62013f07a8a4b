"""Command line: a contact sheet of training frames (colour, depth, labels) as a small PNG.

``python -m lsm_core.data.contact_sheet SHARD_FOLDER OUT.png``
"""

from __future__ import annotations

import argparse
import colorsys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lsm_core.data.classes import CLASSES
from lsm_core.data.shards import FrameShard, list_shards, load_shard
from lsm_core.errors import FileFormatError
from lsm_core.io.atomic import atomic_path

TILE = (180, 135)
ROWS, GROUPS = 5, 2  # groups of colour, depth, label per row
FAR_M = 5.0


def class_colours() -> np.ndarray:
    """Return a fixed colour per class [C, 3] uint8; void is black."""
    hues = [colorsys.hsv_to_rgb((k * 0.381966) % 1.0, 0.45 + 0.4 * (k % 2), 0.95) for k in range(len(CLASSES))]
    colours = (np.array(hues) * 255).astype(np.uint8)
    colours[0] = 0
    return colours


def frame_tiles(shard: FrameShard, index: int) -> np.ndarray:
    """Return colour, depth (near is bright, none is black) and label of a frame side by side."""
    depth = shard.depth[index].astype(np.float32)
    near = np.where(depth > 0, 255 * (1.0 - np.clip(depth / FAR_M, 0, 1) * 0.9), 0).astype(np.uint8)
    coloured = np.asarray(cv2.applyColorMap(near, cv2.COLORMAP_VIRIDIS))[..., ::-1] * (depth > 0)[..., None]
    parts = [
        cv2.resize(shard.rgb[index], TILE, interpolation=cv2.INTER_AREA),
        cv2.resize(coloured.astype(np.uint8), TILE, interpolation=cv2.INTER_NEAREST),
        cv2.resize(class_colours()[shard.label[index]], TILE, interpolation=cv2.INTER_NEAREST),
    ]
    return np.hstack([np.asarray(p) for p in parts])


def contact_sheet(folder: Path) -> np.ndarray:
    """Compose a sheet [H, W, 3] uint8 from frames of different rooms, spread over the folder.

    Raises:
        FileFormatError: the folder has no shards.
    """
    paths = list_shards(folder)
    if not paths:
        raise FileFormatError(f"No shards in {folder}.", "run python -m lsm_core.data.generate first.")
    count = ROWS * GROUPS
    tiles = []
    for k in range(count):
        shard = load_shard(paths[k * len(paths) // count])
        rooms = np.unique(shard.room)
        frames = np.flatnonzero(shard.room == rooms[(k * 7) % len(rooms)])
        tiles.append(frame_tiles(shard, int(frames[len(frames) // 2])))
    return np.vstack([np.hstack(tiles[r * GROUPS : (r + 1) * GROUPS]) for r in range(ROWS)])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(arguments)
    image = Image.fromarray(contact_sheet(args.folder)).quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    with atomic_path(args.out) as temporary:
        image.save(temporary, optimize=True)
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
