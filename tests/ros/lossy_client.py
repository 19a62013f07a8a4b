"""The robot on the far side of a lossy link: `python lossy_client.py CONTROL RESULT`.

Walks through the phases below with a camera of 10 Hz, sets the link for each, and writes down what it heard.
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The tests' own plumbing, imported below with the robot, keeps to this machine and takes a domain of its own.
NETWORK = {name: os.environ[name] for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")}

import cv2
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from lsm_perception.conversions import stamp_from_ns, stamp_to_ns
from lsm_perception_msgs.msg import Keyframe
from lsm_perception_msgs.srv import QueryText, Stats
from robot import FRAME, Robot, camera_info
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from synthetic_world import View, walk
from walker import Walker

# name, loss, delay in seconds, seconds
PHASES = (("clear", 0.0, 0.0, 6.0), ("lossy", 0.2, 0.2, 15.0), ("cut", 1.0, 0.0, 9.0), ("again", 0.0, 0.0, 10.0))
READY_S = 60.0


class PngRobot(Robot):
    """A robot whose camera sends png: a third of the bytes, and the exact pixels that the stub knows."""

    def __init__(self) -> None:
        super().__init__(("keyframes", "pair_pose", "points", "diagnostics"))
        self.pictures = self.client.create_publisher(CompressedImage, "image/compressed", 10)

    def send(self, view: View, frame: str = FRAME, info: bool = True) -> None:
        data = cv2.imencode(".png", cv2.cvtColor(view.rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
        header = Header(stamp=stamp_from_ns(view.stamp_ns), frame_id=frame)
        self.infos.publish(camera_info(view.stamp_ns, frame))
        self.pictures.publish(CompressedImage(header=header, format="png", data=array("B", data)))


def set_link(control: Path, loss: float, delay_s: float) -> None:
    """Tell the link how to be from now on."""
    unfinished = control.with_suffix(".part")
    unfinished.write_text(json.dumps({"loss": loss, "delay_s": delay_s}), encoding="utf-8")
    unfinished.replace(control)


def ask(robot: Robot, kind: type, name: str, timeout_s: float, **fields: Any) -> Any:
    """Call a service and return the reply, or None when none comes in time."""
    future = robot.client_of(kind, name).call_async(kind.Request(**fields))
    deadline = time.monotonic() + timeout_s
    while not future.done() and time.monotonic() < deadline:
        time.sleep(0.02)
    return future.result() if future.done() else None


def until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
    return done()


def heard(robot: Robot) -> dict[str, Any]:
    """Return what was heard since the last call, as plain data."""
    keyframes, pairs = robot.messages("keyframes"), robot.messages("pair_pose")
    statuses = [s for m in robot.messages("diagnostics") for s in m.status if s.name.endswith(": input")]
    found = {
        "added": [k.id for k in keyframes if k.action == Keyframe.ADDED],
        "accepted": [p.id for p in pairs if p.accepted],
        "clouds": [stamp_to_ns(c.header.stamp) for c in robot.messages("points")],
        "warnings": sorted({s.message for s in statuses if s.level != DiagnosticStatus.OK}),
    }
    robot.forget()
    return found


def counters(robot: Robot) -> dict[str, Any]:
    """Return what the node counted since the last call."""
    stats = ask(robot, Stats, "stats", 20.0, reset=True)
    if stats is None:
        return {}
    dropped = {d.reason: d.count for d in stats.dropped}
    return {"delivered": stats.delivered, "used": stats.used, "dropped": dropped, "lost": stats.transport_lost}


def main(control: Path, result: Path) -> int:
    """Walk through the phases; 0 when the node was there."""
    set_link(control, 0.0, 0.0)
    os.environ.update(NETWORK)
    rclpy.init(args=[])
    robot = PngRobot()
    if not until(lambda: robot.pictures.get_subscription_count() > 0, READY_S):
        return 1
    for kind, name in ((QueryText, "query_text"), (Stats, "stats")):
        robot.client_of(kind, name)  # found while the link is clear: a node drops replies to whom it does not know
    walker = Walker(robot, walk(40))
    out: dict[str, Any] = {}
    for name, loss, delay_s, seconds in PHASES:
        set_link(control, loss, delay_s)
        sent, deadline = walker.sent, time.monotonic() + seconds
        while time.monotonic() < deadline:
            walker.step()
        out[name] = {"sent": walker.sent - sent}
        if name == "lossy":
            # Requests and replies are reliable: they come through, later.
            began = time.monotonic()
            reply = ask(robot, QueryText, "query_text", 30.0, texts=["door"], target=QueryText.Request.LATEST)
            out[name]["query"] = {"success": bool(reply and reply.success), "s": time.monotonic() - began}
        if name != "cut":
            time.sleep(3.0)  # what is reliable is sent again until it has come
            out[name] |= counters(robot)
        out[name] |= heard(robot)
    result.write_text(json.dumps(out), encoding="utf-8")
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.flush()
    os._exit(code)
