"""The SROS2 policy allows what the node does on the live graph, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

import rclpy
from lsm_perception.bringup import parse_arguments, remappings
from lsm_perception.sros2_policy import main, policy, policy_text
from node_process import ACTIVE, StubProcess
from rclpy.node import Node

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "ros2_ws" / "src" / "lsm_perception" / "config" / "sros2_policy.xml"
# use_sim_time, for only then the node hears /clock.
SETTINGS: dict[str, list[str]] = {
    "plain": ["use_sim_time:=true"],
    "renamed": ["namespace:=robot1", "image_topic:=/camera/image_raw", "image_transport:=compressed",
                "odom_topic:=wheel/odom", "use_sim_time:=true"],
    "two cameras": ["cameras:=left,right", "odom_topic:=/odometry", "use_sim_time:=true"],
}  # fmt: skip
RIGHTS = {
    ("topics", "publish"): "get_publisher_names_and_types_by_node",
    ("topics", "subscribe"): "get_subscriber_names_and_types_by_node",
    ("services", "reply"): "get_service_names_and_types_by_node",
    ("services", "request"): "get_client_names_and_types_by_node",
}


@pytest.fixture(scope="module", params=list(SETTINGS))
def words(request: pytest.FixtureRequest) -> list[str]:
    return SETTINGS[request.param]


@pytest.fixture(scope="module")
def process(rclpy_session: None, words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The node, active, with the names and parameters that bring-up would give it."""
    values, _ = parse_arguments(words)
    parameters: dict[str, Any] = {"use_sim_time": True}
    if values["image_transport"]:
        parameters["image_transport"] = values["image_transport"]
    if values["cameras"]:
        parameters["cameras"] = values["cameras"].split(",")
    node = StubProcess(
        tmp_path_factory.mktemp("policy"),
        parameters,
        f"/{values['namespace']}" if values["namespace"] else "",
        [f"{inner}:={outer}" for inner, outer in remappings(values)],
    )
    node.wait_for(ACTIVE)
    yield
    node.end()


@pytest.fixture(scope="module")
def observer(rclpy_session: None) -> Iterator[Node]:
    node = rclpy.create_node("policy_observer")
    yield node
    node.destroy_node()


def profile(root: Element, node: str) -> Element:
    """Return the profile of a node."""
    (found,) = [element for element in root.iter("profile") if element.get("node") == node]
    return found


def allowed(root: Element, kind: str, right: str) -> set[str]:
    """Return the names that the perception node's profile allows."""
    groups = [g for g in profile(root, "lsm_perception").iter(kind) if g.get(right) == "ALLOW"]
    return {str(item.text) for group in groups for item in group}


@pytest.mark.parametrize(("kind", "right"), list(RIGHTS), ids=lambda word: word)
def test_the_policy_is_what_the_live_node_does(
    process: None, observer: Node, words: list[str], kind: str, right: str
) -> None:
    values, _ = parse_arguments(words)
    root = policy(values)
    look: Callable[[str, str], Any] = getattr(observer, RIGHTS[kind, right])

    def live() -> set[str]:
        try:
            return {name for name, _ in look("lsm_perception", "/" + values["namespace"])}
        except RuntimeError:  # not discovered yet
            return set()

    expected = allowed(root, kind, right)
    wait_until(lambda: live() == expected, 20.0)
    assert live() == expected


def test_the_committed_policy_is_the_one_of_todays_node() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == policy_text([]), "run ./run policy -o " + str(COMMITTED)


def test_nothing_is_allowed_to_a_node_without_a_profile_and_no_name_is_a_pattern() -> None:
    root = ElementTree.fromstring(policy_text([]))
    assert {p.get("node") for p in root.iter("profile")} == {"lsm_perception", "lsm_healthcheck", "lsm_viewer"}
    names = [str(item.text) for kind in ("topic", "service") for item in root.iter(kind)]
    assert all(name.startswith("/") and not set(name) & set("*?[") for name in names)


def test_the_viewer_may_ask_and_hear_but_not_command() -> None:
    root = ElementTree.fromstring(policy_text([]))
    viewer = profile(root, "lsm_viewer")
    said = {str(t.text) for group in viewer.iter("topics") if group.get("publish") for t in group}
    assert said == {"/parameter_events", "/rosout"}
    asked = {str(s.text) for group in viewer.iter("services") if group.get("request") for s in group}
    assert "/lsm_perception/query_text" in asked
    assert not asked & {"/lsm_perception/change_state", "/lsm_perception/set_parameters"}


def test_a_parameter_file_names_the_cameras(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("/**:\n  ros__parameters:\n    cameras: [front]\n    image_transport: compressed\n")
    root = ElementTree.fromstring(policy_text([f"params_file:={file}"]))
    assert "/front/image/compressed" in allowed(root, "topics", "subscribe")


def test_bad_arguments_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["no_such:=argument"]) == 2
    with pytest.raises(SystemExit, match="2"):
        main(["-o"])
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert main([f"params_file:={tmp_path / 'none.yaml'}"]) == 2
    assert "no_such" in capsys.readouterr().err
