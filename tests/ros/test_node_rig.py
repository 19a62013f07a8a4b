"""A rig that stands still: pose, metres, clouds; one look in the map; both cameras' images accounted for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from lsm_perception.conversions.poses import matrix_from_pose
from lsm_perception_msgs.msg import PairPose, Scale
from lsm_perception_msgs.srv import Stats
from rig_harness import HEARD, LEFT, RIGHT, RigHarness
from rig_views import BASELINE_M, standing
from sensor_msgs_py import point_cloud2
from synthetic_world import HEIGHT, WIDTH, View


@pytest.fixture(scope="module")
def still(rclpy_session: None) -> Iterator[tuple[RigHarness, list[View]]]:
    """A rig that never moved."""
    left, right = standing(17)
    harness = RigHarness(FakeBackend([*left, *right]), listen=HEARD)
    harness.wait_ready("points", "pair_pose", "depth/image")
    harness.send_extrinsics()
    harness.feed(left[:14], right[:14])
    assert wait_until(lambda: len(harness.messages("depth/image")) >= 1)
    yield harness, left
    harness.close()


def test_standing_still_becomes_metric_by_the_rig(still: tuple[RigHarness, list[View]]) -> None:
    scale = still[0].messages("scale")[-1]
    assert (scale.state, scale.source, scale.camera) == (Scale.METRIC, Scale.SOURCE_RIG, "left")
    assert scale.epoch == 1 and scale.samples >= 3 and scale.spread < 0.05


def test_the_published_pair_is_of_two_cameras_and_in_metres(still: tuple[RigHarness, list[View]]) -> None:
    pairs = [m for m in still[0].messages("pair_pose") if m.unit == PairPose.UNIT_METRIC]
    assert pairs and all(m.accepted for m in pairs)
    for message in pairs:
        assert (message.reference_camera, message.camera) == ("right", "left")
        assert (message.reference_image_frame, message.image_frame) == (RIGHT, LEFT)
        assert (message.header.frame_id, message.child_frame_id) == ("left_lsm_keyframe", "left_lsm_camera")
        T = matrix_from_pose(message.pose.pose)
        assert np.allclose(T[:3, 3], [-BASELINE_M, 0, 0], atol=0.01) and np.allclose(
            T[:3, :3], np.eye(3), atol=1e-3
        )


def test_clouds_and_depth_of_a_rig_that_stands_still_are_metres(still: tuple[RigHarness, list[View]]) -> None:
    harness, views = still
    cloud, truth = harness.messages("points")[-1], views[0].depth
    assert cloud.header.frame_id == LEFT
    points = point_cloud2.read_points_numpy(cloud, ["x", "y", "z"])
    u = np.rint(260 * points[:, 0] / points[:, 2] + 159.5).astype(int).clip(0, WIDTH - 1)
    v = np.rint(260 * points[:, 1] / points[:, 2] + 119.5).astype(int).clip(0, HEIGHT - 1)
    assert np.percentile(np.abs(points[:, 2] - truth[v, u]), 90) < 0.08
    depth = np.asarray(harness.messages("depth/image")[-1].data, np.uint8).view(np.float32)
    assert np.nanmedian(depth) == pytest.approx(float(np.median(truth)), rel=0.1)


def test_a_rig_that_stands_still_fills_the_map_with_one_look(still: tuple[RigHarness, list[View]]) -> None:
    mapper = still[0].node.runtime.cameras["left"].mapper  # type: ignore[union-attr]
    assert mapper.latest().T_map_cam is not None and not mapper.latest().in_map
    assert [k.in_map for k in mapper.of_segment(8)] == [True] and len(mapper.path()[0]) == 1


def test_a_capture_at_standstill_is_another_look(still: tuple[RigHarness, list[View]]) -> None:
    harness, _ = still
    context = harness.node.runtime.cameras["left"]  # type: ignore[union-attr]
    before = len(harness.pairs())
    context.gate.request_capture()
    left, right = standing(17)
    harness.feed(left[14:], right[14:])
    requested = [m for m in harness.messages("keyframes") if m.reason == "requested"]
    assert len(requested) == 1 and requested[0].action == requested[0].REFRESHED
    pairs = harness.pairs()[before:]
    assert pairs and all(m.accepted and m.reference_camera == "right" for m in pairs)
    assert context.mapper.get(requested[0].id).T_map_cam is not None


def test_no_sensor_frame_gets_a_second_parent_by_a_rig(still: tuple[RigHarness, list[View]]) -> None:
    children = {t.child_frame_id for m in still[0].messages("tf") for t in m.transforms}
    assert children and not children & {LEFT, RIGHT, "head"}


def test_every_image_of_both_cameras_is_accounted_for(still: tuple[RigHarness, list[View]]) -> None:
    harness, left = still
    reply = harness.call(Stats, "stats")
    dropped = {d.reason: d.count for d in reply.dropped}
    assert reply.delivered == reply.used + sum(dropped.values())
    assert harness.node.runtime is not None
    pending = harness.node.runtime.account.counts().pending
    assert reply.delivered + pending in (2 * 14, 2 * len(left))
    assert reply.used == 2 * reply.keyframes and dropped["unpaired"] >= 1
    assert reply.pairs == reply.pairs_accepted == reply.keyframes
