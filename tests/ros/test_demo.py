"""The demo as users run it: the real node and the real model over DDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lsm_core.io import read_gaussians, read_image, read_point_cloud, read_tum

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception.demo.live", reason="the workspace is not built: ./run setup")

pytestmark = pytest.mark.ros


def environment() -> dict[str, str]:
    """Return the environment with a domain of its own, as a terminal without ROS settings would give."""
    taken = ("ROS_DOMAIN_ID", "ROS_LOG_DIR")
    return {name: value for name, value in os.environ.items() if name not in taken}


def demo(*words: object, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lsm_perception.demo", "--headless", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, env=environment(), check=False
    )


def check_folder(folder: Path, summary: dict[str, Any]) -> None:
    """Every product is there and not empty."""
    assert summary["frames_in"] == summary["used"] + sum(summary["dropped"].values())
    assert summary["keyframes"] >= 2 and summary["clouds"] >= 1 and summary["tf"] >= 2 and summary["masks"] >= 1
    assert summary["latency_ms"]["p95"] >= summary["latency_ms"]["p50"] > 0
    assert summary["backend"] == "lsm-tiny" and summary["node_exit_code"] == 0
    assert len(read_point_cloud(folder / "points.ply")) > 500
    assert len(read_point_cloud(folder / "map.ply")) > 500
    assert len(read_gaussians(folder / "gaussians.ply")) > 1000
    assert len(read_tum(folder / "trajectory.tum")) >= 2
    assert list((folder / "overlays").glob("*.png"))
    assert read_image(folder / "contact_sheet.png").std() > 10


def test_the_packaged_sample_goes_through(tmp_path: Path) -> None:
    words = ("-o", tmp_path / "o", "--json", tmp_path / "s.json", "--max-seconds", 10, "-q", "table", "-q", "floor")
    done = demo(*words)
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads((tmp_path / "s.json").read_text())
    check_folder(tmp_path / "o", summary)
    assert summary["odometry"]["compared"] >= 1 and summary["odometry"]["rotation_median_deg"] < 8
    assert set(summary["queries"]["texts"]) == {"table", "floor"}
    assert all(edge.split(" -> ")[0] != "" for edge in summary["tf_edges"])
    assert "latency" in done.stdout


def test_an_unknown_backend_ends_the_demo_with_the_nodes_own_words(tmp_path: Path) -> None:
    done = demo("-o", tmp_path / "o", "--backend", "no-such-model")
    assert done.returncode == 1
    assert "no-such-model" in done.stderr and "Traceback" not in done.stderr


def test_a_missing_bag_is_one_line(tmp_path: Path) -> None:
    done = demo("--bag", tmp_path / "none", "-o", tmp_path / "o", timeout_s=60)
    assert done.returncode == 1 and "There is no bag" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "o").exists()


def test_an_interrupt_stops_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lsm_perception.demo", "--headless", "-o", str(tmp_path / "o")]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    )
    log = tmp_path / "o" / "log" / "node.log"
    deadline = time.monotonic() + 60
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    children = _children(running.pid)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert children and not [pid for pid in children if _alive(pid)]


def _children(pid: int) -> list[int]:
    """Return the process ids started by a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("odometry", [True, False])
def test_a_real_recording_gives_poses_that_agree_with_its_odometry(
    shared_dir: Path, tmp_path: Path, odometry: bool
) -> None:
    bag = shared_dir / "data" / "bags" / "hololens_kitchen"
    words = ["--bag", bag, "-o", tmp_path / "o", "--json", tmp_path / "s.json"]
    done = demo(*words, *([] if odometry else ["--no-odometry"]))
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads((tmp_path / "s.json").read_text())
    check_folder(tmp_path / "o", summary)
    check = summary["odometry"]
    assert check["given_to_node"] is odometry
    assert check["rotation_median_deg"] <= 5
    assert check["direction_median_deg"] <= 45  # up to scale, they point the right way
    assert summary["pairs"]["accepted"] >= summary["seconds"] / 2
    if odometry:
        assert summary["pairs"]["metric"] >= 1 and "odom -> lsm_map" in summary["tf_edges"]
    else:
        assert summary["scale"]["state"] == "unknown" and summary["pairs"]["metric"] == 0
        assert all("_unscaled" in edge for edge in summary["tf_edges"])
