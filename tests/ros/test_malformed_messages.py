"""No message on any input stops the node: malformed ones on all of them, over DDS, every image accounted for."""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.conversions import stamp_from_ns
from malformed_traffic import DEPTH, MalformedTraffic
from node_process import ACTIVE, StubProcess
from robot import FRAME, Robot, camera_info, image_message
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from synthetic_world import View

logger = logging.getLogger(__name__)
SEED = 20_261_120
LINES_PER_S = 4.0  # more in the log than this is a flood


@pytest.fixture(params=["raw", "compressed"])
def listening(
    request: pytest.FixtureRequest, rclpy_session: None, tmp_path: Path
) -> Iterator[tuple[str, StubProcess]]:
    """The stub process with an image subscription that loses nothing, and simulated time in the raw case."""
    topic = "image" if request.param == "raw" else "image/compressed"
    parameters = {
        "image_transport": request.param,
        "use_sim_time": request.param == "raw",
        f"qos_overrides./{topic}.subscription.reliability": "reliable",
        f"qos_overrides./{topic}.subscription.depth": DEPTH,
    }
    process = StubProcess(tmp_path, parameters)
    process.wait_for(ACTIVE)
    yield request.param, process
    process.end()


def check_after_traffic(process: StubProcess, traffic: MalformedTraffic, seconds: float) -> None:
    """The process lives, the log is short and without tracebacks, and every image has the reason it must have."""
    counts = traffic.statistics()
    dropped = {d.reason: d.count for d in counts.dropped}
    assert process.alive and "Traceback" not in process.text, process.text[-3000:]
    assert counts.delivered == counts.used + sum(dropped.values()) == traffic.images_sent
    for reason, count in traffic.expected.items():
        assert dropped.get(reason, 0) >= count, (reason, dropped, traffic.expected)
    odd = traffic.images_sent - sum(traffic.expected.values())
    assert sum(dropped.get(r, 0) - n for r, n in traffic.expected.items()) <= odd
    assert "internal" not in dropped and "backend_error" not in dropped
    lines = process.text.count("\n")
    assert lines < 60 + LINES_PER_S * seconds, f"{lines} lines in {seconds:.0f} s:\n{process.text[-3000:]}"


def check_good_frames_work(transport: str, traffic: MalformedTraffic, views: list[View]) -> None:
    """A walk with good calibration gives accepted pairs and clouds in which nothing is left of what was before."""
    robot = Robot(("pair_pose", "points"), name="after")
    try:
        for _ in range(3):
            for view in views[:14]:
                robot.infos.publish(camera_info(view.stamp_ns))
                time.sleep(0.02)
                traffic.images.publish(picture(view) if transport == "compressed" else raw(view))
                time.sleep(0.1)
            if wait_until(lambda: len(robot.messages("points")) >= 2, 5.0):
                break
        assert len(robot.messages("points")) >= 2
        stamps = {view.stamp_ns for view in views}
        clouds = robot.messages("points")
        assert all(c.header.stamp.sec * 10**9 + c.header.stamp.nanosec in stamps for c in clouds)
        assert any(pair.accepted for pair in robot.messages("pair_pose"))
    finally:
        robot.close()


def raw(view: View) -> object:
    """Return the view as a raw image."""
    return image_message(view.rgb, view.stamp_ns)


def picture(view: View) -> CompressedImage:
    """Return the view as a png."""
    data = cv2.imencode(".png", cv2.cvtColor(view.rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
    header = Header(stamp=stamp_from_ns(view.stamp_ns), frame_id=FRAME)
    return CompressedImage(header=header, format="png", data=array("B", data))


def test_a_thousand_malformed_messages_of_each_transport_change_nothing(
    listening: tuple[str, StubProcess], robot: Robot, stub_views: list[View]
) -> None:
    transport, process = listening
    traffic = MalformedTraffic(robot.client, SEED, transport == "compressed")
    assert wait_until(lambda: traffic.images.get_subscription_count() > 0)
    seconds = traffic.run(1000)
    check_after_traffic(process, traffic, seconds)
    check_good_frames_work(transport, traffic, stub_views)
    assert process.stop() < 5.0


@pytest.mark.slow
def test_a_hundred_thousand_malformed_messages_leave_memory_flat(
    listening: tuple[str, StubProcess], robot: Robot, stub_views: list[View]
) -> None:
    transport, process = listening
    traffic = MalformedTraffic(robot.client, SEED + 1, transport == "compressed")
    assert wait_until(lambda: traffic.images.get_subscription_count() > 0)
    seconds = traffic.run(10_000)
    before = process.resident_mib(), process.thread_count(), process.descriptor_count()
    seconds += traffic.run(40_000)
    after = process.resident_mib(), process.thread_count(), process.descriptor_count()
    logger.warning("%s: %.0f s, %.0f messages/s, %s -> %s", transport, seconds, 50_000 / seconds, before, after)
    assert after[0] < 1.05 * before[0]
    assert after[1] <= before[1] + 1 and after[2] <= before[2] + 2
    check_after_traffic(process, traffic, seconds)
    check_good_frames_work(transport, traffic, stub_views)
    assert process.stop() < 5.0
