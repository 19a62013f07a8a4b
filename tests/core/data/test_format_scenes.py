"""Training scenes of a data set: the training split, opened when they are drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "formats"))

from small_layouts import record, scannet_lsm, scannetpp_splatt3r, torch_chunks

from lsm_core.data.format_scenes import training_scenes
from lsm_core.data.selection import Selection
from lsm_core.data.sources import open_sources
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


def test_formats_are_training_sources_by_name_and_a_damaged_scene_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch_chunks(tmp_path / "re10k", record(6))
    scannet_lsm(tmp_path / "scannet", record(6))
    (tmp_path / "scannet" / "scene0000_01" / "color").mkdir(parents=True)
    for part in ("depth", "pose"):
        (tmp_path / "scannet" / "scene0000_01" / part).mkdir()
    both = [f"torch-chunks:{tmp_path / 're10k'}", f"scannet-lsm:{tmp_path / 'scannet'}"]
    source, rng = open_sources(both, Selection(targets=2, gap=(2, 3))), np.random.default_rng(0)
    samples = [source.draw(rng, 0) for _ in range(20)]
    assert {s.scene for s in samples} == {"scene0000_00", "000db54a47bd43fe", "00a5a09fc8cd6b8a"}
    assert {(s.scene.startswith("scene"), s.unit) for s in samples} == {(True, "metric"), (False, "relative")}
    assert "scene0000_01" in caplog.text and "left out" in caplog.text
    again = open_sources(both, Selection(targets=2, gap=(2, 3))).draw(np.random.default_rng(0), 0)
    assert [v.name for v in again.targets] == [v.name for v in samples[0].targets]
