"""The map's state without ROS: chains of rescaled pairs, scale, partners after rejections, resets."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from fake_backend import FakeBackend
from lsm_perception.calibration import Calibration
from lsm_perception.map_state import MapUpdate, OutdatedError
from lsm_perception.mapper import Mapper
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe
from lsm_perception.settings import replaced
from lsm_perception.units import metres, scaled_covariance
from synthetic_world import View, walk

from lsm_core.mapping import ScaleState

NO_FEATURES = replaced(NodeParameters(), {"pose_gate.two_view_check": False})


class Walker:
    """Feeds a mapper with the views of a walk, as the pipeline would."""

    def __init__(self, views: list[View], odometry: bool = False, parameters: NodeParameters = NO_FEATURES) -> None:
        self.backend = FakeBackend(views)
        self.mapper = Mapper(parameters)
        self._odometry = odometry
        self._count = 0

    def keyframe(self, view: View) -> Keyframe:
        self._count += 1
        return Keyframe(
            id=self._count, stamp_ns=view.stamp_ns, camera="", frame_id="cam", segment=0, T_map_cam=None,
            prediction=None, view=0, encoded=self.backend.encode(view.rgb), calibration=Calibration(320, 240),
            T_odom_cam=view.T_world_cam if self._odometry else None,
        )  # fmt: skip

    def step(self, view: View, overlap: float = 0.9) -> MapUpdate:
        newer = self.keyframe(view)
        older, generation = self.mapper.partner()
        first = newer if older is None else older
        prediction = self.backend.predict([first.encoded, newer.encoded])  # type: ignore[list-item]
        if older is None:
            return self.mapper.add_masks_only(newer, prediction, generation)
        return self.mapper.add_pair(older, newer, prediction, overlap, generation)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(21)


def test_twenty_randomly_rescaled_pairs_reproduce_the_trajectory(views: list[View]) -> None:
    walker = Walker(views)
    updates = [walker.step(view) for view in views]
    assert all(u.pair is not None and u.pair.accepted for u in updates[1:]) and walker.mapper.segment == 1
    _, positions, _ = walker.mapper.path()
    truth = np.stack([np.linalg.inv(views[0].T_world_cam) @ v.T_world_cam for v in views])[:, :3, 3]
    unit = np.linalg.norm(truth[1]) / np.linalg.norm(positions[1])
    # The ratios come from depth maps sampled at different pixels of the same walls, hence not to rounding.
    assert np.abs(positions * unit - truth).max() < 5e-3 * np.linalg.norm(truth[-1])


def test_points_gaussians_and_pose_of_a_pair_move_together_into_the_segment(views: list[View]) -> None:
    walker = Walker(views)
    for view in views[:6]:
        update = walker.step(view)
        if update.placed is None:
            continue
        in_map = update.placed.in_map
        assert in_map.gaussians is not None and update.pair is not None
        points, means = in_map.pointmaps[1].reshape(-1, 3), in_map.gaussians.means[-4800:]
        assert np.allclose(points, means, atol=1e-5)
        # A Gaussian of the stub is one hundredth of a metre: in every pair the same share of the segment's unit.
        truth = np.linalg.inv(views[0].T_world_cam) @ view.T_world_cam
        unit = np.linalg.norm(walker.mapper.path()[1][-1]) / np.linalg.norm(truth[:3, 3])
        assert np.allclose(in_map.gaussians.scales, 0.03 * unit, rtol=0.02)
        assert np.allclose(in_map.poses[1], update.keyframe.T_map_cam, atol=1e-5)
        kept = update.keyframe.prediction
        assert kept is not None and kept.gaussians is not None
        assert np.allclose(kept.pointmaps[0], in_map.pointmaps[1], atol=1e-6)
        assert np.allclose(kept.gaussians.means, means, atol=1e-6)


def test_odometry_gives_metres_after_three_samples(views: list[View]) -> None:
    walker = Walker(views, odometry=True)
    states = [walker.step(view).scale.state for view in views[:8]]
    assert states[:3] == [ScaleState.UNKNOWN] * 3 and states[3:] == [ScaleState.METRIC] * 5
    _, positions, _ = walker.mapper.path()
    truth = np.linalg.inv(views[0].T_world_cam) @ views[7].T_world_cam
    assert np.allclose(positions[-1] * metres(walker.mapper.scale), truth[:3, 3], atol=0.02)


def test_one_bad_pair_does_not_break_the_chain(views: list[View]) -> None:
    walker = Walker(views)
    for view in views[:4]:
        walker.step(view)
    walker.backend.validity = 0.0
    rejected = walker.step(views[4])
    assert rejected.pair is not None and rejected.pair.reason == "low_validity" and rejected.placed is None
    assert rejected.keyframe.prediction is not None and rejected.keyframe.T_map_cam is None
    walker.backend.validity = 1.0
    update = walker.step(views[5])
    assert update.pair is not None and update.pair.accepted and update.pair.older.stamp_ns == views[3].stamp_ns
    assert walker.mapper.segment == 1 and not update.cleared


def test_two_bad_pairs_start_a_new_segment_at_the_newest_keyframe(views: list[View]) -> None:
    walker = Walker(views)
    for view in views[:4]:
        walker.step(view)
    walker.backend.validity = 0.0
    walker.step(views[4])
    walker.step(views[5])
    walker.backend.validity = 1.0
    update = walker.step(views[6])
    assert update.pair is not None and update.pair.accepted and update.pair.older.stamp_ns == views[5].stamp_ns
    assert walker.mapper.segment == 2 and update.cleared
    assert len(walker.mapper.path()[0]) == 2


def test_a_bad_pair_with_little_overlap_starts_a_new_segment_at_once(views: list[View]) -> None:
    walker = Walker(views)
    for view in views[:3]:
        walker.step(view)
    walker.backend.validity, walker.backend.overlap = 0.0, 0.4
    walker.step(views[3])
    older, _ = walker.mapper.partner()
    assert older is not None and older.stamp_ns == views[3].stamp_ns


@pytest.mark.parametrize(("measured", "kept"), [(0.8, True), (float("nan"), False)])
def test_the_overlap_that_the_pair_itself_has_counts_before_that_of_lost_corners(
    views: list[View], measured: float, kept: bool
) -> None:
    """A fast turn loses the corners, not the view: the last good keyframe is tried once more."""
    walker = Walker(views)
    for view in views[:3]:
        walker.step(view)
    walker.backend.validity, walker.backend.overlap = 0.0, measured
    walker.step(views[3], overlap=0.0)
    older, _ = walker.mapper.partner()
    assert older is not None and (older.stamp_ns == views[2].stamp_ns) is kept


def test_a_lost_view_is_the_start_of_the_next_pair(views: list[View]) -> None:
    walker = Walker(views)
    for view in views[:3]:
        walker.step(view)
    lost = walker.keyframe(views[9])
    _, generation = walker.mapper.partner()
    update = walker.mapper.start_anew(lost, generation)
    assert update.pair is None and walker.mapper.get(lost.id) is None
    walker.step(views[10])
    kept = walker.mapper.get(lost.id)
    assert kept is not None and kept.prediction is not None and walker.mapper.segment == 2


def test_a_new_segment_forgets_metres_and_counts_an_epoch(views: list[View]) -> None:
    walker = Walker(views, odometry=True)
    for view in views[:6]:
        walker.step(view)
    epoch = walker.mapper.scale.epoch
    assert walker.mapper.scale.state is ScaleState.METRIC
    _, generation = walker.mapper.partner()
    walker.mapper.start_anew(walker.keyframe(views[8]), generation)
    update = walker.step(views[9])
    assert update.cleared and update.scale.state is ScaleState.UNKNOWN and update.scale.epoch == epoch + 1


def test_results_of_before_a_reset_are_refused(views: list[View]) -> None:
    walker = Walker(views)
    for view in views[:3]:
        walker.step(view)
    older, generation = walker.mapper.partner()
    newer = walker.keyframe(views[3])
    prediction = walker.backend.predict([older.encoded, newer.encoded])  # type: ignore[union-attr,list-item]
    removed = walker.mapper.reset()
    assert [k.stamp_ns for k in removed] == [v.stamp_ns for v in views[:3]]
    with pytest.raises(OutdatedError):
        walker.mapper.add_pair(older, newer, prediction, 0.9, generation)  # type: ignore[arg-type]
    assert walker.mapper.latest() is None and walker.mapper.partner()[0] is None


def test_the_store_is_bounded_and_tells_what_left(views: list[View]) -> None:
    walker = Walker(views, parameters=replaced(NO_FEATURES, {"keyframes.window": 5}))
    removed = [k.id for view in views[:9] for k in walker.step(view).removed]
    assert removed == [1, 2, 3, 4] and walker.mapper.get(4) is None and walker.mapper.get(5) is not None


def test_covariance_follows_the_unit() -> None:
    covariance = np.arange(36, dtype=np.float64).reshape(6, 6)
    covariance[0, 0] = 1.0
    scaled = scaled_covariance(covariance, 2.0)
    assert np.allclose(scaled[:3, :3], 4 * covariance[:3, :3]) and np.allclose(scaled[3:, 3:], covariance[3:, 3:])
    assert np.allclose(scaled[:3, 3:], 2 * covariance[:3, 3:])
    unknown = np.zeros((6, 6))
    unknown[0, 0] = -1
    assert scaled_covariance(unknown, 2.0)[0, 0] == -1
