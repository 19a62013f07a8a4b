"""The health check says whether the node answers and works, as Docker's HEALTHCHECK runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_process import ACTIVE, StubProcess


@pytest.fixture(scope="module")
def node(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    process = StubProcess(tmp_path_factory.mktemp("health"))
    process.wait_for(ACTIVE)
    yield process
    process.end()


def check(*words: str) -> tuple[int, str]:
    """Run the health check; return its exit code and its line."""
    command = [sys.executable, "-m", "lsm_perception.healthcheck", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout.strip() + done.stderr.strip()


def test_an_active_node_is_healthy(node: StubProcess) -> None:
    assert check("--timeout", "30") == (0, "/lsm_perception is active.")


def test_a_state_that_is_not_wanted_is_no_health(node: StubProcess) -> None:
    assert check("--timeout", "30", "--states", "inactive,unconfigured") == (1, "/lsm_perception is active.")


def test_a_node_that_stands_still_is_not_healthy(node: StubProcess) -> None:
    node.process.send_signal(signal.SIGSTOP)
    try:
        code, line = check("--timeout", "2")
    finally:
        node.process.send_signal(signal.SIGCONT)
    assert (code, line) == (1, "/lsm_perception does not answer within 2 s.")


def test_no_node_is_not_healthy(rclpy_session: None) -> None:
    assert check("/nowhere/lsm_perception", "--timeout", "1")[0] == 1


def test_the_namespace_comes_from_the_environment(
    rclpy_session: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LSM_NAMESPACE", "robot7")
    assert check("--timeout", "1") == (1, "/robot7/lsm_perception does not answer within 1 s.")
