"""Training scenes of a data set: the training split, opened when they are drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "formats"))

from small_layouts import record, scannet_lsm, scannetpp_splatt3r, torch_chunks

from lsm_core.data.format_scenes import training_scenes
from lsm_core.errors import FileFormatError, InputError


def test_the_last_150_scannet_scenes_are_held_out(tmp_path: Path) -> None:
    for number in range(152):
        for part in ("color", "depth", "pose"):
            (tmp_path / f"scene{number:04d}_00" / part).mkdir(parents=True)
        (tmp_path / f"scene{number:04d}_00" / "pose" / "000000.npz").touch()
    assert training_scenes("scannet-lsm", tmp_path).names == ("scene0000_00", "scene0001_00")


def test_chunks_give_their_training_folder_and_splatt3r_its_list(tmp_path: Path) -> None:
    torch_chunks(tmp_path / "re10k", record(3))
    scenes = training_scenes("torch-chunks", tmp_path / "re10k")
    assert scenes.names == ("000db54a47bd43fe", "00a5a09fc8cd6b8a")
    assert scenes[1] is scenes[1] and len(scenes[1]) == 3
    scannetpp_splatt3r(tmp_path / "pp", record(3))
    assert training_scenes("scannetpp-splatt3r", tmp_path / "pp").names == ("aaaa000000",)
    (tmp_path / "pp" / "raw" / "splits" / "nvs_sem_train.txt").write_text("other\n")
    with pytest.raises(InputError, match="no scene of scannetpp-splatt3r"):
        training_scenes("scannetpp-splatt3r", tmp_path / "pp")


def test_scenes_are_opened_when_drawn(tmp_path: Path) -> None:
    scannet_lsm(tmp_path, record(2))
    for picture in (tmp_path / "scene0000_00" / "color").iterdir():
        picture.unlink()
    scenes = training_scenes("scannet-lsm", tmp_path)
    assert len(scenes) == 1
    with pytest.raises(FileFormatError, match="holds no pictures"):
        _ = scenes[0]
