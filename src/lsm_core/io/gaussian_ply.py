"""Gaussians as PLY files in the layout of 3D Gaussian Splatting, which most splat viewers read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError
from lsm_core.io.ply import columns, read_ply, write_ply
from lsm_core.types import Gaussians


def write_gaussians(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as splat viewers read them.

    x y z, normals (zero), f_dc_*, f_rest_* (channel-major), opacity as logit, scale_* as logarithm, rot_* wxyz,
    then language features as semantic_* where present.
    """
    n, k = gaussians.sh.shape[:2]
    sh = gaussians.sh.detach().cpu().numpy()
    opacity = gaussians.opacities.detach().cpu().double().clamp(1e-6, 1 - 1e-6).numpy()
    blocks: list[tuple[str, NDArray[Any]]] = [
        ("xyz", gaussians.means.detach().cpu().numpy()),
        ("normal", np.zeros((n, 3), np.float32)),
        ("f_dc", sh[:, 0]),
        ("f_rest", sh[:, 1:].transpose(0, 2, 1).reshape(n, 3 * (k - 1))),
        ("opacity", np.log(opacity / (1 - opacity))[:, None]),
        ("scale", torch.log(gaussians.scales.detach().cpu().clamp(min=1e-12)).numpy()),
        ("rot", gaussians.quats.detach().cpu().numpy()),
    ]
    if gaussians.features is not None:
        blocks.append(("semantic", gaussians.features.detach().cpu().numpy()))
    names = {"xyz": ["x", "y", "z"], "normal": ["nx", "ny", "nz"], "opacity": ["opacity"]}
    order = [
        name for block, data in blocks for name in names.get(block, [f"{block}_{i}" for i in range(data.shape[1])])
    ]
    vertices = np.empty(n, dtype=[(name, "<f4") for name in order])
    for name, values in zip(order, np.concatenate([data for _, data in blocks], 1).T, strict=True):
        vertices[name] = values
    write_ply(path, vertices)


def read_gaussians(path: str | Path) -> Gaussians:
    """Read Gaussians in the layout of `write_gaussians`.

    Raises:
        FileFormatError: not a PLY file, damaged, or not one of Gaussians.
    """
    vertices = read_ply(path).vertices
    fields = vertices.dtype.names or ()
    rest = [f"f_rest_{i}" for i in range(sum(name.startswith("f_rest_") for name in fields))]
    semantic = [f"semantic_{i}" for i in range(sum(name.startswith("semantic_") for name in fields))]
    if len(rest) not in (0, 9, 24, 45):
        raise FileFormatError(f"'{path}' has {len(rest)} f_rest fields, which is no SH degree.", "Export it again.")
    dc = columns(vertices, ("f_dc_0", "f_dc_1", "f_dc_2"), path)
    n = len(vertices)
    higher = (
        columns(vertices, rest, path).reshape(n, 3, len(rest) // 3).transpose(0, 2, 1)
        if rest
        else np.empty((n, 0, 3))
    )
    quats = torch.from_numpy(columns(vertices, ("rot_0", "rot_1", "rot_2", "rot_3"), path))
    return Gaussians(
        means=torch.from_numpy(columns(vertices, ("x", "y", "z"), path)),
        quats=torch.nn.functional.normalize(quats, dim=-1),
        scales=torch.exp(torch.from_numpy(columns(vertices, ("scale_0", "scale_1", "scale_2"), path))),
        opacities=torch.sigmoid(torch.from_numpy(columns(vertices, ("opacity",), path)[:, 0])),
        sh=torch.from_numpy(np.concatenate([dc[:, None], higher.astype(np.float32)], 1)),
        features=torch.from_numpy(columns(vertices, semantic, path)) if semantic else None,
    )
