"""Names of maps: plain files in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.map_folder import LONGEST, MapFolder, file_name
from lsm_perception.replies import ServiceError
from lsm_perception_msgs.msg import ResultCode


@pytest.mark.parametrize(
    "name",
    ["x\0y", "x\u202ey", "x\ny", "x/y", "../x", "..", ".x", "~x", "a\\b", " x", "x ", "", "\t", "ü" * LONGEST],
)
def test_names_that_are_no_plain_file_are_refused(name: str) -> None:
    with pytest.raises(ServiceError) as raised:
        file_name(name, ".lsmmap")
    assert raised.value.code == ResultCode.BAD_REQUEST


@pytest.mark.parametrize("name", ["kitchen", "Küche 2", "a..b", "台所", "x" * (LONGEST - 7)])
def test_plain_names_get_the_ending_once(name: str) -> None:
    assert file_name(name, ".lsmmap") == name + ".lsmmap" == file_name(name + ".lsmmap", ".lsmmap")


def test_home_is_expanded_and_an_empty_folder_turns_maps_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert MapFolder("~/maps").target("a", ".lsmmap", False) == tmp_path / "maps" / "a.lsmmap"
    with pytest.raises(ServiceError) as raised:
        MapFolder(" ")
    assert raised.value.code == ResultCode.UNSUPPORTED


def test_only_what_may_be_replaced_is(tmp_path: Path) -> None:
    folder = MapFolder(str(tmp_path))
    (tmp_path / "a.lsmmap").write_bytes(b"1")
    with pytest.raises(ServiceError, match="overwrite"):
        folder.target("a", ".lsmmap", False)
    assert folder.target("a", ".lsmmap", True).name == "a.lsmmap"
    with folder.open("a", ".lsmmap") as file:
        assert file.read() == b"1"
