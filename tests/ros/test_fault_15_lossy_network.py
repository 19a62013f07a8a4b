"""Fault 15: robot and node on two sides of a network that loses 20 %, delays by 200 ms, and breaks down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ros, pytest.mark.slow]
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

HERE = Path(__file__).parent
TIMEOUT_S = 240.0
PROBE = "import lossy_link, os; lossy_link.start_side('10.77.0.1', ['true']); os.wait()"


def search_path() -> str:
    """Return a PYTHONPATH that has the tests' own modules."""
    return os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the robot heard in each phase of `lossy_client.PHASES`, and the node's log."""
    environment = os.environ | {
        "PYTHONPATH": search_path(),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",  # the namespaces have no way to any other machine
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",  # no shared memory around the network
    }
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("unshare or ip is missing on this machine")
    inside = ["unshare", "-rn", sys.executable]
    probe = subprocess.run([*inside, "-c", PROBE], env=environment, capture_output=True, text=True, timeout=60)
    if probe.returncode != 0:
        pytest.skip(f"no network namespaces with tunnels here: {probe.stderr.strip()[-200:]}")
    folder = tmp_path_factory.mktemp("lossy")
    control, result, log = folder / "link.json", folder / "result.json", folder / "log"
    node = [sys.executable, str(HERE / "stub_node.py"), str(folder / "stub.json"), "40", "0.12", "--ros-args"]
    node += ["-p", "odometry.source:=none", "-p", "image_transport:=compressed"]
    client = [sys.executable, str(HERE / "lossy_client.py"), str(control), str(result)]
    link = [*inside, str(HERE / "lossy_link.py"), str(control), *node, "--", *client]
    with log.open("w") as out:
        code = subprocess.run(link, env=environment, stdout=out, stderr=out, timeout=TIMEOUT_S).returncode
    text = log.read_text(encoding="utf-8", errors="replace")
    assert code == 0, text[-3000:]
    return json.loads(result.read_text(encoding="utf-8")) | {"log": text}


def test_results_go_on_while_a_fifth_is_lost(heard: dict[str, Any]) -> None:
    assert len(heard["clear"]["clouds"]) >= 3
    assert len(heard["lossy"]["accepted"]) >= 3 and len(heard["lossy"]["clouds"]) >= 2


def test_what_is_reliable_arrives_whole(heard: dict[str, Any]) -> None:
    ids = heard["clear"]["added"] + heard["lossy"]["added"]
    assert ids == list(range(1, len(ids) + 1))
    assert set(heard["lossy"]["accepted"]) <= set(heard["lossy"]["added"])


def test_a_query_is_answered_through_the_loss(heard: dict[str, Any]) -> None:
    assert heard["lossy"]["query"]["success"], heard["lossy"]["query"]


def test_a_network_that_is_down_is_named_and_recovers(heard: dict[str, Any]) -> None:
    assert not heard["cut"]["clouds"]
    assert "No image on /image/compressed for" in heard["log"]
    assert any(
        "no image on /image/compressed" in text for text in heard["again"]["warnings"] + heard["cut"]["warnings"]
    )
    assert len(heard["again"]["clouds"]) >= 3 and heard["again"]["accepted"]
    assert "Traceback" not in heard["log"]


def test_images_lost_on_the_way_are_counted_apart(heard: dict[str, Any]) -> None:
    for phase in ("clear", "lossy", "again"):
        now = heard[phase]
        assert now["delivered"] == now["used"] + sum(now["dropped"].values())
    lossy = heard["lossy"]
    assert 0.2 * lossy["sent"] < lossy["delivered"] < 0.95 * lossy["sent"]  # best effort: what is lost stays lost
    assert 0.8 * (lossy["sent"] - lossy["delivered"]) <= lossy["lost"] <= lossy["sent"] - lossy["delivered"]
    assert heard["again"]["lost"] >= 0.8 * heard["cut"]["sent"]  # noticed when the network is back
