"""docs/interface.md lists the ends of the live node: every topic, service, type and QoS, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

import lsm_perception_msgs.msg
import lsm_perception_msgs.srv
import rclpy
from fake_backend import FakeBackend
from harness import FRAME, Harness
from lifecycle_msgs.srv import GetAvailableTransitions
from lsm_perception.bringup import parse_arguments
from lsm_perception.examples.goal_from_detection import GoalFromDetection
from lsm_perception.examples.label_mask import LabelMask
from lsm_perception.frames import frame_names
from lsm_perception.interface import interfaces
from lsm_perception.interface_reference import documentation
from lsm_perception.interface_reference.definitions import Part, parse_definition, read_definitions
from lsm_perception.interface_reference.diagnostics_keys import KEYS, PARTS, example_keys
from lsm_perception.interface_reference.others import (
    DOCTOR_NODE,
    GOAL,
    LABEL_MASK,
    OTHERS,
    PROBE_NODE,
    VIEWER_NODE,
    OtherNode,
)
from lsm_perception.interface_reference.services import ACTIVE as WORKS_ACTIVE
from lsm_perception.interface_reference.services import SERVICES, STANDARD
from lsm_perception.interface_reference.topics import INPUTS, OUTPUTS
from lsm_perception.playback_time import PlaybackTime
from lsm_perception.publishers import TYPES
from lsm_perception.qos import input_names
from lsm_perception.replay_controls import create_services
from lsm_perception.services import SERVICES as SERVICE_TYPES
from lsm_perception_msgs.msg import ResultCode, Scale
from lsm_perception_msgs.srv import Reset, SetQueries
from node_process import ACTIVE, StubProcess
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from synthetic_world import View, walk

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "interface.md").read_text(encoding="utf-8")
DEFINITIONS = ROOT / "ros2_ws" / "src" / "lsm_perception_msgs"
DOCTOR = ROOT / "ros2_ws" / "src" / "lsm_perception" / "lsm_perception" / "doctor"
NODE = "/lsm_perception"


def rows(section: str, columns: int) -> list[list[str]]:
    """Return the cells of all tables of a section with so many columns, without heads and code marks."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").replace("`", "").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    lines += [
        line.strip("| ").replace("`", "").split(" | ") for line in text.splitlines() if line.startswith("| [`")
    ]
    return [[re.sub(r"\[(.*)\]\(.*\)", r"\1", cell) for cell in cells] for cells in lines if len(cells) == columns]


def absolute(name: str) -> str:
    """Return the full name of a name on the page."""
    return name.replace("~", NODE, 1) if name.startswith("~") else name if name.startswith("/") else f"/{name}"


def qos_of(info: Any) -> tuple[str, str]:
    """Return reliability and durability of one end in the page's words; the graph does not tell depth."""
    reliable = info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    latched = info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return "reliable" if reliable else "best effort", "transient local" if latched else "volatile"


def test_the_page_is_what_the_code_prints() -> None:
    assert documentation(DEFINITIONS) == PAGE, "run: python -m lsm_perception.interface_reference docs/interface.md"


@pytest.fixture(scope="module")
def process(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """The node, active, with simulated time, for only then it hears /clock."""
    node = StubProcess(tmp_path_factory.mktemp("interface"), {"use_sim_time": True})
    node.wait_for(ACTIVE)
    yield node
    node.end()


@pytest.fixture(scope="module")
def observer(rclpy_session: None) -> Iterator[Node]:
    node = rclpy.create_node("interface_observer")
    yield node
    node.destroy_node()


def settled(look: Callable[[], Any], expected: Any) -> Any:
    """Return what a look at the graph gives once it is as expected, or after 20 s."""

    def now() -> Any:
        try:
            return look()
        except RuntimeError:  # not discovered yet
            return None

    wait_until(lambda: now() == expected, 20.0)
    return now()


def ends(names_and_types: list[tuple[str, list[str]]]) -> dict[str, str]:
    """Return the type of each name; there is one."""
    return {name: kind for name, (kind,) in names_and_types}


def test_outputs_are_those_of_the_live_node(process: StubProcess, observer: Node) -> None:
    table = [cells[:3] for cells in rows("Outputs", 4)]
    types = {absolute(name): kind for name, kind, _ in table}
    assert len(types) == len(table) == len(TYPES) + 4
    look = observer.get_publisher_names_and_types_by_node
    assert settled(lambda: ends(look("lsm_perception", "/")), types) == types
    for name, _, qos in table:
        found = observer.get_publishers_info_by_topic(absolute(name))
        (info,) = [info for info in found if info.node_name == "lsm_perception"]
        assert ", ".join(qos_of(info)) == ", ".join(qos.split(", ")[:2]), name


def test_inputs_are_those_of_the_live_node(process: StubProcess, observer: Node) -> None:
    table = [cells[:3] for cells in rows("Inputs", 5) if cells[0] != "image/compressed"]
    types = {absolute(name): kind for name, kind, _ in table}
    assert len(types) == len(table)
    look = observer.get_subscriber_names_and_types_by_node
    assert settled(lambda: ends(look("lsm_perception", "/")), types) == types
    for name, _, qos in table:
        found = observer.get_subscriptions_info_by_topic(absolute(name))
        (info,) = [info for info in found if info.node_name == "lsm_perception"]
        assert ", ".join(qos_of(info)) == ", ".join(qos.split(", ")[:2]), name


def test_compressed_images_take_the_place_of_raw_ones() -> None:
    """By the table that the policy is made of, which is compared with live nodes of either transport."""
    for transport, absent in (("raw", "/image/compressed"), ("compressed", "/image")):
        values, _ = parse_arguments([f"image_transport:={transport}"])
        listed = {absolute(cells[0]) for cells in rows("Inputs", 5)}
        assert set(interfaces(values)[0].subscribes) == listed - {absent}


def test_services_are_those_of_the_live_node_and_it_asks_none(process: StubProcess, observer: Node) -> None:
    table = [cells[:2] for cells in [*rows("Services", 4), *rows("Lifecycle and parameters", 3)]]
    types = {absolute(name): kind for name, kind in table}
    assert len(types) == len(table)
    look = observer.get_service_names_and_types_by_node
    assert settled(lambda: ends(look("lsm_perception", "/")), types) == types
    assert observer.get_client_names_and_types_by_node("lsm_perception", "/") == []


def test_transitions_are_those_of_the_live_node(process: StubProcess, observer: Node) -> None:
    client = observer.create_client(GetAvailableTransitions, f"{NODE}/get_transition_graph")
    assert client.wait_for_service(20.0)
    future = client.call_async(GetAvailableTransitions.Request())
    rclpy.spin_until_future_complete(observer, future, timeout_sec=20.0)
    settled_states = {"unconfigured", "inactive", "active"}
    graph = {
        (t.transition.label, str(t.transition.id), t.start_state.label)
        for t in future.result().available_transitions
        if t.start_state.label in settled_states
    }
    table = rows("Lifecycle and parameters", 4)
    assert {tuple(cells[:3]) for cells in table} == graph
    reached = {"configure": "inactive", "activate": "active", "deactivate": "inactive", "cleanup": "unconfigured"}
    assert all(end == reached.get(label, "finalized") for label, _, _, end in table)
    observer.destroy_client(client)


def test_everything_that_is_said_of_a_name_is_of_one_that_exists() -> None:
    assert list(OUTPUTS) == list(TYPES)
    assert set(INPUTS) == set(input_names())
    assert list(SERVICES) == list(SERVICE_TYPES)
    assert list(KEYS) == list(PARTS) == list(example_keys())
    assert {part: list(keys) for part, keys in KEYS.items()} == example_keys()


@pytest.mark.parametrize("entry", OTHERS, ids=lambda entry: entry.name)
def test_other_nodes_have_the_ends_of_the_page(rclpy_session: None, observer: Node, entry: OtherNode) -> None:
    """Nodes with a class of their own are made; the viewer and the probe are in the policy's table."""
    if entry in (VIEWER_NODE, PROBE_NODE):
        _, viewer, probe = interfaces(parse_arguments([])[0])
        found = viewer if entry is VIEWER_NODE else probe
        own = {"/parameter_events", "/rosout", "/clock"}
        assert set(found.subscribes) - own == {full(name) for name in entry.subscribes}
        assert set(found.requests) == {full(name) for name in entry.asks}
        return
    if entry is DOCTOR_NODE:
        text = (DOCTOR / "session.py").read_text(encoding="utf-8")
        asked = re.findall(r'self\._probe\.ask\(\w+, f"\{name\}/(\w+)"', text)
        assert {f"lsm_perception/{name}" for name in asked} == set(entry.asks)
        return
    with made(entry) as node:
        assert {p.topic_name for p in node.publishers} - {"/parameter_events", "/rosout"} == {
            full(name) for name in entry.publishes if name != "/clock"
        }
        assert {s.topic_name for s in node.subscriptions} == {full(name) for name in entry.subscribes}
        served = {s.srv_name for s in node.services if s.srv_name.rpartition("/")[2] not in OF_EVERY_NODE}
        assert served == set(entry.serves)
        assert not list(node.clients)


OF_EVERY_NODE = {name for name, _, _ in STANDARD}


def full(name: str) -> str:
    """Return the full name, in no namespace."""
    return name if name.startswith("/") else f"/{name}"


@contextmanager
def made(entry: OtherNode) -> Iterator[Node]:
    """Give the node, told what it needs to publish all that it can."""
    if entry is LABEL_MASK:
        words = [Parameter("keepout", value="rug"), Parameter("slow", value="chair")]
        node: Node = LabelMask(parameter_overrides=words)
    elif entry is GOAL:
        node = GoalFromDetection(parameter_overrides=[Parameter("target", value="chair")])
    else:
        node = Node(entry.name)
        create_services(node, PlaybackTime(1.0))
    yield node
    node.destroy_node()


def fields_of(part: Part) -> dict[str, str]:
    """Return names and types as rosidl tells them of a built class."""

    def built(kind: str) -> str:
        base, bracket, _ = kind.partition("[")
        base = {"bool": "boolean", "float32": "float", "float64": "double"}.get(base, base)
        base = base if base.islower() or "/" in base else f"lsm_perception_msgs/{base}"
        return f"sequence<{base}>" if bracket else base

    return {field.name: built(field.type) for field in part.fields}


def test_the_definitions_read_are_those_that_are_built() -> None:
    for definition in read_definitions(DEFINITIONS / "msg", ".msg"):
        kind = getattr(lsm_perception_msgs.msg, definition.name)
        (part,) = definition.parts
        assert fields_of(part) == kind.get_fields_and_field_types(), definition.name
        for constant in part.constants:
            assert str(getattr(kind, constant.name)) == constant.value.strip('"'), constant.name
    for definition in read_definitions(DEFINITIONS / "srv", ".srv"):
        kind = getattr(lsm_perception_msgs.srv, definition.name)
        for part, built in zip(definition.parts, (kind.Request, kind.Response), strict=True):
            assert fields_of(part) == built.get_fields_and_field_types(), definition.name
            for constant in part.constants:
                assert str(getattr(built, constant.name)) == constant.value.strip('"'), constant.name


def test_a_comment_is_of_the_fields_below_it_up_to_the_next_gap() -> None:
    text = (
        '# All of it.\n# First.\nint32 a\nint32 b\n\nstring C = "x # y"  # why\nint32 c\n# Last,\n# long.\nB[] d\n'
    )
    found = parse_definition("M", text)
    assert found.purpose == "All of it."
    (part,) = found.parts
    assert [(f.type, f.name, f.meaning) for f in part.fields] == [
        ("int32", "a", "First."), ("int32", "b", "First."), ("int32", "c", ""), ("B[]", "d", "Last, long."),
    ]  # fmt: skip
    assert [(c.name, c.value, c.meaning) for c in part.constants] == [("C", '"x # y"', "why")]
    with pytest.raises(ValueError, match="cannot read"):
        parse_definition("M", "what is this\n")


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(30)


@pytest.fixture(scope="module")
def node(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    """A node after a walk without odometry, everything of which is heard."""
    harness = Harness(FakeBackend(views), {"queries.texts": ["wall", "floor"], "diagnostics_period_s": 0.1})
    harness.wait_active()
    harness.wait_connected(*TYPES)
    harness.walk(views[:10])
    yield harness
    harness.close()


def frames_heard(node: Harness, name: str) -> list[str]:
    """Return the frames of an output's messages, in turn; those before the first image have none."""
    messages = node.messages(name)
    headers = [m.markers[0].header if name == "markers" else m.header for m in messages]
    return [header.frame_id for header in headers if header.frame_id]


def frame_of(words: str) -> str:
    return FRAME if words == "the image's" else words


def test_frames_with_and_without_metres_are_those_of_the_page(node: Harness, views: list[View]) -> None:
    """One walk, first without odometry and then with: all that was heard is as the page says of that state."""
    heard = [
        name
        for name, entry in OUTPUTS.items()
        if entry.frames[0] and name not in ("scale", "segmentation/label_info")
    ]
    for name in heard:
        assert wait_until(lambda name=name: frames_heard(node, name)), name
        assert set(frames_heard(node, name)) == {frame_of(OUTPUTS[name].frames[0])}, name
    for name, entry in OUTPUTS.items():
        if entry.metric_only:
            assert node.messages(name) == [], name
    unscaled = frame_names("", "", "odom").unscaled
    assert edges(node) == {(unscaled.map, unscaled.keyframe), (unscaled.keyframe, unscaled.camera)}
    node.forget()
    node.send_odometry(views[10:])
    node.walk(views[10:])
    assert wait_until(lambda: node.messages("scale")[-1].state == Scale.METRIC)
    assert node.call(SetQueries, "set_queries", texts=["wall"]).success  # says the labels again
    for name, entry in OUTPUTS.items():
        if entry.frames[1]:
            wanted = frame_of(entry.frames[1])
            assert wait_until(lambda n=name, w=wanted: w in frames_heard(node, n)), name
            allowed = {frame_of(frame) for frame in entry.frames if frame}
            assert set(frames_heard(node, name)) <= allowed, name
    page = {(parent, child) for parent, child, _, _ in rows("Frames on /tf", 4)}
    robots = {("odom", "base_link"), ("base_link", FRAME)}
    assert edges(node) - robots <= page
    assert {("odom", "lsm_map"), ("lsm_map", "lsm_keyframe"), ("lsm_keyframe", "lsm_camera")} <= edges(node)


def edges(node: Harness) -> set[tuple[str, str]]:
    return {(t.header.frame_id, t.child_frame_id) for m in node.messages("tf") for t in m.transforms}


def test_diagnostics_have_the_parts_and_keys_of_the_page(node: Harness) -> None:
    assert wait_until(lambda: bool(node.messages("diagnostics")))
    for status in node.messages("diagnostics")[-1].status:
        part = status.name.rpartition(": ")[2]
        patterns = [re.escape(key) for key in KEYS[part]]
        patterns = [re.sub("<[a-z]+>", ".+", pattern) for pattern in patterns]
        keys = [pair.key for pair in status.values]
        assert not [key for key in keys if not any(re.fullmatch(p, key) for p in patterns)], part
        assert not [key for key in KEYS[part] if "<" not in key and key not in keys], part


def test_what_is_lazy_is_not_published_while_nobody_listens(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"queries.texts": ["wall"], "diagnostics_period_s": 0.1}, (), "/alone")
    try:
        harness.wait_active()
        runtime = harness.node.runtime
        assert runtime is not None
        published: set[str] = set()
        send = runtime.publishers.publish

        def record(name: str, message: Any) -> None:
            published.add(name)
            send(name, message)

        runtime.publishers.publish = record  # type: ignore[method-assign]
        harness.send_odometry(views)
        harness.walk(views[:16])
        (context,) = runtime.cameras.values()
        assert context.mapper.scale.state.value == "metric"
        assert harness.call(SetQueries, "set_queries", texts=["floor"]).success
        assert wait_until(lambda: "diagnostics" in published)
        unasked = {name for name, entry in OUTPUTS.items() if not entry.lazy or "at a new segment" in entry.when}
        assert published == unasked
        assert harness.call(Reset, "reset").success
        said = {name for name, entry in OUTPUTS.items() if "after a reset" in entry.when}
        assert published == unasked | said
    finally:
        harness.close()


def test_services_work_in_the_states_that_the_page_names(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"autostart": False}, (), "/states")
    try:
        assert wait_until(lambda: harness.node.state_label == "unconfigured")
        codes = {name: harness.call(kind, name).code for name, kind in SERVICE_TYPES.items()}
        assert set(codes.values()) == {ResultCode.NOT_READY}
        harness.node.trigger_configure()
        codes = {name: harness.call(kind, name).code for name, kind in SERVICE_TYPES.items()}
        refused = {name for name, code in codes.items() if code == ResultCode.NOT_READY}
        assert refused == {name for name, entry in SERVICES.items() if entry.works == WORKS_ACTIVE}, codes
    finally:
        harness.close()
