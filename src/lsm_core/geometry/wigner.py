"""Rotation of real spherical harmonics of any degree: the blocks of the Wigner D matrix.

Recursion of Ivanic and Ruedenberg (J. Phys. Chem. 1996, 100, 6342, with the 1998 correction): the block of degree l
follows from the rotation matrix and the block of degree l - 1. The basis has orders m = -l .. l, no
Condon-Shortley sign, and its degree 1 functions are proportional to the rotation's own axes in the order given, so
with R in (x, y, z) order the polar axis is y (the convention of e3nn, which pixelSplat uses).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def wigner_blocks(R: Tensor, degree: int) -> list[Tensor]:
    """Return D_0 .. D_degree with Y_l(R d) = D_l Y_l(d).

    Args:
        R: [..., 3, 3] rotations.
        degree: highest degree, >= 0.

    Returns:
        Per degree l a tensor [..., 2l + 1, 2l + 1], dtype and device of R.
    """
    blocks = [torch.ones(*R.shape[:-2], 1, 1, dtype=R.dtype, device=R.device)]
    if degree >= 1:
        blocks.append(R)
    for level in range(2, degree + 1):
        rows = [
            torch.stack([_element(R, blocks[-1], level, m, n) for n in range(-level, level + 1)], -1)
            for m in range(-level, level + 1)
        ]
        blocks.append(torch.stack(rows, -2))
    return blocks


def rotate_coefficients(coefficients: Tensor, R: Tensor) -> Tensor:
    """Rotate coefficients [..., (L + 1)^2] of this basis by R [..., 3, 3], block by block."""
    degree = math.isqrt(coefficients.shape[-1]) - 1
    parts = []
    for level, D in enumerate(wigner_blocks(R, degree)):
        part = coefficients[..., level * level : (level + 1) ** 2]
        parts.append((D @ part[..., None])[..., 0])
    return torch.cat(parts, -1)


def _element(R: Tensor, previous: Tensor, level: int, m: int, n: int) -> Tensor:
    """Return D_level[m, n] [...] = u U + v V + w W (table 1 of the paper)."""
    delta = 1 if m == 0 else 0
    a = abs(m)
    denominator = (level + n) * (level - n) if abs(n) < level else 2 * level * (2 * level - 1)
    u = math.sqrt((level + m) * (level - m) / denominator)
    v = 0.5 * math.sqrt((1 + delta) * (level + a - 1) * (level + a) / denominator) * (1 - 2 * delta)
    w = -0.5 * math.sqrt((level - a - 1) * (level - a) / denominator) * (1 - delta)
    out = torch.zeros_like(R[..., 0, 0])
    if u:
        out = out + u * _product(R, previous, level, 0, m, n)
    if v:
        out = out + v * _v_term(R, previous, level, m, n)
    if w:
        out = out + w * _w_term(R, previous, level, m, n)
    return out


def _product(R: Tensor, previous: Tensor, level: int, i: int, mu: int, n: int) -> Tensor:
    """Return the function P of the paper: row i of R times row mu of the block of degree level - 1."""
    row, shift = i + 1, level - 1
    first, middle, last = R[..., row, 0], R[..., row, 1], R[..., row, 2]
    if n == -level:
        return last * previous[..., mu + shift, 0] + first * previous[..., mu + shift, 2 * shift]
    if n == level:
        return last * previous[..., mu + shift, 2 * shift] - first * previous[..., mu + shift, 0]
    return middle * previous[..., mu + shift, n + shift]


def _v_term(R: Tensor, previous: Tensor, level: int, m: int, n: int) -> Tensor:
    """Return the function V of the paper."""
    if m == 0:
        return _product(R, previous, level, 1, 1, n) + _product(R, previous, level, -1, -1, n)
    if m > 0:
        first = _product(R, previous, level, 1, m - 1, n) * math.sqrt(2 if m == 1 else 1)
        return first if m == 1 else first - _product(R, previous, level, -1, -m + 1, n)
    last = _product(R, previous, level, -1, -m - 1, n) * math.sqrt(2 if m == -1 else 1)
    return last if m == -1 else _product(R, previous, level, 1, m + 1, n) + last


def _w_term(R: Tensor, previous: Tensor, level: int, m: int, n: int) -> Tensor:
    """Return the function W of the paper; only asked for m != 0."""
    if m > 0:
        return _product(R, previous, level, 1, m + 1, n) + _product(R, previous, level, -1, -m - 1, n)
    return _product(R, previous, level, 1, m - 1, n) - _product(R, previous, level, -1, -m + 1, n)
