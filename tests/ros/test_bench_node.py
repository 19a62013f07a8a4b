"""`lsm bench node`: what it sends, how it sums up, and one small case against the real node from start to end."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cv_bridge import CvBridge
from lsm_perception.bench.figures import (
    CaseFigures,
    RunFigures,
    StageFigures,
    kept_runs,
    outside_model_ms,
    overhead_ms,
    quantiles,
)
from lsm_perception.bench.footage import FRAME_ID, make_footage, stamp_of, stamped
from lsm_perception.bench.options import BenchCase, parse_arguments
from lsm_perception.conversions import stamp_to_ns
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lsm_core.cli import bench_node
from lsm_core.cli.main import main

pytestmark = pytest.mark.ros
CASE = BenchCase(10.0, 64, 48, "raw")


def run_figures(p50: float, used: int = 6, clouds: int = 5, **changes: Any) -> RunFigures:
    """Return figures of a run of 10 images with a median latency."""
    fields: dict[str, Any] = {
        "seconds": 1.0, "sent": 10, "delivered": 9, "used": used, "dropped": {"similar": 9 - used}, "lost": 1,
        "pairs": 5, "accepted": 5, "clouds": clouds, "sent_hz": 10.0, "cloud_hz": float(clouds),
        "latency": {"p50": p50, "p95": p50 + 1, "p99": p50 + 2},
        "stages": {"encode": StageFigures(6, 10.0, 11.0, 12.0), "predict": StageFigures(5, 60.0, 61.0, 62.0)},
        "outside_model_ms": p50 - 70, "overhead_ms": p50 - 75, "node_cpu": 1.0, "client_cpu": 0.1,
        "other_cpu": 0.0, "rss_mib": 400.0, "peak_rss_mib": 410.0,
    }  # fmt: skip
    return RunFigures(**(fields | changes))


def test_images_are_those_of_the_walk_at_the_size_asked_for_and_none_repeats_another() -> None:
    footage = make_footage(128, 72, "raw", seed=0)
    info = deserialize_message(footage.info, CameraInfo)
    images = [deserialize_message(data, Image) for data in footage.images]
    assert footage.image_type is Image
    assert {(m.width, m.height, m.encoding, m.header.frame_id) for m in images} == {(128, 72, "rgb8", FRAME_ID)}
    assert len({bytes(m.data) for m in images}) == len(images) > 20
    assert (info.width, info.height, info.header.frame_id) == (128, 72, FRAME_ID)
    fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    assert fx == pytest.approx(fy, rel=0.02)
    assert 2 * math.degrees(math.atan(64 / fx)) == pytest.approx(66.0, abs=1.0)  # the walk's field of view
    assert (cx, cy) == pytest.approx((63.5, 35.5), abs=1.0)


def test_compressed_images_show_the_same_as_raw_ones() -> None:
    raw, packed = (make_footage(64, 48, transport, seed=1) for transport in ("raw", "compressed"))
    bridge = CvBridge()
    plain = bridge.imgmsg_to_cv2(deserialize_message(raw.images[3], Image), "rgb8")
    decoded = bridge.compressed_imgmsg_to_cv2(deserialize_message(packed.images[3], CompressedImage), "rgb8")
    assert packed.image_type is CompressedImage
    assert float(np.abs(plain.astype(int) - decoded).mean()) < 6


def test_the_seed_decides_the_noise() -> None:
    first, again, other = (
        deserialize_message(make_footage(64, 48, "raw", seed).images[0], Image).data for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_stamp_is_set_in_the_serialised_message_and_nothing_else() -> None:
    footage = make_footage(64, 48, "raw", seed=0)
    stamp_ns = 1_790_000_000_123_456_789
    sent = deserialize_message(stamped(footage.images[0], stamp_ns), Image)
    assert stamp_to_ns(sent.header.stamp) == stamp_ns == stamp_of(stamped(footage.images[0], stamp_ns))
    assert sent.data == deserialize_message(footage.images[0], Image).data


def test_images_go_forward_and_backward_without_a_jump() -> None:
    footage = make_footage(64, 48, "raw", seed=0)
    number = {data: index for index, data in enumerate(footage.images)}
    endless = footage.endless()
    order = [number[next(endless)] for _ in range(3 * len(number))]
    assert set(order) == set(number.values())
    assert {abs(b - a) for a, b in pairwise(order)} == {1}


def test_best_and_worst_run_are_left_out_of_three_and_more() -> None:
    runs = [run_figures(p50) for p50 in (90.0, 300.0, 80.0, 100.0, 110.0)]
    assert kept_runs(runs) == (0, 3, 4)
    assert kept_runs(runs[:2]) == (0, 1)
    case = CaseFigures(CASE, tuple(runs), kept_runs(runs), 0.5)
    assert case.mean_latency("p50") == pytest.approx(100.0)
    assert case.mean("outside_model_ms") == pytest.approx(30.0)
    assert case.mean_stage("predict") == 60.0
    assert math.isnan(case.mean_stage("map"))


def test_a_run_without_a_cloud_is_the_worst() -> None:
    runs = [run_figures(math.nan, clouds=0), run_figures(100.0), run_figures(90.0)]
    assert kept_runs(runs) == (1,)
    assert all(math.isnan(value) for value in quantiles([]).values())
    assert math.isnan(outside_model_ms(100.0, {}))


def test_time_in_line_behind_another_image_is_no_overhead() -> None:
    stages = {"wait": StageFigures(5, 30.0, 90.0, 95.0), "gate": StageFigures(9, 6.0, 7.0, 8.0)}
    assert overhead_ms(50.0, stages) == pytest.approx(26.0)
    stages["wait"] = StageFigures(5, 5.9, 7.0, 8.0)
    assert overhead_ms(50.0, stages) == 50.0
    assert math.isnan(overhead_ms(50.0, {}))


def test_the_command_hands_its_options_to_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def run(words: list[str], check: bool, **_: Any) -> subprocess.CompletedProcess[bytes]:
        seen.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(bench_node.subprocess, "run", run)
    words = "bench node --rates 5,20 --sizes 320x240 --runs 2 --seconds 1.5 --param pose_gate.two_view_check:=false"
    assert main(words.split()) == 0
    assert seen[0][:3] == [sys.executable, "-m", "lsm_perception.bench"]
    options = parse_arguments(seen[0][3:])
    assert (options.rates, options.sizes, options.runs, options.seconds) == ((5.0, 20.0), ((320, 240),), 2, 1.5)
    assert options.transports == ("raw", "compressed")
    assert options.parameters == ("pose_gate.two_view_check:=false",)
    assert [case.rate_hz for case in options.cases()] == [5.0, 20.0, 5.0, 20.0]


@pytest.mark.parametrize(
    "words",
    (["--rates", "0"], ["--sizes", "3x3"], ["--transports", "smoke"], ["--listen", "x"], ["--param", "a=1"]),
)
def test_wrong_usage_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(words)
    assert stopped.value.code == 2
    assert words[1] in capsys.readouterr().err


def test_one_case_from_start_to_end(tmp_path: Path) -> None:
    result, tables = tmp_path / "bench.json", tmp_path / "bench.md"
    words = "--rates 10 --sizes 320x240 --transports raw --runs 1 --seconds 2.5 --warmup 0.5 --seed 7"
    command = [
        sys.executable,
        "-m",
        "lsm_perception.bench",
        *words.split(),
        "--json",
        str(result),
        "--md",
        str(tables),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(result.read_text(encoding="utf-8"))
    assert report["options"]["seed"] == 7
    assert {"commit", "hardware", "cores", "threads"} <= set(report["where"])
    (case,) = report["cases"]
    assert (case["rate_hz"], case["width"], case["height"], case["transport"]) == (10.0, 320, 240, "raw")
    assert case["load_before"] >= 0
    (run,) = case["runs"]
    assert run["sent"] == 25
    assert run["delivered"] + run["lost"] == run["sent"]
    assert run["lost"] >= 0
    assert run["delivered"] == run["used"] + sum(run["dropped"].values())
    assert 0 < run["used"] <= run["delivered"]
    assert run["clouds"] <= run["accepted"] <= run["pairs"] <= run["used"]
    assert 0 < run["node_cpu"] <= 1.05 * report["where"]["cores"]
    assert 100 < run["rss_mib"] <= run["peak_rss_mib"] < 4000
    stages = run["stages"]
    assert stages["transport"]["count"] == run["delivered"]
    assert all(s["p50"] <= s["p95"] <= s["p99"] for s in stages.values())
    if run["clouds"]:  # on a machine with much else to do there may be none
        latency = run["latency"]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
        assert latency["p50"] >= stages["encode"]["p50"]
        assert run["outside_model_ms"] == pytest.approx(
            latency["p50"] - stages["encode"]["p50"] - stages["predict"]["p50"]
        )
        assert run["overhead_ms"] <= run["outside_model_ms"]
    assert "raw 320x240 10 Hz" in tables.read_text(encoding="utf-8")
    assert "raw 320x240 10 Hz" in done.stdout
