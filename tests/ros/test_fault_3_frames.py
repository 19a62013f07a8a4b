"""Fault 3: a minute of frames that cannot help. Dropped by name, warned of, no cloud, and a good frame ends it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fault_check import FaultCheck
from lsm_perception.conversions import stamp_to_ns
from node_process import StubProcess
from robot import Robot, image_message
from synthetic_world import HEIGHT, WIDTH, View

STEP_NS = 2_000_000_000
FRAMES = 31  # a minute of image time
Make = Callable[[np.ndarray, int], np.ndarray]


@pytest.fixture(scope="module")
def fault(stub: StubProcess, robot: Robot, stub_views: list[View]) -> FaultCheck:
    check = FaultCheck(stub, robot, stub_views)
    check.works()
    return check


def noisy(level: int, seed: int, spread: float = 1.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, spread, (HEIGHT, WIDTH, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def overexposed(rgb: np.ndarray, index: int) -> np.ndarray:
    bright = cv2.add(rgb, np.full_like(rgb, 230))
    bright[: HEIGHT // 4] = rgb[: HEIGHT // 4] // 2 + index
    return bright


def torn(rgb: np.ndarray, index: int) -> np.ndarray:
    out = cv2.add(rgb, np.full_like(rgb, index % 3))
    out[HEIGHT // 2 :] = 128
    return out


FAULTS: dict[str, tuple[str, Make]] = {
    "black": ("blank", lambda rgb, i: noisy(0, i)),
    "constant": ("blank", lambda rgb, i: np.full_like(rgb, 90 + i)),
    "white": ("blank", lambda rgb, i: np.full_like(rgb, 255)),
    "saturated": ("saturated", overexposed),
    "identical": ("frozen", lambda rgb, i: rgb),
    "blurred": ("blurred", lambda rgb, i: cv2.add(cv2.GaussianBlur(rgb, (0, 0), 9.0), np.full_like(rgb, i))),
    "torn": ("torn", torn),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_minute_of_it_is_dropped_by_name_warned_of_and_over_with_the_next_good_frame(
    fault: FaultCheck, robot: Robot, stub: StubProcess, name: str
) -> None:
    reason, make = FAULTS[name]
    view = fault.step()  # a good frame: what is identical is identical to it
    before = fault.settled()
    for index in range(1, FRAMES + 1):
        image = make(view.rgb, index)
        delivered = fault.counts()["delivered"]
        fault.publish(image_message(image, view.stamp_ns + index * STEP_NS))
        wait_until(lambda delivered=delivered: fault.counts()["delivered"] > delivered, 2.0)
    after = fault.settled()
    dropped = after.get(reason, 0) - before.get(reason, 0)
    assert dropped >= FRAMES - 3 and after["used"] == before["used"], (before, after)
    assert all(stamp_to_ns(cloud.header.stamp) <= view.stamp_ns for cloud in robot.messages("points"))
    assert fault.complained("No usable image", reason)
    assert wait_until(lambda: fault.diagnosed(f"dropped.{reason}"))
    fault.walker._stamp_ns = view.stamp_ns + (FRAMES + 2) * STEP_NS
    fault.works()
    assert fault.logged("Images are usable again")


def test_the_log_says_so_without_a_flood(fault: FaultCheck, stub: StubProcess) -> None:
    assert fault.logged("WARN", "No usable image for")
    assert stub.text.count("No usable image") <= 2 * len(FAULTS)
