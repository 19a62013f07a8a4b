"""A document with arrays and byte strings in one file: a zip of JSON, .npy and other members. No pickle."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError
from lsm_core.io.archive_limits import check_unpacked_size, member_bytes
from lsm_core.io.atomic import atomic_path

DOCUMENT = "document.json"
MAX_DOCUMENT = 64 << 20
_DAMAGE = (OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, NotImplementedError,
           zipfile.BadZipFile, zlib.error)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Archive:
    """What one file holds.

    Attributes:
        document: plain JSON values.
        arrays: by name; of numbers only.
        blobs: byte strings (pictures), by name.
    """

    document: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    blobs: Mapping[str, bytes]


def write_archive(path: str | Path, kind: str, version: int, archive: Archive) -> int:
    """Write a file; it appears whole or not at all. Returns its size, bytes.

    Args:
        path: where to.
        kind: what it is; another kind is refused when it is read.
        version: of the document's layout, from 1.
        archive: the contents.

    Raises:
        InputError: it cannot be written (folder, permissions, space); an older file stays as it was.
    """
    document = {"kind": kind, "version": version, **archive.document}
    with atomic_path(path) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            file.writestr(DOCUMENT, json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False))
            for name, array in archive.arrays.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            for name, blob in archive.blobs.items():
                file.writestr(name, blob, zipfile.ZIP_STORED)
        return temporary.stat().st_size


def read_archive(source: str | Path | IO[bytes], kind: str, version: int) -> Archive:
    """Read what `write_archive` wrote; every member's checksum is compared.

    Args:
        source: a path, or a file open for reading.
        kind: what it must be.
        version: the newest layout that is understood.

    Raises:
        FileFormatError: missing, truncated, damaged, of another kind, of a newer version, or too large.
    """
    name = str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "the file"))
    if isinstance(source, str | Path) and not Path(source).is_file():
        raise FileFormatError(f"There is no file '{name}'.", "Check the path.")
    try:
        with zipfile.ZipFile(source) as file:
            return _read(file, name, kind, version)
    except FileFormatError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(
            f"'{name}' is damaged, cut short, or no {kind}: {error}.", f"Write the {kind} again."
        ) from error


def _read(file: zipfile.ZipFile, name: str, kind: str, version: int) -> Archive:
    check_unpacked_size(file, name)
    members = file.infolist()
    if len({member.filename for member in members}) != len(members):
        raise FileFormatError(f"'{name}' has two members of one name.", "It was not written by this program.")
    document = _document(file, name, kind, version)
    arrays = {m.filename[:-4]: array_member(file, m) for m in members if m.filename.endswith(".npy")}
    rest = [m for m in members if m.filename != DOCUMENT and not m.filename.endswith(".npy")]
    return Archive(document, arrays, {m.filename: member_bytes(file, m) for m in rest})


def _document(file: zipfile.ZipFile, name: str, kind: str, version: int) -> dict[str, Any]:
    """Read the document, and refuse what this version does not understand."""
    if DOCUMENT not in file.namelist() or file.getinfo(DOCUMENT).file_size > MAX_DOCUMENT:
        raise FileFormatError(f"'{name}' is no {kind}.", f"Name a file that was written as {kind}.")
    document = json.loads(member_bytes(file, file.getinfo(DOCUMENT)).decode("utf-8"))
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise FileFormatError(f"'{name}' is no {kind}.", f"Name a file that was written as {kind}.")
    found = document.get("version")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise FileFormatError(f"'{name}' does not say which version of {kind} it is.", f"Write the {kind} again.")
    if found > version:
        raise FileFormatError(
            f"'{name}' is {kind} of version {found}; this program reads up to {version}.", "Use a newer release."
        )
    return document


def array_member(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """Return one .npy member of numbers; its header is compared with the member's size before memory is taken.

    Raises:
        ValueError: it holds something else, or is not as long as its header says.
    """
    raw = io.BytesIO(member_bytes(file, member))
    major, _ = np.lib.format.read_magic(raw)
    header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(raw)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ValueError(f"{member.filename} holds no plain numbers")
    data = raw.getbuffer()[raw.tell() :]
    if any(side < 0 for side in shape) or int(np.prod(shape, dtype=object)) * dtype.itemsize != data.nbytes:
        raise ValueError(f"{member.filename} is not as long as it says")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C").copy()
