"""Generated rooms of boxes as training shards, for a first run of `lsm train tiny` on a machine without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lsm_core.data.box_rooms import BoxRoom, box_rooms
from lsm_core.data.overlap import pair_overlap
from lsm_core.data.shards import FrameShard, save_shard

FRAMES, HEIGHT, WIDTH = 6, 96, 128
MIN_OVERLAP = 0.1


def write_box_shard(folder: Path, rooms: int, seed: int) -> Path:
    """Write rooms as ``shard_00000.npz`` unless the file is there already; return its path.

    Args:
        folder: made where missing.
        rooms: how many, of six frames each.
        seed: of the rooms; another split takes another seed.
    """
    path = folder / "shard_00000.npz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    save_shard(box_shard(box_rooms(rooms, seed, FRAMES, HEIGHT, WIDTH)), path)
    return path


def box_shard(rooms: list[BoxRoom]) -> FrameShard:
    """Render all frames of rooms; pairs are those of one room that overlap."""
    frames = [room.view(k) for room in rooms for k in range(len(room))]
    depth = np.stack([f.depth for f in frames if f.depth is not None])
    K = np.stack([f.K for f in frames])
    T_world_cam = np.stack([f.T_world_cam for f in frames])
    pairs, overlap = [], []
    begin = 0
    for room in rooms:
        for i in range(begin, begin + len(room)):
            for j in range(i + 1, begin + len(room)):
                share = pair_overlap(depth, K, T_world_cam, i, j)
                if share >= MIN_OVERLAP:
                    pairs.append((i, j))
                    overlap.append(share)
        begin += len(room)
    return FrameShard(
        rgb=np.stack([f.image for f in frames]),
        depth=depth.astype(np.float16),
        label=np.stack([f.label for f in frames if f.label is not None]).astype(np.uint8),
        K=K,
        T_world_cam=T_world_cam.astype(np.float32),
        room=np.repeat(np.arange(len(rooms), dtype=np.int32), [len(room) for room in rooms]),
        pairs=np.array(pairs, np.int32).reshape(-1, 2),
        overlap=np.array(overlap, np.float32),
    )
