"""Bring-up with a recording, as processes: the node hears it on its time, and goes on when it has ended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_process import ACTIVE, NodeProcess

from lsm_core.data import sample_path


def test_the_node_hears_the_bag_and_goes_on_when_it_has_ended(tmp_path: Path) -> None:
    words = [f"bag:={sample_path()}", "bag_rate:=10", "backend:=lsm-tiny"]
    bringup = NodeProcess(tmp_path / "log", command=[sys.executable, "-m", "lsm_perception.bringup", *words])
    try:
        bringup.wait_for(f"{ACTIVE} /camera/image_raw/compressed")
        bringup.wait_for("Sent ")  # the player, at its end
        bringup.wait_for("/clock stands still")  # the node, which had its time from the player
        assert bringup.alive
        bringup.stop()
        assert bringup.text.index(ACTIVE) < bringup.text.index("Sent ")
    finally:
        bringup.end()
