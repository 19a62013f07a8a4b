"""What is to be said of each topic beside its type and QoS: frame, unit, when it is published, what it holds.

Names are those of `publishers.TYPES` and `qos`; `tests/ros/test_interface_reference.py` compares every field with a
running node.
"""

from __future__ import annotations

from dataclasses import dataclass

from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, Image

IMAGE = "the image's"
CAMERA = ("lsm_camera_unscaled", IMAGE)
KEYFRAME = ("lsm_keyframe_unscaled", "lsm_keyframe")
MAP = ("lsm_map_unscaled", "lsm_map")
OF_IMAGE = (IMAGE, IMAGE)
METRIC_ONLY = ("", IMAGE)
NO_FRAME = ("", "")
SCENE_UNIT = "the segment's, or metres"


@dataclass(frozen=True)
class Output:
    """One output.

    Attributes:
        holds: its content, with encodings.
        frames: frame_id while the scale is not METRIC, and while it is; "" where the topic is silent or has none.
        unit: of what it measures, "" where it measures nothing.
        when: what makes the node publish a message.
        lazy: whether nothing is made or sent while nobody listens.
    """

    holds: str
    frames: tuple[str, str]
    unit: str
    when: str
    lazy: bool = True

    @property
    def metric_only(self) -> bool:
        """Whether it is silent unless the scale is METRIC."""
        return self.frames == METRIC_ONLY


@dataclass(frozen=True)
class Input:
    """One input: message class, content and unit, and what turns it on."""

    kind: type
    holds: str
    used: str


_ACCEPTED = "each keyframe with a place in the map"
_ALL = "each keyframe, where the model has words"
_EMPTIED = "; an empty one after a reset, also while nobody listens"

OUTPUTS: dict[str, Output] = {
    "points": Output(
        "points of the newest keyframe: x y z rgb confidence label score", CAMERA, SCENE_UNIT, _ACCEPTED
    ),
    "map_points": Output(
        "union of the segment's newest `map.keyframes` keyframes, same fields", MAP, SCENE_UNIT,
        "when the map has changed; an empty one at a new segment and" + _EMPTIED.removeprefix("; an empty one"),
    ),
    "gaussians": Output("Gaussians of the newest pair, as in 3DGS files", CAMERA, SCENE_UNIT, "each accepted pair"),
    "pair_pose": Output("relative pose and report", KEYFRAME, SCENE_UNIT + "; rad", "each pair, accepted or not"),
    "relative_pose": Output("the same pose alone", KEYFRAME, SCENE_UNIT + "; rad", "each accepted pair"),
    "path": Output(
        "poses of the segment's keyframes", MAP, SCENE_UNIT,
        _ACCEPTED + _EMPTIED,
    ),
    "segmentation/label": Output("mono8, index of the standing query, 255 unlabelled", OF_IMAGE, "", _ALL),
    "segmentation/score": Output("32FC1, score of that query", OF_IMAGE, "0 to 1", _ALL),
    "segmentation/overlay": Output("rgb8, the image with its labels drawn in", OF_IMAGE, "", _ALL),
    "segmentation/label_info": Output(
        "names of the labels", OF_IMAGE, "", "activation, and when the standing queries change", lazy=False
    ),
    "detections": Output("things with boxes and lasting ids", METRIC_ONLY, "metres", _ACCEPTED),
    "markers": Output(
        "for RViz and Foxglove: `keyframes`, `path`; in metres also `boxes`, `labels`", MAP, SCENE_UNIT,
        _ACCEPTED + _EMPTIED,
    ),
    "depth/image": Output("32FC1 on the model's grid, NaN invalid", METRIC_ONLY, "metres", _ACCEPTED),
    "depth/camera_info": Output("calibration of that grid", METRIC_ONLY, "pixels", "with `~/depth/image`"),
    "keyframes": Output("what became of each image that could be read, and why", OF_IMAGE, "", "each decision"),
    "scale": Output(
        "whether metres are known, from what, how well", OF_IMAGE, "metres per unit", "activation, and each change",
        lazy=False,
    ),
    "diagnostics": Output("see below", NO_FRAME, "", "every `diagnostics_period_s`", lazy=False),
}  # fmt: skip

INPUTS: dict[str, Input] = {
    "image": Input(Image, "one camera's pictures, any common encoding", "always (`image_transport: raw`)"),
    "camera_info": Input(CameraInfo, "its calibration; without it the focal length is estimated", "always"),
    "depth": Input(
        Image,
        "16UC1 millimetres or 32FC1 metres, registered to the image, same size, within 20 ms",
        "`scale.source` `auto` or `depth`",
    ),
    "mask": Input(Image, "mono8 or 8UC1 of the image's size; not 0: moves", "always; optional"),
    "odom": Input(
        Odometry, "pose of the robot's base in `odom_frame`, metres",
        "`odometry.source` `auto` or `topic`; one per node",
    ),
}  # fmt: skip

# Topics that ROS itself gives the node: name, type, QoS in words, what for.
STANDARD_OUTPUTS: tuple[tuple[str, str, str, str], ...] = (
    ("/tf", "tf2_msgs/msg/TFMessage", "reliable, volatile, depth 100", "the frames below; each accepted pair"),
    (
        "~/transition_event", "lifecycle_msgs/msg/TransitionEvent", "reliable, volatile",
        "each change of the lifecycle state",
    ),
    ("/rosout", "rcl_interfaces/msg/Log", "reliable, transient local", "the log"),
    (
        "/parameter_events", "rcl_interfaces/msg/ParameterEvent", "reliable, volatile",
        "each change of a parameter",
    ),
)  # fmt: skip
STANDARD_INPUTS: tuple[tuple[str, str, str, str], ...] = (
    (
        "/tf", "tf2_msgs/msg/TFMessage", "reliable, volatile, depth 100",
        "odometry and a rig's extrinsics; `odometry.source` `auto` or `tf`, or `pairing: rig`",
    ),
    (
        "/tf_static", "tf2_msgs/msg/TFMessage", "reliable, transient local, depth 100",
        "where the camera sits on the robot; as `/tf`",
    ),
    ("/clock", "rosgraph_msgs/msg/Clock", "best effort, volatile, depth 1", "only with `use_sim_time`"),
)  # fmt: skip
