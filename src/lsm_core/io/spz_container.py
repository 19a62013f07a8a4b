"""The containers of SPZ files: one gzip stream (versions 2 and 3), or one zstd stream per attribute (version 4).

Source: the format's description in the README of github.com/nianticlabs/spz (MIT).
"""

from __future__ import annotations

import gzip
import logging
import struct
import zlib
from dataclasses import dataclass

from backports import zstd

from lsm_core.errors import FileFormatError
from lsm_core.io.scene_size import check_count

logger = logging.getLogger(__name__)

MAGIC = 0x5053474E  # "NGSP"
GZIP_VERSION, ZSTD_VERSION = 3, 4
_GZIP_HEADER = struct.Struct("<IIIBBBB")  # magic, version, count, SH degree, fractional bits, flags, reserved
_ZSTD_HEADER = struct.Struct("<IIIBBBBI12x")  # ... flags, number of streams, offset of their sizes
_STREAM_SIZES = struct.Struct("<QQ")  # compressed, uncompressed
_MAX_STREAMS = 16
_EXTENDED = 2  # flag: records of vendors are in the file
_MAX_RATIO = 1040  # a deflate stream never grows more than 1032 times; nor does a sane zstd one


@dataclass(frozen=True)
class SpzBlocks:
    """What an SPZ file holds, still quantised.

    Attributes:
        count: number of Gaussians.
        degree: of the SH, 0 to 3.
        fraction_bits: of positions.
        rotation_bytes: per Gaussian, 4 or (version 2) 3.
        data: positions, opacities, colours, scales, rotations, higher SH, one after the other.
    """

    count: int
    degree: int
    fraction_bits: int
    rotation_bytes: int
    data: bytes

    @property
    def sizes(self) -> list[int]:
        """Bytes of each block."""
        n = self.count
        return [9 * n, n, 3 * n, 3 * n, self.rotation_bytes * n, 3 * ((self.degree + 1) ** 2 - 1) * n]


def pack_gzip(blocks: SpzBlocks) -> bytes:
    """Return the bytes of a version 3 file."""
    header = _GZIP_HEADER.pack(MAGIC, GZIP_VERSION, blocks.count, blocks.degree, blocks.fraction_bits, 0, 0)
    return gzip.compress(header + blocks.data, compresslevel=6, mtime=0)


def unpack(data: bytes, name: str) -> SpzBlocks:
    """Return what the bytes of a file of version 2 to 4 hold; `name` is for messages.

    Raises:
        FileFormatError: not SPZ, of another version, or damaged.
    """
    try:
        blocks = _unpack_zstd(data, name) if data[:4] == struct.pack("<I", MAGIC) else _unpack_gzip(data, name)
    except (zlib.error, zstd.ZstdError, struct.error, MemoryError) as error:
        raise FileFormatError(f"'{name}' is no SPZ file or damaged: {error}.", "Get the file again.") from error
    if len(blocks.data) < sum(blocks.sizes):
        raise FileFormatError(
            f"'{name}' is cut off: {len(blocks.data)} of {sum(blocks.sizes)} bytes.", "Get the file again."
        )
    return blocks


def _unpack_gzip(data: bytes, name: str) -> SpzBlocks:
    inflate = zlib.decompressobj(wbits=31)
    magic, version, count, degree, bits, flags, _ = _GZIP_HEADER.unpack(inflate.decompress(data, _GZIP_HEADER.size))
    _check(magic == MAGIC and version in (2, 3), degree, bits, flags, name)
    blocks = SpzBlocks(count, degree, bits, 4 if version == 3 else 3, b"")
    check_count(count, name)
    size = _believable(sum(blocks.sizes), len(data), name)
    return SpzBlocks(count, degree, bits, blocks.rotation_bytes, _inflated(inflate, size))


def _inflated(inflate: zlib._Decompress, size: int) -> bytes:
    """Return the next `size` bytes, or what there is."""
    return inflate.decompress(inflate.unconsumed_tail, size) if size else b""


def _unpack_zstd(data: bytes, name: str) -> SpzBlocks:
    _, version, count, degree, bits, flags, streams, offset = _ZSTD_HEADER.unpack_from(data)
    _check(version == ZSTD_VERSION and streams <= _MAX_STREAMS, degree, bits, flags, name)
    sizes = [_STREAM_SIZES.unpack_from(data, offset + i * _STREAM_SIZES.size) for i in range(streams)]
    blocks = SpzBlocks(count, degree, bits, 4, b"")
    check_count(count, name)
    _believable(max(sum(size for _, size in sizes), sum(blocks.sizes)), len(data), name)
    start = offset + streams * _STREAM_SIZES.size
    parts = []
    for packed, size in sizes:
        parts.append(zstd.ZstdDecompressor().decompress(data[start : start + packed], size) if size else b"")
        start += packed
    return SpzBlocks(count, degree, bits, 4, b"".join(parts))


def _check(known: bool, degree: int, bits: int, flags: int, name: str) -> None:
    """Refuse other formats and versions, and SH of degree 4, which this library does not have."""
    if not known or bits > 23 or degree > 3:
        raise FileFormatError(f"'{name}' is no SPZ file that this program reads.", "Save it as SPZ version 3.")
    if flags & _EXTENDED:
        logger.warning("%s has extensions, which are not read; its axes may be other than usual", name)


def _believable(size: int, packed: int, name: str) -> int:
    """Return the size unpacked, unless no file of this length can hold so much."""
    if size > _MAX_RATIO * packed:
        raise FileFormatError(f"'{name}' claims {size} bytes in {packed}.", "Get the file again.")
    return size
