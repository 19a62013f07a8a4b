"""The real process with the real model: it starts, works, and ends with 0 on SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from cv_bridge import CvBridge
from harness import FRAME
from lsm_perception.conversions.stamps import stamp_from_ns, stamp_to_ns
from lsm_perception.node import missing_requirement
from lsm_perception_msgs.srv import QueryText
from node_process import NodeProcess
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from synthetic_world import walk

EXIT_LIMIT_S = 5.0
LAUNCHER = Path(__file__).resolve().parents[2] / "ros2_ws/src/lsm_perception/scripts/lsm_perception"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "node.log"


@pytest.fixture
def running(log: Path) -> Iterator[NodeProcess]:
    process = NodeProcess(log, command=[str(LAUNCHER)])
    yield process
    process.end()
    process.process.wait()


def test_works_on_images_and_ends_on_sigint_in_the_middle_of_work(
    rclpy_session: None, running: NodeProcess
) -> None:
    running.wait_for("Active; listening to")
    node = Node("process_client")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        masks: list[Image] = []
        node.create_subscription(Image, "lsm_perception/segmentation/label", masks.append, QoSProfile(depth=10))
        publisher = node.create_publisher(Image, "image", 1)
        client = node.create_client(QueryText, "lsm_perception/query_text")

        def spin_until(done: object, timeout_s: float = 60.0) -> None:
            deadline = time.monotonic() + timeout_s
            while not done() and time.monotonic() < deadline:  # type: ignore[operator]
                executor.spin_once(timeout_sec=0.05)
            assert done(), running.text  # type: ignore[operator]

        spin_until(lambda: publisher.get_subscription_count() > 0 and client.service_is_ready())
        views = walk(14)
        for view in views:
            message = CvBridge().cv2_to_imgmsg(view.rgb, encoding="rgb8")
            message.header = Header(stamp=stamp_from_ns(view.stamp_ns), frame_id=FRAME)
            publisher.publish(message)
            executor.spin_once(timeout_sec=0.2)
        spin_until(lambda: len(masks) >= 1)
        assert stamp_to_ns(masks[0].header.stamp) in {v.stamp_ns for v in views}
        future = client.call_async(QueryText.Request(texts=["wall"]))
        spin_until(future.done)
        assert future.result().success and len(future.result().masks) == 1
        for view in views:
            message.header.stamp = stamp_from_ns(view.stamp_ns + 10_000_000_000)
            publisher.publish(message)
        assert running.stop(signal.SIGINT) < EXIT_LIMIT_S
    finally:
        executor.shutdown()
        node.destroy_node()


def test_ends_on_sigterm_while_the_model_loads(running: NodeProcess) -> None:
    time.sleep(1.5)
    assert running.stop(signal.SIGTERM) < EXIT_LIMIT_S


def test_a_bad_parameter_is_one_line_with_the_fix(log: Path) -> None:
    process = NodeProcess(log, "--ros-args", "-p", "keyframes.max_age_s:=-1.0")
    assert process.process.wait(60) == 1
    assert "keyframes.max_age_s" in process.text and "Fix:" in process.text and "Traceback" not in process.text


def test_unknown_keys_and_a_missing_backend_are_reported_and_the_node_stays_up(log: Path, tmp_path: Path) -> None:
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(
        "lsm_perception:\n  ros__parameters:\n    backend: lsm-huge\n    keyframes:\n      max_aeg_s: 3.0\n",
        encoding="utf-8",
    )
    process = NodeProcess(log, "--ros-args", "--params-file", str(parameters))
    try:
        process.wait_for("Cannot configure")
        assert "There is no backend 'lsm-huge'" in process.text and "lsm-tiny" in process.text
        assert "'keyframes.max_aeg_s' is not one of this node's" in process.text
        assert process.stop(signal.SIGINT) < EXIT_LIMIT_S
    finally:
        process.end()


def test_a_missing_package_is_one_line_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torch" else real(name, *a))
    complaint = missing_requirement()
    assert complaint is not None and "'torch' is missing" in complaint and "pip install" in complaint
    assert "\n" not in complaint
