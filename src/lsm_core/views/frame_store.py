"""Frames of a film while it is made: whole files only, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from lsm_core.io import atomic_path, read_image, write_text
from lsm_core.io.colormaps import RgbImage
from lsm_core.types import Camera, Gaussians

_PREFIX = ".frames-"


class FrameStore:
    """A hidden folder `.frames-KEY` in the output folder, one PNG per frame and picture.

    Args:
        output: the output folder; frames of runs with other settings that lie there are removed.
        key: stands for everything that the frames depend on.
    """

    def __init__(self, output: Path, key: str) -> None:
        self.folder = output / f"{_PREFIX}{key}"
        for old in output.glob(f"{_PREFIX}*"):
            if old != self.folder and old.is_dir():
                shutil.rmtree(old, ignore_errors=True)

    def names(self, index: int) -> list[str] | None:
        """Return the names of a finished frame's pictures, None if it is not finished."""
        record = self.folder / f"{index:05d}.json"
        if not record.is_file():
            return None
        names = json.loads(record.read_text(encoding="utf-8"))
        return names if all(self.file(name, index).is_file() for name in names) else None

    def save(self, index: int, pictures: Mapping[str, RgbImage]) -> None:
        """Keep a frame; it counts as finished once all its pictures are written."""
        for name, picture in pictures.items():
            with atomic_path(self.file(name, index)) as temporary:
                if not cv2.imwrite(str(temporary), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1]):
                    raise OSError("the picture was not written")
        write_text(self.folder / f"{index:05d}.json", json.dumps(list(pictures)))

    def file(self, name: str, index: int) -> Path:
        """Return where a picture is."""
        return self.folder / name / f"{index:05d}.png"

    def load(self, name: str, index: int) -> RgbImage:
        """Read a picture, [H, W, 3] uint8."""
        return read_image(self.file(name, index))

    def remove(self) -> None:
        """Delete all frames."""
        shutil.rmtree(self.folder, ignore_errors=True)


def film_key(gaussians: Gaussians, cameras: list[Camera], settings: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that differ where anything differs that a film's frames depend on."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    tensors = [gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh]
    tensors += [] if gaussians.features is None else [gaussians.features]
    tensors += [torch.stack([c.T_scene_cam for c in cameras]), torch.stack([c.K for c in cameras])]
    for tensor in tensors:
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    digest.update(repr([(c.width, c.height, c.near) for c in cameras]).encode())
    return digest.hexdigest()[:16]
