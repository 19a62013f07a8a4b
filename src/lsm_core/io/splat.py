"""The .splat format of web viewers: 32 bytes per Gaussian, no view dependence.

Per Gaussian: position 3 x float32, scale 3 x float32, colour and opacity 4 x uint8, rotation wxyz 4 x uint8
(128 + 128 q). Larger and more opaque ones come first, as viewers that load progressively expect.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lsm_core.errors import FileFormatError
from lsm_core.io.atomic import atomic_path
from lsm_core.io.file_bytes import file_bytes
from lsm_core.io.finite_gaussians import finite_gaussians
from lsm_core.sh import C0
from lsm_core.types import Gaussians

_RECORD = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])


def write_splat(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians; colour is the constant SH term, features are lost."""
    scene = finite_gaussians(gaussians)
    weight = scene.opacities * scene.scales.prod(-1)
    kept = scene.select(torch.argsort(weight, descending=True, stable=True))
    records = np.empty(len(kept), _RECORD)
    records["position"], records["scale"] = kept.means.detach().cpu().numpy(), kept.scales.detach().cpu().numpy()
    rgba = torch.cat([kept.rgb, kept.opacities[:, None].clamp(0, 1)], 1)
    records["rgba"] = (255 * rgba.detach().cpu().numpy()).round().astype(np.uint8)
    unit = torch.nn.functional.normalize(kept.quats, dim=-1).detach().cpu().numpy()
    records["rotation"] = np.clip(np.rint(128 + 128 * unit), 0, 255).astype(np.uint8)
    with atomic_path(path) as temporary:
        temporary.write_bytes(records.tobytes())


def read_splat(path: str | Path) -> Gaussians:
    """Read a .splat file.

    Raises:
        FileFormatError: missing, or not a whole number of records.
    """
    data = file_bytes(path)
    if not data or len(data) % _RECORD.itemsize:
        raise FileFormatError(f"'{path}' is no .splat file.", "It must hold 32 bytes per Gaussian.")
    records = np.frombuffer(data, _RECORD)
    rgba = torch.from_numpy(records["rgba"].astype(np.float32) / 255)
    rotation = torch.from_numpy((records["rotation"].astype(np.float32) - 128) / 128)
    return Gaussians(
        torch.from_numpy(records["position"].copy()),
        torch.nn.functional.normalize(rotation, dim=-1),
        torch.from_numpy(records["scale"].copy()),
        rgba[:, 3],
        ((rgba[:, :3] - 0.5) / C0)[:, None],
    )
