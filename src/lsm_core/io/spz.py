"""SPZ, the compressed splats of Niantic's Scaniverse: about a tenth of a PLY file.

One block per attribute (positions, opacities, colours, scales, rotations, higher SH), in a container that
`lsm_core.io.spz_container` knows. Version 3 is written, which most viewers read. Values are quantised: the steps
are in docs/formats.md. The frame is x right, y up, z backward, so scenes are turned half around x both ways.

Source: the format's description in the README of github.com/nianticlabs/spz (MIT).
"""

from __future__ import annotations

import logging
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.io.atomic import atomic_path
from lsm_core.io.file_bytes import file_bytes
from lsm_core.io.finite_gaussians import finite_gaussians
from lsm_core.io.spz_container import SpzBlocks, pack_gzip, unpack
from lsm_core.io.y_up import turn_half_around_x
from lsm_core.types import Gaussians

logger = logging.getLogger(__name__)

_LARGEST = (1 << 23) - 1  # of a signed 24-bit integer
_USUAL_FRACTION_BITS = 12
_STEPS_TO_MIDDLE = 14  # bits: a step is at most 2^-14 of the scene's median distance
_DC_STEPS = 0.15 * 255  # bytes per unit of the constant SH term
_QUAT_STEPS = 511 * math.sqrt(2.0)  # 9 bits for components of at most sqrt(1/2)


def write_spz(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as SPZ version 3; language features are lost.

    Raises:
        InputError: a position is too far out for 24 bits, or the file cannot be written.
    """
    data = encode_spz(gaussians)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def read_spz(path: str | Path) -> Gaussians:
    """Read an SPZ file of version 2, 3 or 4.

    Raises:
        FileFormatError: missing, not SPZ, of another version, or damaged.
    """
    return decode_spz(file_bytes(path), str(path))


def encode_spz(gaussians: Gaussians) -> bytes:
    """Return the bytes of an SPZ file; see `write_spz`."""
    scene = turn_half_around_x(finite_gaussians(gaussians))
    means = scene.means.detach().cpu().double().numpy()
    bits = _fraction_bits(means)
    dc = scene.sh[:, 0].detach().cpu().double().numpy()
    higher = scene.sh[:, 1:].detach().cpu().double().numpy()
    blocks = [
        _pack_positions(means, bits),
        _bytes(255 * scene.opacities.detach().cpu().double().numpy()),
        _bytes(dc * _DC_STEPS + 127.5),
        _bytes(16 * (np.log(scene.scales.detach().cpu().double().numpy()) + 10)),
        _pack_rotations(scene.quats.detach().cpu().double().numpy()),
        _bytes(higher * 128 + 128),
    ]
    return pack_gzip(SpzBlocks(len(scene), scene.degree, bits, 4, b"".join(block.tobytes() for block in blocks)))


def decode_spz(data: bytes, name: str = "data") -> Gaussians:
    """Return the Gaussians of an SPZ file's bytes; `name` is for the messages of errors (see `read_spz`)."""
    blocks = unpack(data, name)
    count, higher_terms = blocks.count, (blocks.degree + 1) ** 2 - 1
    raw = np.frombuffer(blocks.data, np.uint8)
    position, opacity, colour, scale, rotation, higher = (
        raw[start:end] for start, end in pairwise(np.cumsum([0, *blocks.sizes]))
    )
    dc = (colour.astype(np.float32).reshape(count, 1, 3) - 127.5) / _DC_STEPS
    rest = (higher.astype(np.float32).reshape(count, higher_terms, 3) - 128) / 128
    quats = _unpack_rotations(rotation.reshape(count, blocks.rotation_bytes))
    scene = Gaussians(
        means=torch.from_numpy(_unpack_positions(position, blocks.fraction_bits)),
        quats=torch.nn.functional.normalize(torch.from_numpy(quats), dim=-1),
        scales=torch.from_numpy(np.exp(scale.astype(np.float32).reshape(count, 3) / 16 - 10)),
        opacities=torch.from_numpy(opacity.astype(np.float32) / 255),
        sh=torch.from_numpy(np.concatenate([dc, rest], 1)),
    )
    return turn_half_around_x(scene)


def _fraction_bits(means: NDArray[np.float64]) -> int:
    """Return how many bits of a position stand behind the binary point."""
    if not len(means):
        return _USUAL_FRACTION_BITS
    farthest = max(float(np.abs(means).max()), 1e-9)
    if farthest > _LARGEST:
        raise InputError(
            f"A Gaussian lies {farthest:.3g} units out; SPZ holds {_LARGEST} at most.",
            "Rescale the scene with --scale, or drop far Gaussians.",
        )
    fitting = min(math.floor(math.log2(_LARGEST / farthest)), 23)
    middle = max(float(np.median(np.linalg.norm(means, axis=1))), 1e-9)
    wanted = min(max(_USUAL_FRACTION_BITS, math.ceil(_STEPS_TO_MIDDLE - math.log2(middle))), 23)
    if fitting < _STEPS_TO_MIDDLE - math.log2(middle) - 1:
        logger.warning("a far Gaussian makes the steps of positions coarse: %g units", 2.0**-fitting)
    return min(fitting, wanted)


def _bytes(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Round and clip to bytes."""
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


def _pack_positions(means: NDArray[np.float64], bits: int) -> NDArray[np.uint8]:
    """Return [N, 3, 3] bytes: 24-bit little-endian fixed point."""
    fixed = np.rint(means * (1 << bits)).astype("<i4")
    return fixed.view(np.uint8).reshape(len(means), 3, 4)[..., :3]


def _unpack_positions(block: NDArray[np.uint8], bits: int) -> NDArray[np.float32]:
    """Return [N, 3]."""
    padded = np.zeros((len(block) // 9, 3, 4), np.uint8)
    padded[..., 1:] = block.reshape(-1, 3, 3)  # in the upper bytes, so that the shift carries the sign
    fixed = padded.view("<i4")[..., 0] >> 8
    return (fixed / float(1 << bits)).astype(np.float32)


def _pack_rotations(quats: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return [N, 4] bytes: index of the largest of xyzw in 2 bits, the others as sign and 9 bits."""
    xyzw = np.roll(quats / np.linalg.norm(quats, axis=1, keepdims=True), -1, axis=1)
    largest = np.abs(xyzw).argmax(1)
    xyzw *= np.where(np.take_along_axis(xyzw, largest[:, None], 1) < 0, -1.0, 1.0)
    packed = largest.astype(np.uint32)
    for i in range(4):
        magnitude = np.floor(_QUAT_STEPS * np.abs(xyzw[:, i]) + 0.5).clip(0, 511).astype(np.uint32)
        field = (packed << 10) | ((xyzw[:, i] < 0).astype(np.uint32) << 9) | magnitude
        packed = np.where(largest == i, packed, field)
    return packed.astype("<u4").view(np.uint8).reshape(-1, 4)


def _unpack_rotations(block: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return [N, 4] wxyz of version 3 (4 bytes each) or 2 (x, y, z as bytes)."""
    if block.shape[1] == 3:
        xyz = block.astype(np.float32) / 127.5 - 1
        w = np.sqrt(np.clip(1 - (xyz**2).sum(1, keepdims=True), 0, None))
        return np.concatenate([w, xyz], 1)
    packed = np.ascontiguousarray(block).view("<u4")[:, 0].copy()
    largest = packed >> 30
    xyzw = np.zeros((len(block), 4))
    for i in (3, 2, 1, 0):
        value = (packed & 511) / _QUAT_STEPS * np.where(packed & 512, -1, 1)
        stored = largest != i
        xyzw[:, i] = np.where(stored, value, 0)
        packed = np.where(stored, packed >> 10, packed)
    rest = np.sqrt(np.clip(1 - (xyzw**2).sum(1), 0, None))
    np.put_along_axis(xyzw, largest[:, None].astype(np.int64), rest[:, None], 1)
    return np.roll(xyzw, 1, axis=1).astype(np.float32)
