"""Whether a torch file is what torch.save writes: a zip of members stored as they are."""

from __future__ import annotations

import zipfile
from pathlib import Path

MAX_PICKLE_BYTES = 256 << 20  # the structure beside the tensors; encoded pictures are in it


def is_plain_torch_file(path: Path) -> bool:
    """Whether nothing in the file is packed, nothing overlaps, and the structure beside the tensors is small.

    Raises:
        BadZipFile, OSError: it is truncated, or no zip.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    pickled = sum(entry.file_size for entry in entries if entry.filename.endswith(".pkl"))
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    unpacked = sum(entry.file_size for entry in entries)
    return not packed and unpacked <= path.stat().st_size and pickled <= MAX_PICKLE_BYTES
