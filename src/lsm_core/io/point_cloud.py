"""Coloured point clouds as PLY files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.io.ply import columns, read_ply, write_ply


@dataclass(frozen=True)
class PointCloud:
    """Points of one frame.

    Attributes:
        points: [N, 3] float32, scene units.
        rgb: [N, 3] uint8.
        confidence: [N] float32 > 0, or None.
        label: [N] int32, index into `names`, -1 = none; or None.
        names: what the labels mean.
    """

    points: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None = None
    label: NDArray[np.int32] | None = None
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.points)
        sizes = [len(a) for a in (self.rgb, self.confidence, self.label) if a is not None]
        if self.points.shape != (n, 3) or self.rgb.shape != (n, 3) or any(size != n for size in sizes):
            raise InputError("A point cloud needs points [N,3], rgb [N,3] and N of everything else.")

    def __len__(self) -> int:
        return len(self.points)


def write_point_cloud(path: str | Path, cloud: PointCloud) -> None:
    """Write a cloud as binary PLY: x y z red green blue, and confidence and label where present."""
    layout: list[tuple[str, str]] = [(axis, "<f4") for axis in "xyz"]
    layout += [(channel, "u1") for channel in ("red", "green", "blue")]
    layout += [("confidence", "<f4")] if cloud.confidence is not None else []
    layout += [("label", "<i4")] if cloud.label is not None else []
    vertices = np.empty(len(cloud), dtype=layout)
    for i, axis in enumerate("xyz"):
        vertices[axis] = cloud.points[:, i]
    for i, channel in enumerate(("red", "green", "blue")):
        vertices[channel] = cloud.rgb[:, i]
    if cloud.confidence is not None:
        vertices["confidence"] = cloud.confidence
    if cloud.label is not None:
        vertices["label"] = cloud.label
    write_ply(path, vertices, [f"label {i} {name}" for i, name in enumerate(cloud.names)])


def read_point_cloud(path: str | Path) -> PointCloud:
    """Read a cloud; colour is grey where the file has none.

    Raises:
        FileFormatError: not a PLY file, damaged, or without x y z.
    """
    file = read_ply(path)
    vertices, comments = file.vertices, file.comments
    fields = vertices.dtype.names or ()
    points = columns(vertices, ("x", "y", "z"), path)
    has_colour = {"red", "green", "blue"} <= set(fields)
    grey = np.full((len(points), 3), 128, np.uint8)
    labels = [c.split(" ", 2) for c in comments if c.startswith("label ")]
    return PointCloud(
        points,
        columns(vertices, ("red", "green", "blue"), path).astype(np.uint8) if has_colour else grey,
        vertices["confidence"].astype(np.float32) if "confidence" in fields else None,
        vertices["label"].astype(np.int32) if "label" in fields else None,
        tuple(parts[2] for parts in labels if len(parts) == 3),
    )
