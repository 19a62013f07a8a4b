"""The views for RViz and Foxglove name only topics that the running node has, with types and QoS that fit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception", reason="the workspace is not built: ./run setup")

from lsm_perception.frames import frame_names
from lsm_perception.publishers import GLOBAL, TYPES
from node_process import StubProcess
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from robot import Robot
from waiting import wait_until

pytestmark = pytest.mark.ros
SHOWN = {f"/lsm_perception/{name}" for name in ("map_points", "markers", "path", "points", "segmentation/overlay")}
CONFIG = Path(__file__).resolve().parents[2] / "config"
RVIZ_TYPES = {
    "PointCloud2": "sensor_msgs/msg/PointCloud2",
    "Path": "nav_msgs/msg/Path",
    "Image": "sensor_msgs/msg/Image",
    "MarkerArray": "visualization_msgs/msg/MarkerArray",
    "PoseWithCovariance": "geometry_msgs/msg/PoseWithCovarianceStamped",
}
# What a panel of Foxglove can show: https://docs.foxglove.dev/docs/visualization/panels
SCENE_TYPES = {
    "sensor_msgs/msg/PointCloud2",
    "nav_msgs/msg/Path",
    "visualization_msgs/msg/MarkerArray",
    "sensor_msgs/msg/CameraInfo",
}


def rviz() -> dict[str, Any]:
    return dict(
        yaml.safe_load((CONFIG / "lsm_perception.rviz").read_text(encoding="utf-8"))["Visualization Manager"]
    )


def foxglove() -> dict[str, Any]:
    return dict(json.loads((CONFIG / "foxglove_layout.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def graph(stub: StubProcess, robot: Robot) -> Iterator[Node]:
    """A node that sees the outputs of the running stub."""
    wanted = [f"/lsm_perception/{name}" for name in TYPES if name not in GLOBAL]
    assert wait_until(lambda: all(types_of(robot.client, topic) for topic in wanted), 30)
    yield robot.client


def types_of(graph: Node, topic: str) -> set[str]:
    """Return the types that the perception node publishes on a topic."""
    infos = graph.get_publishers_info_by_topic(topic)
    return {info.topic_type for info in infos if info.node_name == "lsm_perception"}


def requested(topic: dict[str, Any]) -> QoSProfile:
    """Return the QoS of a display of RViz."""
    policies = {key: topic[key].lower().replace(" ", "_") for key in topic if key.endswith("Policy")}
    return QoSProfile(
        depth=topic["Depth"],
        history=HistoryPolicy[policies["History Policy"].upper()],
        reliability=ReliabilityPolicy[policies["Reliability Policy"].upper()],
        durability=DurabilityPolicy[policies["Durability Policy"].upper()],
        liveliness=LivelinessPolicy.AUTOMATIC,
    )


def test_each_display_of_rviz_hears_a_topic_of_the_node(graph: Node) -> None:
    displays = [d for d in rviz()["Displays"] if "Topic" in d]
    assert {d["Topic"]["Value"] for d in displays} >= SHOWN
    for display in displays:
        topic = display["Topic"]["Value"]
        assert types_of(graph, topic) == {RVIZ_TYPES[display["Class"].rpartition("/")[2]]}, topic
        (info,) = [i for i in graph.get_publishers_info_by_topic(topic) if i.node_name == "lsm_perception"]
        compatible, reason = qos_check_compatible(info.qos_profile, requested(display["Topic"]))
        assert compatible == QoSCompatibility.OK, f"{topic}: {reason}"
        # A latched topic is asked for as latched, or its last message would be missed.
        durability = requested(display["Topic"]).durability
        assert durability == info.qos_profile.durability, topic


def test_rviz_and_foxglove_look_from_frames_that_the_node_has() -> None:
    names = frame_names("", "", "odom")
    ours = {names.odom, *vars(names.unscaled).values(), *vars(names.metric).values()}
    assert {rviz()["Global Options"]["Fixed Frame"], rviz()["Views"]["Current"]["Target Frame"]} <= ours
    assert foxglove()["configById"]["3D!scene"]["followTf"] in ours


def test_each_panel_of_foxglove_shows_a_topic_of_the_node(graph: Node) -> None:
    panels = foxglove()["configById"]
    shown: dict[str, set[str] | None] = {}
    for name, panel in panels.items():
        if name.startswith("3D!"):
            shown |= {topic: SCENE_TYPES for topic in panel["topics"]}
        elif name.startswith("Image!"):
            shown[panel["imageMode"]["imageTopic"]] = {"sensor_msgs/msg/Image"}
            if "calibrationTopic" in panel["imageMode"]:
                shown[panel["imageMode"]["calibrationTopic"]] = {"sensor_msgs/msg/CameraInfo"}
        elif name.startswith("RawMessages!"):
            shown[panel["topicPath"]] = None
        elif name.startswith("DiagnosticSummary!"):
            shown[panel["topicToRender"]] = {"diagnostic_msgs/msg/DiagnosticArray"}
        elif name.startswith("Plot!"):
            shown |= {path["value"].partition(".")[0]: None for path in panel["paths"]}
        else:
            pytest.fail(f"panel {name} is not checked")
    assert set(shown) >= SHOWN
    for topic, allowed in shown.items():
        types = types_of(graph, topic)
        assert len(types) == 1 and (allowed is None or types <= allowed), (topic, types)


def test_plotted_fields_exist() -> None:
    from lsm_perception_msgs.msg import Keyframe

    paths = [p["value"] for name, p in plots() for p in p["paths"]]
    fields = Keyframe.get_fields_and_field_types()
    assert paths and all(fields[path.partition(".")[2]] in ("float", "double") for path in paths)


def plots() -> list[tuple[str, Any]]:
    return [(name, panel) for name, panel in foxglove()["configById"].items() if name.startswith("Plot!")]


def test_the_layout_of_foxglove_places_each_panel_once() -> None:
    def leaves(tree: Any) -> list[str]:
        return [tree] if isinstance(tree, str) else leaves(tree["first"]) + leaves(tree["second"])

    assert sorted(leaves(foxglove()["layout"])) == sorted(foxglove()["configById"])
