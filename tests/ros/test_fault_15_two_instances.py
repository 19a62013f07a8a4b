"""Fault 15: two nodes in one domain, each in its namespace with its own camera; one has odometry, one has not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.conversions import stamp_to_ns
from lsm_perception_msgs.msg import Scale
from lsm_perception_msgs.srv import GetQueries, QueryText, Reset, SetQueries, Stats
from node_process import ACTIVE, StubProcess
from robot import FRAME, Robot
from synthetic_world import View
from walker import Walker

LISTEN = ("keyframes", "pair_pose", "points", "path", "scale", "segmentation/label", "diagnostics")
IMAGE_FRAMES = {"left": FRAME, "right": "right_camera_optical_frame"}
LATER_NS = 1_000_000_000_000  # between the stamps of the two


@dataclass(frozen=True)
class Instance:
    """One node process, the robot beside it, and what the robot sends."""

    name: str
    process: StubProcess
    robot: Robot
    walker: Walker


@pytest.fixture(scope="module")
def instances(
    rclpy_session: None, tmp_path_factory: pytest.TempPathFactory, stub_views: list[View]
) -> Iterator[dict[str, Instance]]:
    """Both nodes active; the left one hears odometry of its camera's frame on the shared /tf."""
    made = {}
    for i, name in enumerate(("left", "right")):
        process = StubProcess(tmp_path_factory.mktemp(name), {"frame_prefix": f"{name}/"}, namespace=f"/{name}")
        robot = Robot(LISTEN, namespace=f"/{name}", name=f"robot_{name}")
        views = stub_views if name == "left" else stub_views[::-1][10:]
        walker = Walker(robot, views, odometry=name == "left", start_ns=stub_views[0].stamp_ns + i * LATER_NS)
        made[name] = Instance(name, process, robot, walker)
    for instance in made.values():
        instance.process.wait_for(ACTIVE)
    made["left"].robot.send_odometry([])  # the static part
    yield made
    for instance in made.values():
        instance.process.end()
        instance.robot.close()


def step_both(instances: dict[str, Instance]) -> None:
    """Both robots take one step; an image arrives every 0.1 s at each node."""
    for instance in instances.values():
        view = instance.walker.next()
        if instance.name == "left":
            instance.robot.publish_odometry([view])
        instance.robot.send(view, IMAGE_FRAMES[instance.name])
    time.sleep(0.1)


def clouds(instance: Instance) -> int:
    """Return how many clouds its robot has heard."""
    return len(instance.robot.messages("points"))


def walk_until_clouds(instances: dict[str, Instance], more: int = 3) -> None:
    """Let both walk until each has given some more clouds."""
    wanted = {name: clouds(instance) + more for name, instance in instances.items()}

    def step_and_look() -> bool:
        step_both(instances)
        return all(clouds(instance) >= wanted[name] for name, instance in instances.items())

    assert wait_until(step_and_look, 40.0), {name: clouds(instance) for name, instance in instances.items()}


def newest_values(instance: Instance, part: str) -> dict[str, str]:
    """Return the values of the newest status of a part of this instance that its robot has heard."""
    name = f"/{instance.name}/lsm_perception: {part}"
    statuses = [s for m in instance.robot.messages("diagnostics") for s in m.status if s.name == name]
    assert statuses, name
    return {pair.key: pair.value for pair in statuses[-1].values}


def test_streams_frames_and_scales_do_not_mix(instances: dict[str, Instance]) -> None:
    walk_until_clouds(instances)
    left, right = instances["left"], instances["right"]

    def left_is_metric() -> bool:
        step_both(instances)
        return bool(left.robot.messages("scale")[-1].state == Scale.METRIC)

    assert wait_until(left_is_metric, 40.0)
    walk_until_clouds(instances)
    border = left.walker.next().stamp_ns + LATER_NS // 2
    for name in LISTEN:
        if name == "diagnostics":
            continue
        stamps = {i.name: [stamp_to_ns(m.header.stamp) for m in i.robot.messages(name)] for i in instances.values()}
        assert all(stamp < border for stamp in stamps["left"]), name
        assert all(stamp > border or stamp == 0 for stamp in stamps["right"]), name  # 0: a scale of nothing yet
    assert {m.header.frame_id for m in right.robot.messages("points")} == {"right/lsm_camera_unscaled"}
    assert {m.state for m in right.robot.messages("scale")} == {Scale.UNKNOWN}
    assert {m.header.frame_id for m in left.robot.messages("points")} <= {FRAME, "left/lsm_camera_unscaled"}
    for instance in instances.values():
        assert {m.header.frame_id for m in instance.robot.messages("segmentation/label")} == {
            IMAGE_FRAMES[instance.name]
        }


def test_one_tf_tree_holds_both_and_no_frame_has_two_parents(instances: dict[str, Instance]) -> None:
    walk_until_clouds(instances, 1)
    parents: dict[str, set[str]] = {}
    for message in instances["left"].robot.messages("tf"):  # /tf is one topic for all
        for transform in message.transforms:
            if "lsm_" in transform.child_frame_id:
                parents.setdefault(transform.child_frame_id, set()).add(transform.header.frame_id)
    names = {name: {child for child in parents if child.startswith(f"{name}/lsm_")} for name in ("left", "right")}
    assert names["left"] and names["right"] and names["left"] | names["right"] == set(parents)
    for child, above in parents.items():
        assert len(above) == 1, (child, above)
        owner = child.split("/")[0]
        assert all(parent == "odom" or parent.startswith(f"{owner}/lsm_") for parent in above), (child, above)
    assert not any("odom" in parents[child] for child in names["right"])


def test_diagnostics_and_counters_are_each_ones_own(instances: dict[str, Instance]) -> None:
    left, right = instances["left"], instances["right"]
    for _ in range(5):  # only the left one's camera runs
        left.walker.step()
    assert wait_until(lambda: int(newest_values(left, "input")["delivered"]) > 0, 10)
    for instance in instances.values():
        reply = instance.robot.call(Stats, "stats")
        assert reply.delivered + reply.transport_lost <= instance.walker.sent
        assert reply.delivered == reply.used + sum(d.count for d in reply.dropped)
    # Both publish on the one /diagnostics; the names tell them apart.
    heard = {s.name for m in left.robot.messages("diagnostics") for s in m.status}
    assert {f"/{name}/lsm_perception: input" for name in ("left", "right")} <= heard
    assert left.walker.sent != right.walker.sent


def test_requests_to_one_change_nothing_in_the_other(instances: dict[str, Instance]) -> None:
    walk_until_clouds(instances, 1)
    left, right = instances["left"], instances["right"]
    before = list(right.robot.call(GetQueries, "get_queries").texts)
    assert left.robot.call(SetQueries, "set_queries", texts=["door"]).success
    assert list(left.robot.call(GetQueries, "get_queries").texts) == ["door"]
    assert list(right.robot.call(GetQueries, "get_queries").texts) == before != ["door"]
    assert left.robot.call(Reset, "reset").success
    asked = right.robot.call(QueryText, "query_text", texts=["door"], target=QueryText.Request.LATEST)
    assert asked.success and asked.header.frame_id == IMAGE_FRAMES["right"]
    assert left.robot.call(QueryText, "query_text", texts=["door"]).code == "not_ready"


def test_stopping_one_leaves_the_other(instances: dict[str, Instance]) -> None:
    """The last one: the right node is gone afterwards."""
    left, right = instances["left"], instances["right"]
    assert right.process.stop() < 5.0
    before, silent = clouds(left), clouds(right)

    def goes_on() -> bool:
        step_both(instances)
        return clouds(left) >= before + 3

    assert wait_until(goes_on, 40.0), left.process.text
    assert clouds(right) == silent
    assert left.process.alive and "Traceback" not in left.process.text
