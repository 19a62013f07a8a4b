"""A rig that walks without odometry: pairs over time chain, the rig's pairs give metres."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from lsm_perception.conversions.poses import matrix_from_pose, matrix_from_transform
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception_msgs.msg import PairPose, Scale
from rig_harness import HEARD, LEFT, RIGHT, RigHarness
from rig_views import BASELINE_M, moving
from synthetic_world import View


@pytest.fixture(scope="module")
def walked(rclpy_session: None) -> Iterator[tuple[RigHarness, list[View]]]:
    """A rig that walked, without odometry."""
    left, right = moving(12)
    harness = RigHarness(FakeBackend([*left, *right]), listen=HEARD)
    harness.wait_ready("pair_pose")
    harness.send_extrinsics()
    harness.feed(left, right)
    yield harness, left
    harness.close()


def test_a_walking_rig_chains_over_time_in_metres(walked: tuple[RigHarness, list[View]]) -> None:
    harness, views = walked
    pairs = harness.messages("pair_pose")
    over_time = [m for m in pairs if m.reference_camera == m.camera == "left"]
    poses = {v.stamp_ns: v.T_world_cam for v in views}
    metric = [m for m in over_time if m.unit == PairPose.UNIT_METRIC]
    assert len(metric) >= 3 and {m.segment for m in metric} == {1}
    for message in metric:
        old, new = (poses[stamp_to_ns(s)] for s in (message.reference_stamp, message.header.stamp))
        assert np.allclose(matrix_from_pose(message.pose.pose), np.linalg.inv(old) @ new, atol=0.02)
    assert harness.messages("scale")[-1].source == Scale.SOURCE_RIG


def test_a_rigs_pair_beside_one_over_time_is_reported_in_the_images_own_frames(
    walked: tuple[RigHarness, list[View]],
) -> None:
    of_rig = [m for m in walked[0].pairs() if m.camera != m.reference_camera]
    beside = [m for m in of_rig if m.unit == PairPose.UNIT_METRIC]
    assert beside
    for message in beside:
        assert (message.header.frame_id, message.child_frame_id) == (RIGHT, LEFT) and message.reference_id == 0
        assert np.allclose(matrix_from_pose(message.pose.pose)[:3, 3], [-BASELINE_M, 0, 0], atol=0.01)


def test_the_metric_tree_of_a_rig_holds_the_walk(walked: tuple[RigHarness, list[View]]) -> None:
    harness, views = walked
    poses = {v.stamp_ns: v.T_world_cam for v in views}
    T_world_map = poses[views[0].stamp_ns].copy()
    T_world_map[:3, 3] += BASELINE_M * T_world_map[:3, 0]  # the map is the right camera's first frame
    trees = [m.transforms for m in harness.messages("tf") if m.transforms[0].child_frame_id == "left_lsm_keyframe"]
    assert trees
    for first, second in trees:
        T = T_world_map @ matrix_from_transform(first.transform) @ matrix_from_transform(second.transform)
        assert np.allclose(T, poses[stamp_to_ns(first.header.stamp)], atol=0.04)
