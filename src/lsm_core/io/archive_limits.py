"""What an archive may unpack to: files from outside can be small on the disk and fill the memory."""

from __future__ import annotations

import zipfile

from lsm_core.errors import FileFormatError

MAX_BYTES = 8 << 30  # of all members together, unpacked
MAX_MEMBERS = 200_000
ALWAYS_FINE = 64 << 20  # bytes that any archive may unpack to
MAX_RATIO = 60  # above that; arrays of numbers pack 1 to 10 times, bombs a thousand


def member_bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's bytes; its checksum is compared.

    `ZipFile.read` unpacks whatever the stream holds before it cuts it; asked for a number of bytes it stops there.

    Raises:
        BadZipFile, zlib.error, EOFError: it is damaged, or not as long as the directory says.
    """
    with archive.open(member) as file:
        return file.read(member.file_size)


def check_unpacked_size(archive: zipfile.ZipFile, name: str) -> None:
    """Refuse an archive that would unpack to far more than it holds.

    The directory's sizes are believed, for `member_bytes` unpacks no more than they say.

    Raises:
        FileFormatError: too many members, more than 8 GiB, or packed more than 60 times above 64 MiB.
    """
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    # Members may lie over one another; the file is as long as it is.
    packed = min(sum(member.compress_size for member in members), archive.fp.seek(0, 2) if archive.fp else 0)
    if len(members) > MAX_MEMBERS or unpacked > MAX_BYTES or unpacked > ALWAYS_FINE + MAX_RATIO * packed:
        raise FileFormatError(
            f"'{name}' would unpack {packed} bytes to {unpacked}.",
            "Do not use it: no program that saves numbers writes that.",
        )
