"""SPZ, the compressed splats of Niantic's Scaniverse: about a tenth of a PLY file.

A 16-byte header, then one block per attribute (positions, opacities, colours, scales, rotations, higher SH), all in
one gzip stream: version 3, which today's viewers read. Values are quantised; `docs/formats.md` has the steps.
The file's frame is x right, y up, z backward, so scenes are turned half around x on the way in and out.

Source: the format's description in the README of github.com/nianticlabs/spz (MIT).
"""

from __future__ import annotations

import gzip
import logging
import math
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.atomic import atomic_path
from lsm_core.io.file_bytes import file_bytes
from lsm_core.io.finite_gaussians import finite_gaussians
from lsm_core.io.y_up import turn_half_around_x
from lsm_core.types import Gaussians

logger = logging.getLogger(__name__)

MAGIC = 0x5053474E  # "NGSP"
VERSION = 3
_HEADER = struct.Struct("<IIIBBBB")  # magic, version, count, SH degree, fractional bits, flags, reserved
_LARGEST = (1 << 23) - 1  # of a signed 24-bit integer
_USUAL_FRACTION_BITS = 12
_STEPS_TO_MIDDLE = 14  # bits: a step is at most 2^-14 of the scene's median distance
_DC_STEPS = 0.15 * 255  # bytes per unit of the constant SH term
_QUAT_STEPS = 511 * math.sqrt(2.0)  # 9 bits for components of at most sqrt(1/2)
_MAX_DEFLATE_RATIO = 1040  # no deflate stream grows more than 1032 times


def write_spz(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as SPZ version 3; language features are lost.

    Raises:
        InputError: a position is too far out for 24 bits, or the file cannot be written.
    """
    data = encode_spz(gaussians)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def read_spz(path: str | Path) -> Gaussians:
    """Read an SPZ file of version 2 or 3.

    Raises:
        FileFormatError: missing, not SPZ, of another version, or damaged.
    """
    return decode_spz(file_bytes(path), str(path))


def encode_spz(gaussians: Gaussians) -> bytes:
    """Return the bytes of an SPZ file; see `write_spz`."""
    scene = turn_half_around_x(finite_gaussians(gaussians))
    means = scene.means.detach().cpu().double().numpy()
    bits = _fraction_bits(means)
    header = _HEADER.pack(MAGIC, VERSION, len(scene), scene.degree, bits, 0, 0)
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
    return gzip.compress(header + b"".join(block.tobytes() for block in blocks), compresslevel=6, mtime=0)


def decode_spz(data: bytes, name: str = "data") -> Gaussians:
    """Return the Gaussians of an SPZ file's bytes; `name` is for the messages of errors (see `read_spz`)."""
    payload, count, degree, bits, version = _unpack(data, name)
    rotation_bytes = 4 if version == 3 else 3
    sizes = [9 * count, count, 3 * count, 3 * count, rotation_bytes * count]
    sizes.append(3 * ((degree + 1) ** 2 - 1) * count)
    if len(payload) < sum(sizes):
        raise FileFormatError(f"'{name}' is cut off: {len(payload)} of {sum(sizes)} bytes.", "Get the file again.")
    edges = np.cumsum([0, *sizes])
    raw = np.frombuffer(payload, np.uint8)
    position, opacity, colour, scale, rotation, higher = (raw[start:end] for start, end in pairwise(edges))
    dc = (colour.astype(np.float32).reshape(count, 1, 3) - 127.5) / _DC_STEPS
    rest = (higher.astype(np.float32).reshape(count, (degree + 1) ** 2 - 1, 3) - 128) / 128
    quats = _unpack_rotations(rotation.reshape(count, rotation_bytes))
    scene = Gaussians(
        means=torch.from_numpy(_unpack_positions(position, bits)),
        quats=torch.nn.functional.normalize(torch.from_numpy(quats), dim=-1),
        scales=torch.from_numpy(np.exp(scale.astype(np.float32).reshape(count, 3) / 16 - 10)),
        opacities=torch.from_numpy(opacity.astype(np.float32) / 255),
        sh=torch.from_numpy(np.concatenate([dc, rest], 1)),
    )
    return turn_half_around_x(scene)


def _unpack(data: bytes, name: str) -> tuple[bytes, int, int, int, int]:
    """Return what follows the header, number of Gaussians, SH degree, fractional bits, version."""
    unknown = FileFormatError(f"'{name}' is no SPZ file that this program reads.", "Save it as SPZ version 3.")
    if data[:4] == struct.pack("<I", MAGIC):
        raise FileFormatError(f"'{name}' is SPZ version 4 or later (zstd).", "Save it as SPZ version 3.")
    inflate = zlib.decompressobj(wbits=31)
    try:
        head = inflate.decompress(data, _HEADER.size)
        if len(head) < _HEADER.size:
            raise unknown
        magic, version, count, degree, bits, _flags, _reserved = _HEADER.unpack(head)
        # The degree of files of newer writers goes to 4, which this library does not have.
        if magic != MAGIC or version not in (2, 3) or bits > 23 or degree > 3:
            raise unknown
        size = count * (20 + 3 * (degree + 1) ** 2)
        if size > _MAX_DEFLATE_RATIO * len(data):
            raise FileFormatError(f"'{name}' claims {count} Gaussians in {len(data)} bytes.", "Get the file again.")
        payload = inflate.decompress(inflate.unconsumed_tail, max(size, 1))
    except zlib.error as error:
        raise FileFormatError(f"'{name}' is no SPZ file or damaged: {error}.", "Get the file again.") from error
    return payload, count, degree, bits, version


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
