"""pixelSplat's harmonics, and how its colours become those of the 3D Gaussian Splatting files.

Its rasterizer evaluates the standard basis of `lsm_core.sh` at the permuted direction (z, x, y). Its network turns
coefficients with the blocks of `lsm_core.geometry.wigner`, whose basis differs from that one by signs, so the
rotation of the release is not exact; it was trained with it, and it is kept. Source: specification of pixelSplat,
section 6.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.geometry.wigner import wigner_blocks
from lsm_core.sh import MAX_DEGREE, rotate_sh, sh_basis

DROP_PER_DEGREE = 0.25
FIRST_DEGREE = 0.1


def permuted_directions(directions: Tensor) -> Tensor:
    """Return (z, x, y) of directions [..., 3] (x, y, z)."""
    return directions[..., [2, 0, 1]]


def permuted_basis(directions: Tensor, degree: int) -> Tensor:
    """Evaluate pixelSplat's basis at unit directions [..., 3]: [..., (degree + 1)^2], degree 0 to 3."""
    return sh_basis(permuted_directions(directions), degree)


def standard_from_permuted(degree: int = MAX_DEGREE) -> Tensor:
    """Return M [K, K] float64: standard coefficients are M times these, `permuted_basis(d) = sh_basis(d) M`."""
    permutation = permuted_directions(torch.eye(3, dtype=torch.float64)).T  # maps (x, y, z) to (z, x, y)
    unit = torch.eye((degree + 1) ** 2, dtype=torch.float64)[..., None]  # [K, K, 1]: every coefficient alone
    return rotate_sh(unit, permutation.T)[..., 0].T.contiguous()


def degree_mask(degree: int) -> Tensor:
    """Return what the release scales coefficients with, [(degree + 1)^2]: 1, then 0.1 * 0.25^l."""
    levels = [1.0] + [FIRST_DEGREE * DROP_PER_DEGREE**level for level in range(1, degree + 1)]
    return torch.cat([torch.full((2 * level + 1,), value) for level, value in enumerate(levels)])


def standard_coefficients(T_world_cam: Tensor, degree: int = MAX_DEGREE) -> Tensor:
    """Return the matrices from a camera's raw coefficients to standard ones in the world.

    Mask, the release's rotation and the change of basis in one: [..., K, K], dtype and device of the pose.

    Args:
        T_world_cam: [..., 4, 4].
        degree: 0 to 3; coefficients of higher degree never reach an image.
    """
    blocks = wigner_blocks(T_world_cam[..., :3, :3].double(), degree)
    to_standard = standard_from_permuted(degree).to(T_world_cam.device)
    rotation = torch.zeros(*T_world_cam.shape[:-2], len(to_standard), len(to_standard)).to(to_standard)
    for level, block in enumerate(blocks):
        part = slice(level * level, (level + 1) ** 2)
        rotation[..., part, part] = block
    return (to_standard @ rotation * degree_mask(degree).to(to_standard)).to(T_world_cam)
