"""Evidence as the doctor gathers it of a good robot, to be changed by one fault at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from lsm_perception.conversions.poses import transform_message
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.records import Arrival, Record, TransformRecord
from lsm_perception.doctor.ros_checks import judge
from lsm_perception.doctor.snapshot import Snapshot
from lsm_perception.doctor.streams import IMAGE_KIND, INFO_KIND, Stream
from lsm_perception.doctor.target import Target
from lsm_perception.graph import Peer
from lsm_perception.qos import input_qos
from lsm_perception.silence import Listened
from rclpy.qos import QoSProfile
from robot import FRAME, camera_info, image_message
from synthetic_world import HEIGHT, WIDTH
from tf2_msgs.msg import TFMessage

from lsm_core.doctor import Finding

NODE = Target("/lsm_perception")
PICTURE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
SECOND_NS = 1_000_000_000
NOW_NS = time.time_ns()
BEGAN_S = time.monotonic()


def ticks(count: int = 20, hz: float = 10.0, offset_s: float = 0.0, clock_ns: int = NOW_NS) -> list[Arrival]:
    """Return regular arrivals whose stamps are off by some seconds."""
    period_ns = int(SECOND_NS / hz)
    return [
        Arrival(
            clock_ns + i * period_ns + int(offset_s * SECOND_NS),
            clock_ns + i * period_ns,
            BEGAN_S + i * period_ns / 1e9,
        )
        for i in range(count)
    ]


def record(message: Any, arrivals: Sequence[Arrival]) -> Record:
    """Return the record of a topic."""
    out = Record()
    for came in arrivals:
        out.add(message, came)
    return out


def stream(
    name: str, topic: str, message: Any, arrivals: Sequence[Arrival], target: Target | None = NODE
) -> Stream:
    """Return an input that was listened to."""
    kinds = {"image": IMAGE_KIND, "depth": IMAGE_KIND, "camera_info": INFO_KIND, "odom": "nav_msgs/msg/Odometry"}
    return Stream(
        Listened(name, topic, kinds[name], input_qos(name)), target=target, record=record(message, arrivals)
    )


def sent(**topics: str) -> dict[str, list[Peer]]:
    """Return publishers of one node, "/driver", by topic, of the types given."""
    return {f"/{name}": [Peer("/driver", kind, QoSProfile(depth=10))] for name, kind in topics.items()}


GOOD_SENDERS = sent(image=IMAGE_KIND, camera_info=INFO_KIND)


def tree(stamps: Sequence[Arrival], mount: str = FRAME, root: str = "odom", late_s: float = 0.0) -> TransformRecord:
    """Return tf with root -> base_link at stamps, so late, and base_link -> mount."""
    out = TransformRecord()
    for came in stamps:
        link = transform_message(np.eye(4), root, "base_link", came.stamp_ns)
        out.take(TFMessage(transforms=[link]), False, came.mono_s + late_s)
    out.take(TFMessage(transforms=[transform_message(np.eye(4), "base_link", mount, 0)]), static=True)
    return out


def evidence(
    arrivals: Sequence[Arrival] | None = None, target: Target = NODE, message: Any = None, **changes: Any
) -> Evidence:
    """Return a good robot's evidence, with changes."""
    came = ticks() if arrivals is None else arrivals
    streams = (
        stream("image", "/image", message or image_message(PICTURE, NOW_NS), came, target),
        stream("camera_info", "/camera_info", camera_info(NOW_NS), came, target),
    )
    fields: dict[str, Any] = {
        "graph": Snapshot(("/driver", target.name), GOOD_SENDERS),
        "targets": (target,),
        "streams": streams,
        "transforms": tree(ticks(40)),
    }
    return Evidence(**(fields | changes))


def found(given: Evidence) -> dict[str, Finding]:
    """Return what is not well, by code."""
    return {finding.code: finding for finding in judge(given) if finding.code}
