"""The package's nodes beside the perception node: what they say, hear and serve, names as in their code.

Topics and services under `lsm_perception/` are the perception node's.
"""

from __future__ import annotations

from dataclasses import dataclass

from lsm_perception.doctor.probe import NAME as DOCTOR
from lsm_perception.interface import PROBE, VIEWER
from lsm_perception.publishers import GLOBAL, TYPES
from lsm_perception.qos import input_names
from lsm_perception.viewer.ros_link import SERVICES as ASKED_BY_VIEWER

NODE = "lsm_perception/"


@dataclass(frozen=True)
class OtherNode:
    """One node: what starts it, and its ends beside those that rclpy gives every node."""

    name: str
    started_by: str
    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


VIEWER_NODE = OtherNode(
    VIEWER,
    "`viewer:=true`; hears only while a browser is connected ([viewer.md](viewer.md))",
    subscribes=(*(f"/{name}" if name in GLOBAL else NODE + name for name in TYPES), *input_names()),
    asks=tuple(NODE + name for name in ASKED_BY_VIEWER),
)
PROBE_NODE = OtherNode(PROBE, "`python -m lsm_perception.healthcheck`", asks=(NODE + "get_state",))
REPLAY_NODE = OtherNode(
    "lsm_replay",
    "`./run replay`, `bag:=`; publishes what the bag holds ([launch.md](launch.md#playing-a-recording))",
    publishes=("/clock",),
    serves=("~/pause", "~/resume", "~/toggle_paused"),
)
LABEL_MASK = OtherNode(
    "label_mask",
    "an example for planners ([planner.md](planner.md))",
    publishes=("keepout_mask", "speed_mask"),
    subscribes=(
        NODE + "scale", NODE + "segmentation/label_info", NODE + "segmentation/label", NODE + "depth/image",
        NODE + "depth/camera_info", "camera_info", "/tf", "/tf_static",
    ),
)  # fmt: skip
GOAL = OtherNode(
    "goal_from_detection",
    "an example for planners ([planner.md](planner.md))",
    publishes=("goal_pose",),
    subscribes=(NODE + "scale", NODE + "detections", "/tf", "/tf_static"),
    serves=("~/send",),
)
DOCTOR_NODE = OtherNode(
    DOCTOR,
    "`lsm doctor`, for some seconds; hears the robot's topics ([doctor.md](doctor.md))",
    asks=(NODE + "get_state", NODE + "get_parameters"),
)
OTHERS = (VIEWER_NODE, PROBE_NODE, DOCTOR_NODE, REPLAY_NODE, LABEL_MASK, GOAL)
