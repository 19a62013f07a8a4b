"""Figures and pictures of a demo from a recording made by hand."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lsm_perception.demo.live", reason="the workspace is not built: ./run setup")

from lsm_perception.conversions.clouds import cloud_message
from lsm_perception.conversions.reports import header
from lsm_perception.demo.live import LiveView
from lsm_perception.demo.options import DemoOptions, parse_arguments
from lsm_perception.demo.recording import (
    CloudRecord,
    PairRecord,
    PathRecord,
    QueryReply,
    Recording,
    ScaleRecord,
    StatsRecord,
)
from lsm_perception.demo.results import segment_cloud, write_results
from lsm_perception.demo.sheet import without_ceiling
from lsm_perception.demo.source import Source, read_source
from lsm_perception.demo.summary import lines, summarise
from rich.console import Console

from lsm_core.cli.console import finite
from lsm_core.data import sample_path
from lsm_core.evaluation.odometry_check import TimedPair
from lsm_core.io import read_image, read_point_cloud, read_tum
from lsm_core.mapping import NO_LABEL, PointCloud

pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def source() -> Source:
    return read_source(sample_path(), None, 0.0)


@pytest.fixture
def options(tmp_path: Path) -> DemoOptions:
    return parse_arguments(["-q", "chair", "-q", "lamp", "-o", str(tmp_path / "o")])


def cloud(z: float, count: int = 300) -> PointCloud:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-1, 1, (count, 2)), np.full((count, 1), z)], 1).astype(np.float32)
    label = np.where(np.arange(count) % 2, 0, NO_LABEL).astype(np.uint16)
    grey = np.full((count, 3), 120, np.uint8)
    return PointCloud(points, grey, np.ones(count, np.float32), label, np.ones(count, np.float32))


def recording_of(source: Source) -> Recording:
    """Return two true pairs and a false one, clouds before and after the scale was known, labels and a reply."""
    assert source.truth is not None
    frames = [int(s) for s in source.truth.stamps_ns[[0, 16, 40, 60]]]
    r = Recording()
    r.stats = StatsRecord(
        50, 4, {"similar": 40, "superseded": 6}, 0, 4, 3, {"total": {"p50": 100.0, "p95": 200.0}}, "b", "cpu"
    )
    for k, (older, newer) in enumerate(itertools.pairwise(frames)):
        T_older, T_newer = source.truth.at(older), source.truth.at(newer)
        assert T_older is not None and T_newer is not None
        r.pairs.append(PairRecord(TimedPair(older, newer, np.linalg.inv(T_older) @ T_newer), True, "", 1, k > 0))
    r.pairs.append(PairRecord(TimedPair(frames[0], frames[2], np.full((4, 4), np.nan)), False, "no_pose", 1, False))
    r.scale = ScaleRecord("metric", "odometry", 2.0, 0.1)
    poses = {s: T for s in frames if (T := source.truth.at(s)) is not None}
    r.paths[1] = PathRecord("lsm_map", poses)
    r.clouds[frames[1]] = CloudRecord(
        cloud_message(cloud(1.5), header(frames[1], "lsm_camera_unscaled")), False, 1.0
    )
    r.clouds[frames[2]] = CloudRecord(cloud_message(cloud(3.0), header(frames[2], "camera")), True, 2.0)
    r.counts["points"] = 2
    shape = source.frames_at({frames[0]})[frames[0]].image.shape[:2]
    for stamp in frames:
        label = np.full(shape, 255, np.uint8)
        label[:40] = 0
        r.labels[stamp] = label
    r.filled_labels, r.label_names = 4, ("chair", "lamp")
    mask = np.zeros(shape, bool)
    mask[:30] = True
    r.replies.append(
        QueryReply(
            frames[1], ("chair", "lamp"), (mask, ~mask & False), (0.9, 0.1), (0.5, 0.0), r.labels[frames[1]], 30.0
        )
    )
    r.transforms["lsm_map", "lsm_keyframe"] = 3
    return r


def test_the_summary_has_the_figures_that_were_asked_for(source: Source, options: DemoOptions) -> None:
    summary = summarise(recording_of(source), source, options)
    assert (summary["frames_in"], summary["keyframes"], summary["clouds"], summary["tf"]) == (50, 4, 2, 3)
    assert summary["masks"] == 5 and summary["masks_published"] == 4 and summary["masks_returned"] == 1
    assert summary["dropped"] == {"similar": 40, "superseded": 6}
    assert summary["latency_ms"] == {"p50": 100.0, "p95": 200.0}
    assert summary["backend"] == "b" and summary["scale"]["state"] == "metric"
    assert summary["pairs"]["accepted"] == 3 and summary["pairs"]["rejected_by_reason"] == {"no_pose": 1}
    assert summary["pairs"]["metric"] == 2
    assert summary["odometry"]["compared"] == 3 and summary["odometry"]["rotation_median_deg"] < 0.01
    assert summary["acceptance"]["windows"] == 7 and summary["acceptance"]["windows_with_a_pair"] == 3
    assert summary["queries"]["texts"]["chair"] == {"marked_in_keyframes": 4, "presence_max": 0.9}
    assert summary["queries"]["texts"]["lamp"]["marked_in_keyframes"] == 0
    json.dumps(finite(summary), allow_nan=False)
    assert any("rotation 0.00°" in line for line in lines(summary))


def test_clouds_of_both_units_meet_in_metres(source: Source) -> None:
    recording = recording_of(source)
    joined = segment_cloud(recording, 1)
    for stamp, expected_m in ((s, 3.0) for s in recording.clouds):
        T = recording.paths[1].poses[stamp]
        z = (joined.points - T[:3, 3]) @ T[:3, 2]
        assert np.sum(np.abs(z - expected_m) < 0.02) > 100  # each plane is 3 m in front of its camera


def test_all_files_are_written_and_can_be_read(source: Source, options: DemoOptions) -> None:
    recording = recording_of(source)
    write_results(options.output, recording, source, options, summarise(recording, source, options))
    assert len(read_tum(options.output / "trajectory.tum")) == 4
    assert read_point_cloud(options.output / "map.ply").names == ("chair", "lamp")
    assert len(read_point_cloud(options.output / "points.ply")) == 300
    assert len(list((options.output / "overlays").glob("*.png"))) == 4
    assert read_image(options.output / "contact_sheet.png").shape[0] > 1200
    assert json.loads((options.output / "summary.json").read_text())["frames_in"] == 50


def test_an_empty_recording_still_gives_a_sheet_and_no_clouds(source: Source, options: DemoOptions) -> None:
    recording = Recording()
    write_results(options.output, recording, source, options, summarise(recording, source, options))
    assert (options.output / "contact_sheet.png").is_file()
    assert not list(options.output.glob("*.ply"))


def test_the_live_table_shows_the_present_state(source: Source) -> None:
    view = LiveView(source, recording_of(source), headless=True)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(view.table("playing"))
    text = console.export_text()
    for expected in (
        "playing",
        "50 in, 4 used",
        "similar 40",
        "3 accepted",
        "no_pose 1",
        "metric, 2.000 m",
        "chair 0.90",
    ):
        assert expected in text


def test_the_view_from_above_is_cut_over_the_camera() -> None:
    heights = np.concatenate([np.full(500, -1.5), np.full(200, 0.2), np.full(300, 1.2)]).astype(np.float32)
    points = np.stack([heights * 0, heights * 0, heights], 1)
    count = len(points)
    zeros = np.zeros(count, np.float32)
    room = PointCloud(points, np.zeros((count, 3), np.uint8), zeros, np.zeros(count, np.uint16), zeros)
    cut = without_ceiling(room, np.zeros((4, 3)), (0.0, 0.0, 1.0))
    assert sorted(set(cut.points[:, 2].tolist())) == pytest.approx([-1.5, 0.2])
