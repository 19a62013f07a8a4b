"""Families `sh_basis`, `sh_rotation`: spherical harmonics as colours, and their rotation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lsm_core.geometry.permuted_harmonics import permuted_basis, standard_from_permuted
from lsm_core.geometry.wigner import rotate_coefficients, wigner_blocks
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.sh import MAX_DEGREE, sh_basis


def answer_basis(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Evaluate colours in the standard basis and in pixelSplat's, and the matrices between the two."""
    directions, sh = inputs["in.directions"], inputs["in.sh"]
    used = (MAX_DEGREE + 1) ** 2

    def colour(basis: Tensor) -> Tensor:
        return (torch.einsum("nk,nck->nc", basis, sh[..., :used]) + 0.5).clamp(min=0)

    out = {
        "out.colour_standard_3dgs": colour(sh_basis(directions, MAX_DEGREE)),
        "out.colour_pixelsplat_rasterizer": colour(permuted_basis(directions, MAX_DEGREE)),
    }
    converted = standard_from_permuted().to(sh)
    for level in range(1, MAX_DEGREE + 1):
        block = slice(level * level, (level + 1) ** 2)
        out[f"out.M_{level}"] = converted[block, block]
    return out


def answer_rotation(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Evaluate the Wigner blocks and rotate the coefficients with them."""
    R, sh = inputs["in.rotation"], inputs["in.sh"]
    degrees = fixture.spec["hyper_parameters"]["degrees"]
    blocks = wigner_blocks(R, max(degrees))
    return {f"out.wigner_{level}": blocks[level] for level in degrees} | {"out.rotated": rotate_coefficients(sh, R)}


FAMILIES = (Family("sh_basis", answer_basis), Family("sh_rotation", answer_rotation))
