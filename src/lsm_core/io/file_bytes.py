"""Reading a whole file, with a typed error where that cannot be done."""

from __future__ import annotations

from pathlib import Path

from lsm_core.errors import FileFormatError


def file_bytes(path: str | Path) -> bytes:
    """Return what a file holds.

    Raises:
        FileFormatError: it is missing, a folder, or may not be read.
    """
    file = Path(path)
    if not file.is_file():
        raise FileFormatError(f"There is no file '{file}'.", "Check the path.")
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileFormatError(
            f"'{file}' cannot be read: {error.strerror or error}.", "Check its permissions and the disk."
        ) from error
