"""Real spherical harmonics of degree 0 to 3 in the order and sign of the 3D Gaussian Splatting file format.

Colour of a Gaussian seen along unit direction d: `rgb = 0.5 + sum_k Y_k(d) sh_k`, clamped at 0 from below.
The constants are the usual orthonormal real harmonics with the Condon-Shortley sign (Kerbl et al. 2023, eq. 1
and the `f_dc`/`f_rest` order of its PLY files).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

C0 = 0.5 / math.sqrt(math.pi)
C1 = math.sqrt(3.0 / (4.0 * math.pi))
MAX_DEGREE = 3


def sh_degree(n_coefficients: int) -> int:
    """Return the degree of a coefficient count 1, 4, 9 or 16; ValueError otherwise."""
    degree = math.isqrt(n_coefficients) - 1
    if (degree + 1) ** 2 != n_coefficients or not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"{n_coefficients} SH coefficients are not (degree + 1)^2 for a degree of 0 to 3")
    return degree


def drawable(n_coefficients: int) -> int:
    """Return how many of the first coefficients make up whole degrees that are drawn: 1, 4, 9 or 16."""
    return (min(math.isqrt(n_coefficients) - 1, MAX_DEGREE) + 1) ** 2


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """Evaluate the basis.

    Args:
        directions: [..., 3] unit vectors.
        degree: 0 to 3.

    Returns:
        [..., (degree + 1)^2] values, same dtype.
    """
    x, y, z = directions.unbind(-1)
    terms = [torch.full_like(x, C0)]
    if degree >= 1:
        terms += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        a = 0.5 * math.sqrt(15.0 / math.pi)
        b = 0.25 * math.sqrt(5.0 / math.pi)
        terms += [a * x * y, -a * y * z, b * (2 * z * z - x * x - y * y), -a * x * z, 0.5 * a * (x * x - y * y)]
    if degree >= 3:
        c = 0.25 * math.sqrt(35.0 / (2.0 * math.pi))
        d = 0.5 * math.sqrt(105.0 / math.pi)
        e = 0.25 * math.sqrt(21.0 / (2.0 * math.pi))
        f = 0.25 * math.sqrt(7.0 / math.pi)
        terms += [
            -c * y * (3 * x * x - y * y),
            d * x * y * z,
            -e * y * (4 * z * z - x * x - y * y),
            f * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -e * x * (4 * z * z - x * x - y * y),
            0.5 * d * z * (x * x - y * y),
            -c * x * (x * x - 3 * y * y),
        ]
    return torch.stack(terms, -1)


@lru_cache(maxsize=1)
def _sample_directions() -> Tensor:
    """Return 64 well-spread unit directions (Fibonacci sphere), float64 [64, 3]."""
    i = torch.arange(64, dtype=torch.float64) + 0.5
    z = 1 - 2 * i / 64
    phi = i * math.pi * (1 + math.sqrt(5.0))
    r = torch.sqrt(1 - z * z)
    return torch.stack([r * torch.cos(phi), r * torch.sin(phi), z], -1)


def rotate_sh(sh: Tensor, rotation: Tensor) -> Tensor:
    """Rotate coefficients so that the colour seen along R d equals the old colour along d.

    Each degree's block is closed under rotation; its matrix follows from least squares on 64 directions,
    which is exact up to rounding since the harmonics of one degree span their own rotations.

    Args:
        sh: [N, K, 3] coefficients, K = (degree + 1)^2.
        rotation: [3, 3] proper rotation.

    Returns:
        [N, K, 3], dtype and device of `sh`.
    """
    degree = sh_degree(sh.shape[1])
    if degree == 0:
        return sh
    directions = _sample_directions()
    R = rotation.detach().to("cpu", torch.float64)
    old = sh_basis(directions @ R, degree)  # rows: Y(R^T d)
    new = sh_basis(directions, degree)
    blocks = [sh[:, :1]]
    for level in range(1, degree + 1):
        part = slice(level * level, (level + 1) ** 2)
        D = torch.linalg.lstsq(new[:, part], old[:, part]).solution.to(sh)
        blocks.append(torch.einsum("ij,njc->nic", D, sh[:, part]))
    return torch.cat(blocks, 1)
