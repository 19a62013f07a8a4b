"""The whole measurement with a backend made from ground truth: truth is perfect, a known error is found."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from truth_backend import IMAGE_SIZE, TruthBackend, make_pairs

from lsm_core.data.shards import FrameShard, save_shard
from lsm_core.errors import FileFormatError, InputError
from lsm_core.evaluation import rooms
from lsm_core.evaluation.geometry_tables import (
    above,
    pose_table,
    rotation_good_share,
    rotation_median,
    validity_table,
)
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.records import PairRecord, run_backend
from lsm_core.evaluation.rooms import load_room_pairs
from lsm_core.evaluation.shared_data import find_shared
from lsm_core.evaluation.studies import study_rooms
from lsm_core.evaluation.tables import Column, Table, update_markdown


def records_of(**perturbation: float | bool) -> list[PairRecord]:
    pairs = make_pairs()
    return [record for _, _, record in run_backend(TruthBackend(pairs, **perturbation), pairs)]  # type: ignore[arg-type]


def write_shard(folder: Path, count: int = 12) -> None:
    """Write the pairs of `make_pairs` as a shard of rendered rooms."""
    pairs = make_pairs(count)
    views = [v for p in pairs for v in p.views]
    poses = np.stack([m for p in pairs for m in (np.eye(4), p.T_cam0_cam1.numpy())])
    save_shard(
        FrameShard(
            rgb=np.stack([v.image for v in views]),
            depth=np.stack([v.depth.numpy() for v in views]),  # type: ignore[union-attr]
            label=np.stack([v.labels for v in views]),  # type: ignore[misc]
            K=np.stack([v.K.numpy() for v in views]),  # type: ignore[union-attr]
            T_world_cam=poses,
            room=np.zeros(2 * count),
            pairs=np.arange(2 * count).reshape(-1, 2),
            overlap=np.array([p.overlap for p in pairs]),
        ),
        folder / "shard_00000.npz",
    )


def test_the_truth_has_no_error() -> None:
    for record in records_of():
        assert record.pose.rotation_deg < 1e-3
        assert record.pose.direction_deg < 1e-2
        assert record.depth[0] is not None and record.depth[1] is not None
        assert record.depth[0].absrel < 1e-5 and record.depth[0].delta == 1.0
        assert record.depth[1].absrel < 1e-5
        assert record.depth[0].scale == pytest.approx(1)
        assert record.pointmap1 < 1e-5


def test_a_turned_pose_gives_that_rotation_error_and_moves_view_1s_points() -> None:
    for record in records_of(turn_deg=6.0):
        assert record.pose.rotation_deg == pytest.approx(6, abs=1e-3)
        assert record.pose.direction_deg < 1e-2
        assert record.pointmap1 > 0.03
        assert record.depth[0] is not None and record.depth[0].absrel < 1e-5


def test_scale_is_reported_and_not_counted_as_error() -> None:
    for record in records_of(scale=2.5):
        assert record.depth[0] is not None
        assert record.depth[0].scale == pytest.approx(2.5)
        assert record.depth[0].absrel < 1e-5
        assert record.pointmap1 < 1e-5
        assert record.pose.direction_deg < 1e-2


def test_a_failed_pose_counts_as_180_degrees_and_gives_no_pointmap_error() -> None:
    records = records_of(fail=True)
    assert {r.pose.rotation_deg for r in records} == {180.0}
    assert all(math.isnan(r.pointmap1) and r.depth[1] is None for r in records)
    assert rotation_good_share(records) == 0
    row = pose_table("t", {"truth": records}).rows[0]
    assert row[-3] == 12  # pairs without a pose


def test_the_confident_half_is_measured_apart() -> None:
    for record in records_of(bad_half=True):
        assert record.depth[0] is not None and record.sure_depth is not None
        assert record.depth[0].absrel > 0.1
        assert record.sure_depth.absrel < 1e-5
        assert record.sure_depth.pixels < 0.6 * record.depth[0].pixels


def test_pairs_are_selected_by_overlap() -> None:
    records = records_of(turn_deg=3.0)
    assert len(above(records, 0.5)) == 6
    assert rotation_median(above(records, 0.5)) == pytest.approx(3, abs=1e-3)
    assert validity_table("t", records).rows[0][:2] == ["0.8 to 1.0", 12]


def test_the_room_study_reads_shards_and_is_perfect_for_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard(tmp_path)
    backend = TruthBackend(load_room_pairs(tmp_path))
    report = study_rooms(backend, tmp_path, StudyOptions(sheet_rows=2))
    assert report.figures["rotation_median_deg"] < 0.1  # poses are stored as float32, depth as float16
    assert report.figures["depth_absrel"] < 1e-3
    assert report.figures["mean_iou"] == 1.0
    assert report.figures["pixel_accuracy"] == 1.0
    assert set(report.records) == {"truth", "identity", "SIFT + E, 256x192", "ORB + E, 256x192"}
    assert report.sheet is not None and report.sheet.shape[1] == 2000
    assert report.figures["depth_absrel_constant"] > 0.05


def test_known_label_errors_are_found(tmp_path: Path) -> None:
    write_shard(tmp_path)
    backend = TruthBackend(load_room_pairs(tmp_path), wrong_labels=0.3)
    report = study_rooms(backend, tmp_path, StudyOptions(with_baselines=False))
    assert report.figures["pixel_accuracy"] == pytest.approx(0.7, abs=0.03)
    assert report.figures["mean_iou"] == pytest.approx(0.7, abs=0.05)  # no wrong pixel is taken as another class


def test_the_report_is_valid_json_and_updates_its_own_block_of_a_page(tmp_path: Path) -> None:
    write_shard(tmp_path, 4)
    backend = TruthBackend(load_room_pairs(tmp_path), fail=True)
    report = study_rooms(backend, tmp_path, StudyOptions(with_baselines=False))
    report.write_json(tmp_path / "r.json")
    document = json.loads((tmp_path / "r.json").read_text(), parse_constant=lambda c: pytest.fail(f"{c} in JSON"))
    assert len(document["pairs"]["truth"]) == 4
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- begin: lsm eval rooms -->\nSTALE\n<!-- end: lsm eval rooms -->\n\nAfter.\n")
    report.write_markdown(page)
    text = page.read_text()
    assert text.startswith("# Title") and text.endswith("After.\n") and "STALE" not in text
    assert "| truth | 4 | 180.00 |" in text


def test_limit_takes_pairs_evenly_from_all_shards(tmp_path: Path) -> None:
    write_shard(tmp_path, 12)
    (tmp_path / "shard_00000.npz").rename(tmp_path / "shard_00001.npz")
    write_shard(tmp_path, 6)
    names = [p.views[0].name for p in load_room_pairs(tmp_path, 5)]
    assert [n.split("/")[0] for n in names] == ["shard_00000"] * 3 + ["shard_00001"] * 2
    assert len(load_room_pairs(tmp_path)) == 18


def test_missing_data_are_typed_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFormatError, match="shard"):
        load_room_pairs(tmp_path)
    with pytest.raises(InputError, match="LSM_SHARED"):
        find_shared(tmp_path)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("LSM_SHARED", str(tmp_path))
    assert find_shared() == tmp_path


def test_a_page_without_markers_gets_the_block_at_its_end(tmp_path: Path) -> None:
    table = Table("T", [Column("a"), Column("b", ".1f")], [["x", 1.25], ["y", math.nan], ["z", None]])
    page = tmp_path / "page.md"
    page.write_text("# Title\n")
    update_markdown(page, "cmd", table.markdown())
    update_markdown(page, "cmd", table.markdown())
    assert page.read_text().count("| x | 1.2 |") == 1
    assert page.read_text().count("| y | – |") == 1


def test_room_texts_leave_out_the_unlabelled_class() -> None:
    assert "void" not in rooms.ROOM_TEXTS
    assert rooms.ROOM_TEXTS[0] == "wall"
    assert IMAGE_SIZE == (48, 64)
