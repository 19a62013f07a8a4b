"""`lsm eval rgbd-sequence` on a recording whose truth a backend knows, and may get wrong by a known amount."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from box_room import K, RoomTruth, write_folder
from PIL import Image

from lsm_core.cli import loading
from lsm_core.cli.main import main
from lsm_core.errors import FileFormatError, InputError
from lsm_core.evaluation.baselines import XFEAT_MISSING, XFEAT_NAME
from lsm_core.evaluation.hololens import HoloLensRecording
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.sequence_study import study_sequence
from lsm_core.evaluation.sequences import choose_pairs, frames_apart, load_pairs, open_sequence
from lsm_core.evaluation.switches import Switches, switched
from lsm_core.nn.xfeat import XFeat

QUICK = StudyOptions(limit=6, with_baselines=False)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("recordings") / "walk")


def study(recording: Path, backend: RoomTruth, **switches: Any) -> EvalReport:
    return study_sequence(backend, open_sequence(recording), Switches(**switches), QUICK)


def test_who_knows_the_room_has_no_error_in_any_unit(recording: Path) -> None:
    figures = study(recording, RoomTruth()).figures
    assert figures["rotation_median_deg"] < 0.01
    assert figures["direction_median_deg"] < 0.1
    assert figures["depth_absrel"] < 1e-3
    assert figures["cloud_completeness_m"] < 0.01 and figures["cloud_f_score"] > 0.99
    assert figures["ate_rmse_m"] < 1e-3
    assert figures["views_psnr"] > 24


def test_a_turned_view_shows_in_poses_and_path_and_not_in_depth(recording: Path) -> None:
    figures = study(recording, RoomTruth(turn_deg=4.0)).figures
    assert figures["rotation_median_deg"] == pytest.approx(4.0, abs=0.05)
    assert figures["depth_absrel"] < 1e-3
    assert figures["ate_rmse_m"] > 0.005


def test_alignment_of_depth_is_what_the_switch_says(recording: Path) -> None:
    plain = study(recording, RoomTruth(), depth_alignment="none").figures
    assert plain["depth_absrel"] == pytest.approx(1 - 1 / 2.5, abs=1e-3)
    metric = study(recording, RoomTruth(unit_m=1.0), depth_alignment="none").figures
    assert metric["depth_absrel"] < 1e-3


def test_intrinsics_are_given_or_not_as_the_switch_says(recording: Path) -> None:
    backend = RoomTruth()
    study(recording, backend, intrinsics="estimated")
    assert all(told is None or all(k is None for k in told) for told in backend.told)
    backend = RoomTruth()
    study(recording, backend)
    assert all(torch.equal(told[0], K) for told in backend.told)  # type: ignore[index]


def test_without_poses_nothing_is_claimed(recording: Path) -> None:
    report = study(recording, RoomTruth(found=False))
    assert report.figures["rotation_median_deg"] == 180
    assert "ate_rmse_m" not in report.figures
    assert np.isnan(report.figures["views_psnr"]) and np.isnan(report.figures["cloud_f_score"])


def test_pairs_and_their_poses_are_those_of_the_folder(recording: Path) -> None:
    sequence = open_sequence(recording)
    assert len(sequence) == 7 and sequence.measured() == list(range(7))
    choices = choose_pairs(sequence)
    assert choices and all(c.i != c.j and 0 <= c.overlap <= 1 for c in choices)
    (pair,) = load_pairs(sequence, choices[:1])
    T = torch.linalg.inv(sequence.pose(choices[0].i)) @ sequence.pose(choices[0].j)
    torch.testing.assert_close(pair.T_cam0_cam1, T)


def test_overlap_through_a_wall_is_none_where_depth_shows_it() -> None:
    """The second camera stands before something: what the first one sees lies behind that."""
    T = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    T[1, 0, 3] = 0.1
    depth = {0: torch.full((48, 64), 4.0), 1: torch.full((48, 64), 1.0)}
    scene = HoloLensRecording(("0.png", "1.png"), T, K, depth, Path())
    (open_view, _) = choose_pairs(scene)
    assert open_view.overlap > 0.9
    tested = {(c.i, c.j): c.overlap for c in choose_pairs(scene, test_occlusion=True)}
    assert tested[0, 1] == 0 and tested[1, 0] > 0.8, "what stands before is seen from the first camera, too"


def test_a_recording_at_a_high_rate_is_thinned_before_pairs_are_made() -> None:
    """200 frames 1 cm apart: all that 24 frames reach looks alike, and 24 frames 5 cm apart do not."""
    T = torch.eye(4, dtype=torch.float64).repeat(200, 1, 1)
    T[:, 0, 3] = 0.01 * torch.arange(200)
    depth = {100: torch.full((48, 64), 1.5)}
    scene = HoloLensRecording(tuple(f"{k}.png" for k in range(200)), T, K, depth, Path())
    thin = frames_apart(scene, 0.049, 5.0)
    assert thin == list(range(0, 200, 5))
    assert min(c.overlap for c in choose_pairs(scene)) > 0.8
    overlaps = [c.overlap for c in choose_pairs(scene, thin)]
    assert min(overlaps) <= 0.5 and all(c.j % 5 == 0 for c in choose_pairs(scene, thin))


def test_what_is_no_recording_with_depth_is_refused(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError):
        open_sequence(tmp_path / "nowhere")
    bare = write_folder(tmp_path / "bare", 3)
    for file in (bare / "depth").iterdir():
        file.unlink()
    with pytest.raises(FileFormatError, match="lacks depth"):
        open_sequence(bare)
    write_folder(tmp_path / "two" / "a", 2)
    write_folder(tmp_path / "two" / "b", 2)
    with pytest.raises(InputError, match="2 recordings"):
        open_sequence(tmp_path / "two")
    assert open_sequence(tmp_path / "two", "b").title == "b"


def test_switches_are_read_from_texts_and_unknown_ones_refused() -> None:
    found = switched(Switches(), ["depth_alignment=affine", "pose_align_steps=7", "eight_bit=yes"])
    assert (found.depth_alignment, found.pose_align_steps, found.eight_bit) == ("affine", 7, True)
    for text in ("nonsense=1", "depth_alignment=mean", "pose_align_steps=many", "eight_bit=1"):
        with pytest.raises(InputError):
            switched(Switches(), [text])


def test_the_command_prints_all_tables_beside_baselines(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_backend", lambda *_: RoomTruth())
    files = [tmp_path / "out.json", tmp_path / "out.png", tmp_path / "out.md"]
    command = ["eval", "rgbd-sequence", "--data", str(recording), "--limit", "3", "--rows", "2"]
    command += ["--switch", "depth_alignment=least-squares", "--json", str(files[0])]
    assert main([*command, "--sheet", str(files[1]), "--md", str(files[2])]) == 0
    document = json.loads(files[0].read_text())
    titles = " ".join(table["title"] for table in document["tables"])
    assert all(word in titles for word in ("Relative pose", "Depth", "Clouds", "Path", "Views", "Switches"))
    methods = document["pairs"]
    assert {"room-truth", "SIFT + E, full size", "ORB + E, full size"} <= set(methods)
    assert methods[XFEAT_MISSING] == []
    assert ["depth_alignment", "least-squares"] in document["tables"][-1]["rows"]
    assert np.asarray(Image.open(files[1])).ndim == 3
    assert f"| {XFEAT_MISSING} | 0 | – |" in files[2].read_text()


def test_xfeat_is_a_row_where_its_weights_are(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_backend", lambda *_: RoomTruth())
    torch.manual_seed(0)
    torch.save(XFeat().state_dict(), tmp_path / "xfeat.pt")
    command = ["eval", "rgbd-sequence", "--data", str(recording), "--limit", "2"]
    assert main([*command, "--xfeat", str(tmp_path / "xfeat.pt"), "--json", str(tmp_path / "out.json")]) == 0
    methods = json.loads((tmp_path / "out.json").read_text())["pairs"]
    assert len(methods[XFEAT_NAME]) == 2 and XFEAT_MISSING not in methods
