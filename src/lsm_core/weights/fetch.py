"""Bring checkpoint files from their source, a mirror or a folder: resumed, verified, whole or not at all."""

from __future__ import annotations

import hashlib
import logging
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lsm_core.errors import WeightsError
from lsm_core.weights.table import Checkpoint

logger = logging.getLogger(__name__)
BLOCK = 1 << 20
TIMEOUT_S = 30.0
PARTIAL = ".part"
HASH = ".sha256"
Progress = Callable[[int, int | None], None]


class Stream(Protocol):
    """What is read in blocks."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most `size` bytes, none at the end."""


@dataclass(frozen=True)
class Fetched:
    """What became of a file: where it is, its sha256, and whether it was there already."""

    path: Path
    sha256: str
    was_there: bool


def fetch(
    checkpoint: Checkpoint,
    folder: Path,
    source: str | None = None,
    progress: Progress = lambda done, total: None,
) -> Fetched:
    """Bring one file into a folder.

    An interrupted download goes on where it stopped. The hash is compared with the one known; where none is known
    it is written beside the file, and compared the next time.

    Args:
        checkpoint: which file.
        folder: where to.
        source: a folder that holds the file, or the URL of a mirror (the file's name is put behind it); the
            checkpoint's own source by default.
        progress: told of the bytes there and the whole size, None when the source does not say it.

    Raises:
        WeightsError: the source cannot be reached, gives something else, or the hash differs.
    """
    target = folder / checkpoint.name
    if target.is_file():
        return Fetched(target, check_hash(target, checkpoint.sha256), True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / (checkpoint.name + PARTIAL)
        if source is not None and Path(source).is_dir():
            _copy(Path(source) / checkpoint.name, partial, progress)
        else:
            url = checkpoint.url if source is None else f"{source.rstrip('/')}/{checkpoint.name}"
            _download(url, partial, progress)
        found = check_hash(partial, checkpoint.sha256)
        partial.replace(target)
        target.with_name(target.name + HASH).write_text(found + "\n", encoding="ascii")
    except OSError as error:
        raise WeightsError(
            f"{checkpoint.name} cannot be brought: {error}.",
            "Check the network, the address and the free space; run the same command again to go on.",
        ) from error
    return Fetched(target, found, False)


def check_hash(path: Path, known: str | None) -> str:
    """Return a file's sha256 after comparing it with the known one, or the one recorded beside it.

    Raises:
        WeightsError: they differ.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    recorded = path.with_name(path.name + HASH)
    expected = known or (recorded.read_text(encoding="ascii").strip() if recorded.is_file() else None)
    if expected is not None and found != expected:
        raise WeightsError(
            f"{path} has sha256 {found}, not {expected}.",
            "It is damaged or another file: delete it and fetch again.",
        )
    return found


def _copy(source: Path, partial: Path, progress: Progress) -> None:
    if not source.is_file():
        raise WeightsError(f"{source} does not exist.", "Name the folder that holds the files.")
    with source.open("rb") as read, partial.open("wb") as write:
        _pour(read, write.write, 0, source.stat().st_size, progress)


def _download(url: str, partial: Path, progress: Progress) -> None:
    there = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            _refuse_page(url, answer.headers.get("Content-Type", ""))
            resumed = there > 0 and answer.status == 206
            length = answer.headers.get("Content-Length")
            start = there if resumed else 0
            total = None if length is None else start + int(length)
            with partial.open("ab" if resumed else "wb") as write:
                _pour(answer, write.write, start, total, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416 and there:  # nothing is left to send: the file was whole
            return
        raise WeightsError(
            f"{url} answers {error.code} {error.reason}.", "Fetch the file by hand, or name a mirror or a folder."
        ) from error
    _check_length(partial, total)


def _pour(read: Stream, write: Callable[[bytes], object], done: int, total: int | None, progress: Progress) -> None:
    progress(done, total)
    while block := read.read(BLOCK):
        write(block)
        done += len(block)
        progress(done, total)


def _refuse_page(url: str, kind: str) -> None:
    """A web page in place of the file: a quota, a login, a licence to accept."""
    if kind.startswith("text/html"):
        raise WeightsError(
            f"{url} gives a web page instead of the file.",
            "Open it in a browser, download the file and name its folder: --from FOLDER.",
        )


def _check_length(partial: Path, total: int | None) -> None:
    size = partial.stat().st_size
    if total is not None and size != total:
        raise WeightsError(
            f"The connection ended after {size} of {total} bytes.", "Run the same command again to go on."
        )
