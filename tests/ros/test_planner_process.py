"""The planner examples as processes: start by name, refuse bad parameters, outlive bad messages, end cleanly."""

from __future__ import annotations

import array
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.conversions.poses import transform_message
from lsm_perception.examples.goal_from_detection import GoalFromDetection, GoalParameters
from lsm_perception.examples.label_mask import LabelMask, MaskParameters
from lsm_perception.settings import leaves
from lsm_perception_msgs.msg import Scale
from nav_msgs.msg import OccupancyGrid
from node_process import NodeProcess
from planner_side import parameters, spun_together
from rcl_interfaces.msg import Log
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3D, Detection3DArray, LabelInfo, ObjectHypothesisWithPose, VisionClass

from lsm_core.errors import InputError

SCRIPTS = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "lsm_perception" / "scripts"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.mark.parametrize("name", ["label_mask", "goal_from_detection"])
def test_the_launcher_that_ros2_run_starts_ends_with_0_on_ctrl_c(name: str, tmp_path: Path) -> None:
    process = NodeProcess(
        tmp_path / "log",
        *("--ros-args", "-p", "bad_name:=1", "-p", "perception:=lsm_perception"),
        command=[str(SCRIPTS / name)],
    )
    try:
        process.wait_for("Parameter 'bad_name' is not one of this node's", 60.0)
        assert process.stop() < 10.0
    finally:
        process.end()


def test_a_refused_parameter_ends_the_process_with_one_line() -> None:
    words = ["--ros-args", "-p", "slow_percent:=200"]
    done = subprocess.run(
        [sys.executable, "-m", "lsm_perception.examples.label_mask", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 1 and "slow_percent" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(("make", "settings"), [(LabelMask, MaskParameters), (GoalFromDetection, GoalParameters)])
def test_every_number_has_a_range_and_is_refused_outside(
    rclpy_session: None, make: type[Node], settings: type
) -> None:
    for entry in leaves(settings):
        if isinstance(entry.default, bool | str):
            continue
        assert entry.spec.low is not None and entry.spec.high is not None, entry.name
        with pytest.raises(InputError, match=entry.name):
            make(**parameters(**{entry.name: type(entry.default)(entry.spec.high + 1)}))


def test_a_malformed_list_of_words_is_refused(rclpy_session: None) -> None:
    with pytest.raises(InputError, match="keepout"):
        LabelMask(**parameters(keepout=" , ;"))


def test_masks_of_more_cells_than_memory_should_hold_are_refused(rclpy_session: None) -> None:
    with pytest.raises(InputError, match=r"size_m.*2001 cells a side"):
        LabelMask(**parameters(keepout="rug", size_m=20.01, resolution_m=0.01))
    LabelMask(**parameters(keepout="rug", size_m=100.0, resolution_m=0.05)).destroy_node()


def test_messages_that_lie_about_themselves_stop_neither_example(rclpy_session: None) -> None:
    masks = LabelMask(**parameters(keepout="rug"))
    goals = GoalFromDetection(**parameters(max_age_s=0.0, costmap="costmap"))
    liar = Node("liar")
    name = "lsm_perception"
    out = {
        "scale": liar.create_publisher(Scale, f"{name}/scale", LATCHED),
        "words": liar.create_publisher(LabelInfo, f"{name}/segmentation/label_info", LATCHED),
        "label": liar.create_publisher(Image, f"{name}/segmentation/label", 5),
        "depth": liar.create_publisher(Image, f"{name}/depth/image", 5),
        "info": liar.create_publisher(CameraInfo, f"{name}/depth/camera_info", 5),
        "camera": liar.create_publisher(CameraInfo, "camera_info", 5),
        "detections": liar.create_publisher(Detection3DArray, f"{name}/detections", 5),
        "costmap": liar.create_publisher(OccupancyGrid, "costmap", LATCHED),
    }
    tf = liar.create_publisher(TFMessage, "/tf_static", LATCHED)
    tf.publish(TFMessage(transforms=[transform_message(np.eye(4), "odom", "camera", 0)]))
    lines: list[tuple[str, str]] = []
    liar.create_subscription(Log, "/rosout", lambda message: lines.append((message.name, message.msg)), 100)

    def refused(node: str, part: str) -> bool:
        return any(name == node and part in text and "not used" in text for name, text in list(lines))

    with spun_together(masks, goals, liar):
        assert wait_until(lambda: all(publisher.get_subscription_count() for publisher in out.values()))
        out["scale"].publish(Scale(state=Scale.METRIC, epoch=1))
        out["words"].publish(LabelInfo(class_map=[VisionClass(class_id=0, class_name="rug")]))
        assert wait_until(lambda: masks._gate.metric and goals._gate.metric)
        assert wait_until(lambda: masks._table.labels(["rug"]) == {0})
        camera = CameraInfo(width=8, height=8, k=[8.0, 0.0, 4.0, 0.0, 8.0, 4.0, 0.0, 0.0, 1.0])
        out["camera"].publish(camera)
        assert wait_until(lambda: masks._info is not None)
        for stamp in range(1, 4):
            head = Header(frame_id="camera")
            head.stamp.sec = stamp
            out["info"].publish(CameraInfo(header=head))
            out["depth"].publish(Image(header=head, width=9, height=9, step=1, encoding="32FC1"))
            short = array.array("B", [0])
            out["label"].publish(Image(header=head, width=8, height=8, step=8, encoding="mono8", data=short))
            endless = Detection3D(results=[ObjectHypothesisWithPose()])
            endless.bbox.size.x = float("nan")
            turned = Detection3D(results=[ObjectHypothesisWithPose()])
            turned.bbox.center.orientation.w = 0.0
            out["detections"].publish(Detection3DArray(header=head, detections=[endless, Detection3D(), turned]))
            out["costmap"].publish(OccupancyGrid(data=[0]))
        assert wait_until(lambda: refused("label_mask", "Image") or refused("label_mask", "CameraInfo")), lines
        assert wait_until(lambda: refused("goal_from_detection", "zero quaternion")), lines
        assert wait_until(lambda: refused("goal_from_detection", "OccupancyGrid")), lines
        out["scale"].publish(Scale(state=Scale.UNKNOWN, epoch=1))
        assert wait_until(lambda: not masks._gate.metric and not goals._gate.metric), "a message ended an example"
        assert goals._goal is None and not masks._sent
