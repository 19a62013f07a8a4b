"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsm_core.errors import InputError
from lsm_core.io import atomic_path, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "map.ply"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half a fi")
        raise RuntimeError("the disk burns")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["map.ply"]


def test_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "ä")
    assert (tmp_path / "a" / "b" / "c.txt").read_text(encoding="utf-8") == "ä"


def test_a_file_in_place_of_the_folder_is_an_error_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write in"):
        write_text(tmp_path / "file" / "x.txt", "")
