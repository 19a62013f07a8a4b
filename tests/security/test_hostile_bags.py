"""Bags from outside: whatever a few bytes of one are changed to, it is read or refused with a reason."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lsm_core.data.sample import sample_path
from lsm_core.errors import FileFormatError
from lsm_core.io.bags import open_bag

TOPICS = ("/odom", "/tf", "/camera/camera_info")


def read(path: Path) -> None:
    """Read what small topics hold, and some pictures."""
    with open_bag(path) as bag:
        list(islice(bag.messages(TOPICS), 200))
        list(islice(bag.frames(), 3))


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    (file,) = sample_path().glob("*.mcap")
    return np.frombuffer(file.read_bytes(), np.uint8)


@pytest.mark.parametrize("part", ["beginning", "index at the end", "anywhere"])
def test_damaged_bytes_never_raise_anything_else(whole: np.ndarray, tmp_path: Path, part: str) -> None:
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(8):
        data = whole.copy()
        where = {
            "beginning": rng.integers(0, 4000, 3),
            "index at the end": len(data) - 1 - rng.integers(0, 30_000, 20),
            "anywhere": rng.integers(0, len(data), 200),
        }[part]
        data[where] = rng.integers(0, 256, len(where))
        (tmp_path / "x.mcap").write_bytes(data.tobytes())
        try:
            read(tmp_path / "x.mcap")
            outcomes.add("read")
        except FileFormatError:
            outcomes.add("refused")
    assert outcomes


def test_an_index_that_points_outside_is_refused(whole: np.ndarray, tmp_path: Path) -> None:
    """Every chunk index record (0x08) of the summary says that its chunk lies 2^63 bytes further."""
    data = whole.tobytes()
    changed = bytearray(data)
    footer = len(data) - 8 - 20 - 9  # magic, footer, its opcode and length
    assert data[footer] == 0x02
    at = int.from_bytes(data[footer + 9 : footer + 17], "little")
    found = 0
    while at < footer:
        length = int.from_bytes(data[at + 1 : at + 9], "little")
        if data[at] == 0x08:
            changed[at + 9 + 16 + 7] = 0x7F  # the highest byte of chunk_start_offset, behind two stamps
            found += 1
        at += 9 + length
    assert found
    (tmp_path / "x.mcap").write_bytes(bytes(changed))
    with pytest.raises(FileFormatError):
        read(tmp_path / "x.mcap")
