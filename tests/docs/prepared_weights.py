"""Small checkpoints in the official formats that know the pictures of the documents, and the graphs of lsm-tiny."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from fitted_checkpoints import KnownView, write_fitted_checkpoints
from fitted_noposplat import write_fitted
from fitted_splatt3r import write_fitted_splatt3r
from sample_pictures import stored_pictures

from lsm_core.backends.seeded_pixelsplat import write_pixelsplat
from lsm_core.cli.main import main

NOPOSPLAT = (
    "re10k.ckpt",
    "weights/noposplat/re10k.ckpt",
    "weights/noposplat/re10k_3views.ckpt",
    "runs/re10k/noposplat.ckpt",
    "FILE",
)
CLASSES = ("table", "chair", "door")


def write_weights(folder: Path) -> None:
    """Write them under the names of the documents; the pictures are there."""
    weights = folder / "weights"
    for name in ("lsm", "noposplat", "pixelsplat", "splatt3r"):
        (weights / name).mkdir(parents=True)
    views = known_views(folder)
    write_fitted_checkpoints(weights / "lsm", views, CLASSES)
    shutil.copytree(weights / "lsm", weights / "lseg", copy_function=os.link)
    write_fitted_splatt3r(weights / "splatt3r" / "epoch=19-step=1200.ckpt", views, 0.01)
    write_fitted(folder / NOPOSPLAT[0], views)
    (folder / "runs" / "re10k").mkdir(parents=True)
    for name in NOPOSPLAT[1:]:
        os.link(folder / NOPOSPLAT[0], folder / name)
    write_pixelsplat(weights / "pixelsplat" / "re10k.ckpt")
    assert main(["weights", "onnx", str(weights / "onnx")]) == 0


def known_views(folder: Path) -> list[KnownView]:
    """Return the pictures with a made-up depth and made-up classes: waves, and thirds of the picture."""
    pictures = stored_pictures(folder)
    height, width = pictures[0].image.shape[:2]
    y, x = np.mgrid[:height, :width]
    depth = (2.0 + 0.5 * np.sin(x / 60) + 0.3 * np.cos(y / 50)).astype(np.float32)
    label = (3 * x // width).astype(np.int32)
    return [KnownView(p.image, depth, label, p.T_world_cam, p.K) for p in pictures]
