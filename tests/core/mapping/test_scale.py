"""Metres per unit on simulated trajectories: noise, stops, rotation, wrong odometry, jumps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm_core.errors import InputError
from lsm_core.mapping import (
    SampleConfig,
    ScaleConfig,
    ScaleEstimator,
    ScaleSample,
    ScaleSource,
    ScaleState,
    sample_from_baseline,
    sample_from_camera_height,
    sample_from_depth,
)

from .scenes import random_pose

UNIT = 0.37  # metres per unit of the simulated segment


def samples(values: list[float], source: ScaleSource = ScaleSource.ODOMETRY) -> list[ScaleSample]:
    return [ScaleSample(v, source, 1.0, i) for i, v in enumerate(values)]


def run_odometry(
    steps: list[np.ndarray], noise_m: float = 0.0, seed: int = 0, factor: float = 1.0
) -> tuple[ScaleEstimator, list[str]]:
    """Feed an estimator with pairs in units of UNIT and odometry of the same steps with noise."""
    rng = np.random.default_rng(seed)
    estimator, reasons = ScaleEstimator(), []
    for i, step in enumerate(steps):
        pair, odometry = step.copy(), step.copy()
        pair[:3, 3] /= UNIT
        odometry[:3, 3] = factor * odometry[:3, 3] + noise_m * rng.standard_normal(3)
        result = sample_from_baseline(odometry, pair, stamp_ns=i)
        reasons.append(result.reason)
        if result.sample is not None:
            estimator.add_sample(result.sample)
        estimator.end_pair()
    return estimator, reasons


def walk(count: int, seed: int = 0, step: float = 0.4) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [random_pose(rng, step) for _ in range(count)]


def test_noisy_odometry_gives_the_scale_within_five_percent() -> None:
    estimator, _ = run_odometry(walk(20), noise_m=0.01)
    now = estimator.estimate
    assert now.state is ScaleState.METRIC and now.source is ScaleSource.ODOMETRY
    assert now.metres_per_unit == pytest.approx(UNIT, rel=0.05)
    assert now.epoch == 1 and 0 < now.spread < 0.2 and now.samples == 15 and now.stamp_ns == 19


def test_nothing_is_claimed_before_enough_samples() -> None:
    estimator = ScaleEstimator()
    assert estimator.estimate.state is ScaleState.UNKNOWN and math.isnan(estimator.estimate.metres_per_unit)
    states = [estimator.add_sample(s).estimate.state for s in samples([0.4, 0.4, 0.4])]
    assert states == [ScaleState.UNKNOWN, ScaleState.UNKNOWN, ScaleState.METRIC]


def test_stops_give_no_samples_and_keep_the_scale() -> None:
    still = [np.eye(4)] * 10
    estimator, reasons = run_odometry(walk(6) + still, noise_m=0.002)
    assert reasons[6:] == ["short_baseline"] * 10
    assert estimator.estimate.state is ScaleState.METRIC and estimator.estimate.samples == 6


def test_pure_rotation_gives_no_scale() -> None:
    turns = walk(10)
    for T in turns:
        T[:3, 3] = 0
    estimator, reasons = run_odometry(turns, noise_m=0.005)
    assert set(reasons) == {"short_baseline"} and estimator.estimate.state is ScaleState.UNKNOWN


def test_pair_without_motion_gives_no_infinite_scale() -> None:
    moved = np.eye(4)
    moved[0, 3] = 1.0
    assert sample_from_baseline(moved, np.eye(4)).reason == "no_motion"


def test_odometry_that_contradicts_the_pair_is_refused() -> None:
    pair, turned, sideways, broken = (np.eye(4) for _ in range(4))
    pair[2, 3] = turned[2, 3] = 0.5
    turned[:3, :3] = random_pose(np.random.default_rng(0), turn_deg=60)[:3, :3]
    sideways[0, 3] = 0.5
    broken[0, 3] = np.nan
    assert sample_from_baseline(turned, pair).reason == "rotation"
    assert sample_from_baseline(sideways, pair).reason == "direction"
    assert sample_from_baseline(broken, pair).reason == "not_finite"


@pytest.mark.parametrize("seed", range(5))
def test_slipping_wheels_that_disagree_with_themselves_do_not_stay_metric(seed: int) -> None:
    values = np.exp(np.random.default_rng(seed).uniform(-1.2, 1.2, 60))
    estimator = ScaleEstimator()
    states = [estimator.add_sample(s).estimate.state for s in samples(values.tolist())]
    assert states.count(ScaleState.METRIC) <= 12 and estimator.estimate.state is not ScaleState.METRIC


def test_single_outlier_changes_nothing() -> None:
    estimator = ScaleEstimator()
    for s in samples([0.4, 0.41, 0.39, 0.4]):
        estimator.add_sample(s)
    before = estimator.estimate
    update = estimator.add_sample(ScaleSample(4.0, ScaleSource.ODOMETRY))
    assert (update.used, update.reason, update.new_epoch) == (False, "outlier", False)
    assert estimator.estimate == before


def test_lasting_jump_replaces_the_scale_in_a_new_epoch() -> None:
    estimator = ScaleEstimator()
    for s in samples([0.4] * 6):
        estimator.add_sample(s)
    updates = [estimator.add_sample(s) for s in samples([0.9] * 4)]
    assert [u.used for u in updates] == [False, False, False, True]
    assert updates[-1].new_epoch and updates[-1].estimate.epoch == 2
    assert updates[-1].estimate.metres_per_unit == pytest.approx(0.9)


def test_slow_drift_is_followed_without_a_new_epoch() -> None:
    estimator = ScaleEstimator()
    values = [0.4 * 1.01**i for i in range(60)]
    assert not any(estimator.add_sample(s).new_epoch for s in samples(values))
    assert (
        estimator.estimate.metres_per_unit == pytest.approx(values[-8], rel=0.02) and estimator.estimate.epoch == 1
    )


def test_new_segment_forgets_the_scale_and_grows_the_epoch_once() -> None:
    estimator = ScaleEstimator()
    for s in samples([0.4] * 3):
        estimator.add_sample(s)
    void = estimator.on_new_segment()
    assert (void.state, void.epoch, void.samples) == (ScaleState.UNKNOWN, 2, 0)
    assert estimator.on_new_segment().epoch == 2  # nothing was claimed in between
    for s in samples([7.0] * 3):
        estimator.add_sample(s)
    assert estimator.estimate.metres_per_unit == pytest.approx(7.0) and estimator.estimate.epoch == 2


def test_each_reset_is_a_new_epoch_and_a_first_scale_is_none() -> None:
    estimator = ScaleEstimator()
    assert [estimator.reset().epoch for _ in range(3)] == [1, 2, 3]
    for s in samples([0.4] * 3):
        estimator.add_sample(s)
    assert (estimator.estimate.state, estimator.estimate.epoch) == (ScaleState.METRIC, 3)
    assert estimator.reset().state is ScaleState.UNKNOWN and estimator.estimate.epoch == 4


def test_better_source_takes_over() -> None:
    estimator = ScaleEstimator()
    for s in samples([0.42] * 3):
        estimator.add_sample(s)
    for s in samples([0.40] * 3, ScaleSource.DEPTH):
        estimator.add_sample(s)
    assert estimator.estimate.source is ScaleSource.DEPTH and estimator.estimate.epoch == 1
    estimator.add_sample(samples([0.42])[0])
    assert estimator.estimate.metres_per_unit == pytest.approx(0.40)


def test_model_claim_is_opt_in_and_only_ever_degraded() -> None:
    claim = ScaleSample(1.0, ScaleSource.MODEL)
    assert ScaleEstimator().add_sample(claim).reason == "source_off"
    estimator = ScaleEstimator(ScaleConfig(allow_model=True))
    for _ in range(5):
        assert estimator.add_sample(claim).estimate.state is ScaleState.DEGRADED
    updates = [estimator.add_sample(s) for s in samples([0.9] * 3)]
    assert updates[-1].estimate.state is ScaleState.METRIC and updates[-1].new_epoch


def test_source_that_is_not_in_the_order_is_off() -> None:
    estimator = ScaleEstimator(ScaleConfig(order=(ScaleSource.DEPTH,)))
    assert estimator.add_sample(samples([0.4])[0]).reason == "source_off"


def test_scale_grows_stale_without_samples_and_recovers() -> None:
    estimator = ScaleEstimator(ScaleConfig(stale_pairs=5))
    for s in samples([0.4] * 3):
        estimator.add_sample(s)
    estimator.end_pair()
    states = [estimator.end_pair().estimate.state for _ in range(6)]
    assert states == [ScaleState.METRIC] * 5 + [ScaleState.DEGRADED]
    assert estimator.add_sample(samples([0.4])[0]).estimate.state is ScaleState.METRIC


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_nonsense_values_are_refused(value: float) -> None:
    update = ScaleEstimator().add_sample(ScaleSample(value, ScaleSource.DEPTH))
    assert not update.used and update.reason == "not_finite"


def test_impossible_configuration_is_refused() -> None:
    with pytest.raises(InputError):
        ScaleEstimator(ScaleConfig(window=2, min_samples=3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40))
def test_metric_scale_always_lies_within_its_samples_and_epochs_never_fall(values: list[float]) -> None:
    estimator, epoch = ScaleEstimator(), 0
    for s in samples(values):
        now = estimator.add_sample(s).estimate
        assert now.epoch >= epoch
        epoch = now.epoch
        if now.state is ScaleState.METRIC:
            assert min(values) * (1 - 1e-9) <= now.metres_per_unit <= max(values) * (1 + 1e-9)


def test_depth_image_on_another_grid_gives_the_ratio() -> None:
    v, u = np.mgrid[:96, :128]
    depth_m = (1.0 + 0.01 * u + 0.005 * v).astype(np.float32)
    to_image = np.array([[4.0, 0, 1.5], [0, 4.0, 1.5], [0, 0, 1]])
    gv, gu = np.mgrid[:24, :32]
    exact = 1.0 + 0.01 * (4 * gu + 1.5) + 0.005 * (4 * gv + 1.5)
    depth_m[:20] = 0  # a hole
    result = sample_from_depth(depth_m, (exact / UNIT).astype(np.float32), np.ones((24, 32), np.float32), to_image)
    assert result.sample is not None and result.sample.source is ScaleSource.DEPTH
    assert result.sample.metres_per_unit == pytest.approx(UNIT, rel=0.01)


def test_depth_that_does_not_fit_gives_no_sample() -> None:
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.2, 9, (24, 32)).astype(np.float32)
    other = rng.uniform(0.2, 9, (24, 32)).astype(np.float32)
    ones = np.ones_like(depth)
    assert sample_from_depth(depth, other, ones).reason == "depth_spread"
    assert sample_from_depth(np.full_like(depth, np.nan), other, ones).reason == "few_pixels"
    with pytest.raises(InputError):
        sample_from_depth(depth[:-1], other, ones)


def room_points(height: float, tilt_deg: float, seed: int = 0, floor: bool = True) -> np.ndarray:
    """Return points [N, 3] of a floor, a table top and a wall seen by a camera pitched down, unit metres."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-2, 2, 1500), rng.uniform(1, 5, 1500)
    parts = [np.stack([a, np.full_like(a, height), b], 1)] if floor else []
    parts.append(np.stack([a[:700] / 2, np.full(700, height - 0.7), b[:700] / 2 + 1], 1))
    parts.append(np.stack([a, rng.uniform(-1, height, 1500), np.full_like(a, 5.0)], 1))
    points = np.concatenate(parts) + 0.004 * rng.standard_normal((sum(map(len, parts)), 3))
    c, s = math.cos(math.radians(tilt_deg)), math.sin(math.radians(tilt_deg))
    return points @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]]).T  # camera looks down by the tilt


def test_camera_height_finds_the_floor_and_not_the_table() -> None:
    points = room_points(1.4, 20.0).astype(np.float32)
    up = np.array([0, -math.cos(math.radians(20)), math.sin(math.radians(20))])
    result = sample_from_camera_height(points / UNIT, np.ones(len(points), np.float32), up, 1.4)
    # up in the camera's frame: minus the world's down axis (0, 1, 0) turned by the tilt
    assert result.sample is not None
    assert result.sample.metres_per_unit == pytest.approx(UNIT, rel=0.03)


def test_no_floor_in_view_gives_no_scale() -> None:
    points = np.random.default_rng(0).uniform([-2, -2, 2], [2, 2, 6], (1000, 3)).astype(np.float32)
    result = sample_from_camera_height(points, np.ones(1000, np.float32), np.array([0, -1, 0]), 1.4)
    assert (result.sample, result.reason) == (None, "no_floor")
    few = sample_from_camera_height(points[:50], np.ones(50, np.float32), np.array([0, -1, 0]), 1.4)
    assert few.reason == "no_floor"
    assert sample_from_camera_height(points, np.ones(1000, np.float32), np.zeros(3), 1.4).reason == "not_finite"


def test_rig_gives_scale_while_standing_still() -> None:
    extrinsic = np.eye(4)
    extrinsic[0, 3] = 0.12
    pair = np.eye(4)
    pair[0, 3] = 0.12 / UNIT
    result = sample_from_baseline(extrinsic, pair, ScaleSource.RIG, config=SampleConfig(min_baseline_m=0.05))
    assert result.sample is not None and result.sample.metres_per_unit == pytest.approx(UNIT)
    assert result.sample.source is ScaleSource.RIG
