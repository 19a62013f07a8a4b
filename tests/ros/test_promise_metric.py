"""The promise "nothing metric is published without a stated scale source", on every topic and tf.

Over DDS messages of different topics may overtake each other, so what belongs together is told by stamps and epochs
there; the exact order is looked at in a node of this process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import Harness
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.perception_node import PerceptionNode
from lsm_perception.products import Products
from lsm_perception.publishers import TYPES
from lsm_perception_msgs.msg import PairPose, Scale
from lsm_perception_msgs.srv import QueryText, Reset
from node_process import ACTIVE, StubProcess
from robot import FRAME, Robot
from synthetic_world import View
from tf2_msgs.msg import TFMessage
from walker import Walker

from lsm_core.mapping import ScaleState

METRIC_FRAMES = {"lsm_map", "lsm_keyframe", "lsm_camera"}
ALWAYS_METRIC = ("depth/image", "depth/camera_info", "detections")
STALE_PAIRS = 4


@pytest.fixture(scope="module")
def stub(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    parameters = {
        "odometry.source": "tf",
        "scale.stale_pairs": STALE_PAIRS,
        "queries.texts": ["wall", "floor"],
        "diagnostics_period_s": 0.1,  # the map is also published from there
    }
    process = StubProcess(tmp_path_factory.mktemp("stub"), parameters)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robot(rclpy_session: None) -> Iterator[Robot]:
    client = Robot()
    yield client
    client.close()


def metric_stamps(name: str, message: Any) -> list[int]:
    """Return the stamps of what a message says in metres, none for one that says nothing in metres."""
    if name == "tf":
        frames = [(t, {t.header.frame_id, t.child_frame_id}) for t in message.transforms]
        return [stamp_to_ns(t.header.stamp) for t, of in frames if of & METRIC_FRAMES]
    if name == "pair_pose":
        metric = message.unit == PairPose.UNIT_METRIC
        assert metric == (message.header.frame_id in METRIC_FRAMES)
    elif name in ("points", "gaussians", "map_points", "path", "relative_pose"):
        metric = message.header.frame_id in {FRAME, *METRIC_FRAMES}
    elif name == "markers":
        metric = [m for m in message.markers if m.header.frame_id in METRIC_FRAMES]
        return [stamp_to_ns(m.header.stamp) for m in metric]
    else:
        metric = name in ALWAYS_METRIC
    return [stamp_to_ns(message.header.stamp)] if metric else []


def metric_claims(robot: Robot) -> list[tuple[str, int, int | None]]:
    """Return (topic, stamp, epoch where the message has one) of all that was said in metres."""
    return [
        (name, stamp, message.epoch if name == "pair_pose" else None)
        for name in robot.heard
        if name not in ("scale", "keyframes", "diagnostics")
        for message in robot.messages(name)
        for stamp in metric_stamps(name, message)
    ]


def claims_without_source(robot: Robot) -> list[tuple[str, int]]:
    """Return (topic, stamp) of claims without one.

    The image of a claim must have a metric pair, whose epoch ~/scale has stated with a source, not later than it.
    """
    stated: dict[int, int] = {}  # epoch to the stamp from which it was metric
    for scale in robot.messages("scale"):
        if scale.state == Scale.METRIC:
            assert scale.source != Scale.SOURCE_NONE and scale.samples > 0
            assert math.isfinite(scale.metres_per_unit) and math.isfinite(scale.spread)
            stated.setdefault(scale.epoch, stamp_to_ns(scale.header.stamp))
    claims = metric_claims(robot)
    epochs = {stamp: epoch for name, stamp, epoch in claims if name == "pair_pose"}
    return [(name, t) for name, t, _ in claims if t not in epochs or stated.get(epochs[t], math.inf) > t]


def assert_every_claim_has_a_source(robot: Robot) -> None:
    """The pair or the scale of the newest claims may still be on their way."""
    assert wait_until(lambda: not claims_without_source(robot)), claims_without_source(robot)


def state_of(robot: Robot) -> int:
    """Return the newest state heard on ~/scale."""
    messages = robot.messages("scale")
    return int(messages[-1].state) if messages else Scale.UNKNOWN


def accepted(robot: Robot) -> int:
    return sum(m.accepted for m in robot.messages("pair_pose"))


def test_nothing_metric_without_a_stated_source(stub: StubProcess, robot: Robot, stub_views: list[View]) -> None:
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    walker = Walker(robot, stub_views)

    # Without any source: UNKNOWN, pairs are accepted, nothing is metric.
    assert walker.walk_until(lambda: accepted(robot) >= 5 and len(robot.messages("map_points")) >= 2, 60.0), (
        stub.text
    )
    assert state_of(robot) == Scale.UNKNOWN and metric_claims(robot) == []
    assert_answers_are_relative(robot)

    # With odometry: METRIC, on all topics that can be.
    robot.send_odometry([])
    walker.odometry = True

    def all_metric() -> bool:
        names = {name for name, _, _ in metric_claims(robot)}
        return {"tf", "points", "gaussians", "map_points", "path", "pair_pose", "markers", *ALWAYS_METRIC} <= names

    assert walker.walk_until(all_metric, 60.0), ({name for name, _, _ in metric_claims(robot)}, stub.text)
    assert_every_claim_has_a_source(robot)

    # Resets in the middle of the work: each a new epoch, UNKNOWN at first.
    epochs = {m.epoch for m in robot.messages("scale") if m.state == Scale.METRIC}
    for _ in range(4):
        assert robot.call(Reset, "reset").success
        seen = len(robot.messages("scale"))
        assert walker.walk_until(
            lambda seen=seen: Scale.METRIC in {m.state for m in robot.messages("scale")[seen:]}, 60.0
        ), stub.text
    later = {m.epoch for m in robot.messages("scale") if m.state == Scale.METRIC}
    assert len(later - epochs) >= 4, (epochs, later)
    assert_every_claim_has_a_source(robot)

    # The source is lost: DEGRADED (or UNKNOWN, where a new segment begins first), and then nothing metric any more.
    walker.odometry = False
    assert walker.walk_until(lambda: state_of(robot) != Scale.METRIC, 60.0), stub.text
    time.sleep(1.0)  # what is on its way arrives
    before = len(metric_claims(robot))
    pairs = accepted(robot)
    assert walker.walk_until(lambda: accepted(robot) >= pairs + 4), stub.text
    assert state_of(robot) != Scale.METRIC and len(metric_claims(robot)) == before
    assert_answers_are_relative(robot)

    # It comes back.
    walker.odometry = True
    seen = len(robot.messages("scale"))
    assert walker.walk_until(lambda: Scale.METRIC in {m.state for m in robot.messages("scale")[seen:]}, 60.0), (
        stub.text
    )
    time.sleep(1.0)
    assert_every_claim_has_a_source(robot)
    assert stub.alive and "Traceback" not in stub.text


def assert_answers_are_relative(robot: Robot) -> None:
    """A query's points and boxes are not in metres, either."""
    reply = robot.call(QueryText, "query_text", texts=["wall"])
    assert reply.success and reply.unit == PairPose.UNIT_RELATIVE and not reply.objects.detections
    assert reply.points.header.frame_id == "lsm_map_unscaled"


class Recorder:
    """What a node of this process publishes, in the order in which it does."""

    def __init__(self, node: PerceptionNode, monkeypatch: pytest.MonkeyPatch) -> None:
        assert node.runtime is not None
        self.events: list[tuple[str, Any]] = []
        publishers = node.runtime.publishers
        broadcaster = node.runtime.cameras[""].outputs._frames._broadcaster
        real_publish, real_send = publishers.publish, broadcaster.sendTransform

        def publish(name: str, message: Any) -> None:
            self.events.append((name, message))
            real_publish(name, message)

        def send(transforms: list[Any]) -> None:
            self.events.append(("tf", TFMessage(transforms=transforms)))
            real_send(transforms)

        monkeypatch.setattr(publishers, "publish", publish)
        monkeypatch.setattr(broadcaster, "sendTransform", send)

    def check(self) -> int:
        """Nothing metric comes while the newest ~/scale is not METRIC; return how much came."""
        metric, state = 0, Scale.UNKNOWN
        for name, message in self.events:
            if name == "scale":
                state = message.state
            elif name not in ("keyframes", "diagnostics") and metric_stamps(name, message):
                assert state == Scale.METRIC, (name, message.header if name != "tf" else message)
                metric += 1
        return metric


@pytest.fixture(scope="module")
def own_node(rclpy_session: None, stub_views: list[View]) -> Iterator[Harness]:
    harness = Harness(FakeBackend(stub_views[:30]), {"queries.texts": ["wall"], "scale.stale_pairs": STALE_PAIRS})
    harness.wait_active()
    harness.wait_connected(*TYPES)
    yield harness
    harness.close()


def test_scale_is_said_before_anything_metric_and_taken_back_first(
    own_node: Harness, stub_views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(own_node.node, monkeypatch)
    runtime = own_node.node.runtime
    assert runtime is not None
    own_node.send_odometry(stub_views[:10])
    own_node.walk(stub_views[:10])
    runtime.reset()
    runtime.refresh()
    later = [replace(view, stamp_ns=view.stamp_ns + 2_000_000_000) for view in stub_views[:30]]
    own_node.send_odometry(later[:10])
    own_node.walk(later)  # the rest has no odometry: DEGRADED
    assert recorder.check() >= 20
    states = [message.state for name, message in recorder.events if name == "scale"]
    assert states.count(Scale.METRIC) >= 2 and Scale.DEGRADED in states, states


def test_a_reset_while_products_are_on_their_way_keeps_them_back(
    own_node: Harness, stub_views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = own_node.node.runtime
    assert runtime is not None
    own_node.renew()
    views = [replace(view, stamp_ns=view.stamp_ns + 20_000_000_000) for view in stub_views[:12]]
    own_node.send_odometry(views)
    own_node.walk(views[:10])
    assert runtime.cameras[""].mapper.scale.state is ScaleState.METRIC
    recorder = Recorder(own_node.node, monkeypatch)
    outputs = runtime.cameras[""].outputs
    real_publish = outputs.publish

    def reset_first(products: Products) -> None:
        # The worst moment: the worker has looked for a reset already.
        runtime.reset()
        real_publish(products)

    monkeypatch.setattr(outputs, "publish", reset_first)
    own_node.walk(views[10:])
    assert recorder.check() == 0
    assert "pair_pose" not in [name for name, _ in recorder.events]
