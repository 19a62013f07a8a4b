"""Real spherical harmonics of any degree, in the order and sign of 3D Gaussian Splatting; see `lsm_core.sh`."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def real_harmonics(directions: Tensor, degree: int) -> Tensor:
    """Evaluate the orthonormal basis: z is the polar axis, orders m = -l .. l, with the sign (-1)^m.

    Args:
        directions: [..., 3] unit vectors.
        degree: highest degree l, >= 0.

    Returns:
        [..., (degree + 1)^2], by degree, then order.
    """
    x, y, z = directions.unbind(-1)
    # sin(theta)^m times cos(m phi) and sin(m phi), as the real and imaginary part of (x + iy)^m
    cosines, sines = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(degree):
        c, s = cosines[-1], sines[-1]
        cosines.append(x * c - y * s)
        sines.append(x * s + y * c)
    values: dict[tuple[int, int], Tensor] = {}
    for m in range(degree + 1):
        for level, legendre in enumerate(_legendre(z, m, degree), m):
            scale = _norm(level, m) * (-1) ** m
            values[level, m] = scale * legendre * cosines[m]
            if m:
                values[level, -m] = scale * legendre * sines[m]
    return torch.stack([values[level, m] for level in range(degree + 1) for m in range(-level, level + 1)], -1)


def _legendre(z: Tensor, m: int, degree: int) -> list[Tensor]:
    """Return the associated Legendre functions P_l^m(z) / (1 - z^2)^(m/2) for l = m .. degree, without sign."""
    found = [torch.full_like(z, float(math.prod(range(1, 2 * m, 2))))]
    if degree > m:
        found.append((2 * m + 1) * z * found[0])
    for level in range(m + 2, degree + 1):
        found.append(((2 * level - 1) * z * found[-1] - (level + m - 1) * found[-2]) / (level - m))
    return found


def _norm(level: int, m: int) -> float:
    """Return what makes a function orthonormal on the sphere."""
    shrink = math.factorial(level - m) / math.factorial(level + m)
    return math.sqrt((2 * level + 1) / (4 * math.pi) * shrink * (2 if m else 1))
