"""The one folder that maps are written to and read from: plain names in it, never a way out of it."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from pathlib import Path
from typing import IO

from lsm_perception_msgs.msg import ResultCode

from lsm_perception.replies import ServiceError

LONGEST = 200  # bytes of a name


class MapFolder:
    """Checks names that requests bring."""

    def __init__(self, folder: str) -> None:
        """Take the parameter map_directory; "~" is the home folder.

        Raises:
            ServiceError: it is empty: maps are turned off.
        """
        if not folder.strip():
            raise ServiceError(ResultCode.UNSUPPORTED, "Maps are turned off: map_directory is empty.")
        self._folder = Path(folder).expanduser().absolute()

    def target(self, name: str, ending: str, overwrite: bool) -> Path:
        """Return the path to write a file of this name to.

        Raises:
            ServiceError: the name leads elsewhere, or there is such a file and it may not be replaced.
        """
        path = self._folder / file_name(name, ending)
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return path
        except OSError as error:
            raise ServiceError(ResultCode.IO_ERROR, f"Cannot look at '{path}': {error.strerror}.") from error
        if not stat.S_ISREG(mode):
            raise ServiceError(ResultCode.BAD_REQUEST, f"'{path.name}' is a link or no file. Take another name.")
        if not overwrite:
            raise ServiceError(ResultCode.BAD_REQUEST, f"There is a file '{path.name}' already. Set overwrite.")
        return path

    def open(self, name: str, ending: str) -> IO[bytes]:
        """Open a file of this name for reading; a link is not followed.

        Raises:
            ServiceError: the name leads elsewhere, or there is no such file.
        """
        path = self._folder / file_name(name, ending)
        try:
            file = open(path, "rb", opener=no_link)  # noqa: SIM115  # the caller closes it
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ServiceError(ResultCode.NOT_FOUND, f"There is no map '{path.name}' in {self._folder}.") from error
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise ServiceError(ResultCode.BAD_REQUEST, f"'{path.name}' is a link or no file.") from error
            raise ServiceError(ResultCode.IO_ERROR, f"Cannot open '{path}': {error.strerror}.") from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise ServiceError(ResultCode.BAD_REQUEST, f"'{path.name}' is no file.")
        return file


def no_link(path: str, flags: int) -> int:
    """Open a file, and neither follow a link nor wait for a pipe's other end."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def file_name(name: str, ending: str) -> str:
    """Return a plain file name with the ending.

    Raises:
        ServiceError: it is empty, too long, or names a folder, a hidden file or something unprintable.
    """
    shown = name[:60]
    if not name.strip():
        raise ServiceError(ResultCode.BAD_REQUEST, "path is empty. Give the map a name.")
    if "/" in name or "\\" in name or name.startswith((".", "~")):
        raise ServiceError(
            ResultCode.BAD_REQUEST, f"path {shown!r} leads out of the map folder. Give a plain file name."
        )
    if name != name.strip() or any(unicodedata.category(c)[0] == "C" for c in name):
        raise ServiceError(ResultCode.BAD_REQUEST, f"path {shown!r} has characters that no file name should have.")
    full = name if name.lower().endswith(ending) else name + ending
    if len(full.encode()) > LONGEST:
        raise ServiceError(ResultCode.BAD_REQUEST, f"path is longer than {LONGEST} bytes.")
    return full
