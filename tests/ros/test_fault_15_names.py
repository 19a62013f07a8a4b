"""Fault 15, names: two nodes of one name, remapped inputs, tf in a namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception_msgs.msg import PairPose
from node_process import ACTIVE, StubProcess
from robot import Robot
from synthetic_world import View
from walker import Walker

SPACE = "/robot1"
REMAPS = ("/tf:=tf", "/tf_static:=tf_static", "image:=front/image", "camera_info:=front/camera_info")


@pytest.fixture(scope="module")
def twins(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[StubProcess]]:
    """Two processes with the same node name, namespace and remaps."""
    processes = [
        StubProcess(tmp_path_factory.mktemp("twin"), {"odometry.max_wait_s": 1.0}, SPACE, REMAPS) for _ in range(2)
    ]
    for process in processes:
        process.wait_for(ACTIVE)
    yield processes
    for process in processes:
        process.end()


def test_remapped_topics_and_tf_in_a_namespace_work_for_two_of_one_name(
    twins: list[StubProcess], stub_views: list[View]
) -> None:
    robot = Robot(("pair_pose", "points"), SPACE, camera="front", tf="tf")
    bystander = Robot((), name="bystander")  # listens to /tf
    try:
        assert wait_until(lambda: robot.images.get_subscription_count() == 2)
        robot.send_odometry([])
        walker = Walker(robot, stub_views, odometry=True)

        def metric_from_both() -> bool:
            metric = [m for m in robot.messages("pair_pose") if m.unit == PairPose.UNIT_METRIC]
            return max(Counter(m.id for m in metric).values(), default=0) >= 2

        assert walker.walk_until(metric_from_both, 60.0), twins[0].text + twins[1].text
        said = {t.child_frame_id for m in robot.messages("tf") for t in m.transforms}
        assert {"base_link", "lsm_map", "lsm_keyframe", "lsm_camera"} <= said
        assert not bystander.messages("tf")
        twins[0].kill()
        robot.forget()
        assert walker.walk_until(lambda: len(robot.messages("points")) >= 2), twins[1].text
        assert twins[1].alive and "Traceback" not in twins[1].text
    finally:
        robot.close()
        bystander.close()
