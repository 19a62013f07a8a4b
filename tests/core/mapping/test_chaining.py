"""Pairs in arbitrary units become one trajectory through the keyframes they share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm_core.errors import InputError
from lsm_core.geometry.median import lower_weighted_median
from lsm_core.mapping import ChainConfig, PairChain, PairGeometry
from lsm_core.mapping.robust import depth_ratio
from lsm_core.types import Sim3

from .scenes import plane_prediction, random_pose, smooth_depth


def simulated_pairs(seed: int, count: int, noise: float = 0.0) -> tuple[list[np.ndarray], list[PairGeometry]]:
    """Return true poses T_world_cam of count + 1 cameras, and consecutive pairs each in its own random unit."""
    rng = np.random.default_rng(seed)
    poses = [np.eye(4)]
    for _ in range(count):
        poses.append(poses[-1] @ random_pose(rng))
    depths = [smooth_depth(rng) for _ in poses]
    pairs = []
    for k in range(count):
        unit = float(np.exp(rng.uniform(-2, 2)))
        T = np.linalg.inv(poses[k]) @ poses[k + 1]
        T[:3, 3] *= unit
        maps = [unit * d * np.exp(noise * rng.standard_normal(d.shape)) for d in (depths[k], depths[k + 1])]
        confidence = rng.uniform(1, 5, depths[k].shape).astype(np.float32)
        pairs.append(
            PairGeometry(
                k, k + 1, T, maps[0].astype(np.float32), maps[1].astype(np.float32), confidence, confidence
            )
        )
    return poses, pairs


def first_unit(pairs: list[PairGeometry], poses: list[np.ndarray]) -> float:
    return float(
        np.linalg.norm(pairs[0].T_older_newer[:3, 3]) / np.linalg.norm((np.linalg.inv(poses[0]) @ poses[1])[:3, 3])
    )


def test_pairs_of_a_known_unit_are_not_rescaled_by_their_depths() -> None:
    """Depths scatter by far more than a chain takes."""
    _, pairs = simulated_pairs(4, 5, noise=3.0)
    told, found = PairChain(), PairChain()
    steps = [told.add(pair, known_scale=0.25) for pair in pairs]
    assert [step.segment for step in steps] == [1] * 5 and {step.scale for step in steps[1:]} == {0.25}
    assert [found.add(pair).segment for pair in pairs][-1] > 1


def test_known_scale_is_left_aside_in_a_segment_of_another_unit() -> None:
    """The first pair was told by a model without metres, then the odometry came."""
    _, pairs = simulated_pairs(5, 3)
    mixed, plain = PairChain(), PairChain()
    mixed.add(pairs[0]), plain.add(pairs[0])
    assert [mixed.add(p, known_scale=1.0).scale for p in pairs[1:]] == [plain.add(p).scale for p in pairs[1:]]


@pytest.mark.parametrize("seed", range(3))
def test_twenty_randomly_rescaled_pairs_reproduce_the_trajectory(seed: int) -> None:
    poses, pairs = simulated_pairs(seed, 20)
    chain = PairChain()
    steps = [chain.add(pair) for pair in pairs]
    unit = first_unit(pairs, poses)
    for step, truth in zip(steps, poses[1:], strict=True):
        expected = np.linalg.inv(poses[0]) @ truth
        assert np.allclose(step.T_map_newer[:3, 3] / unit, expected[:3, 3], atol=1e-3)
        assert np.allclose(step.T_map_newer[:3, :3], expected[:3, :3], atol=1e-3)
    assert [step.new_segment for step in steps] == [True] + [False] * 19
    assert {step.segment for step in steps} == {1}


def test_noisy_depth_with_outliers_keeps_the_unit_within_a_few_percent() -> None:
    poses, pairs = simulated_pairs(5, 20, noise=0.1)
    rng = np.random.default_rng(0)
    for pair in pairs:  # a fifth of the pixels is nonsense, with low confidence
        wild = rng.random(pair.depth_older.shape) < 0.2
        pair.depth_older[wild] *= 10
        pair.confidence_older[wild] = 0.1
    chain = PairChain()
    steps = [chain.add(pair) for pair in pairs]
    unit = first_unit(pairs, poses)
    true_step = np.linalg.norm((np.linalg.inv(poses[-2]) @ poses[-1])[:3, 3])
    found = np.linalg.norm((np.linalg.inv(steps[-1].T_map_older) @ steps[-1].T_map_newer)[:3, 3]) / unit
    assert found == pytest.approx(true_step, rel=0.1)
    assert all(step.segment == 1 for step in steps)


def test_inconsistent_depth_starts_a_new_segment_with_its_own_unit() -> None:
    _, pairs = simulated_pairs(1, 3)
    scrambled = pairs[1].depth_older.copy().ravel()
    np.random.default_rng(0).shuffle(scrambled)
    pairs[1].depth_older[:] = scrambled.reshape(pairs[1].depth_older.shape)
    chain = PairChain()
    steps = [chain.add(pair) for pair in pairs]
    assert [s.segment for s in steps] == [1, 2, 2]
    assert steps[1].new_segment and steps[1].reason == "spread" and steps[1].spread > ChainConfig().max_spread
    assert steps[1].scale == 1.0 and np.array_equal(steps[1].T_map_older, np.eye(4))


def test_pairs_without_a_shared_keyframe_start_a_new_segment() -> None:
    _, pairs = simulated_pairs(2, 4)
    chain = PairChain()
    chain.add(pairs[0])
    step = chain.add(pairs[2])
    assert (step.segment, step.reason) == (2, "gap")


def test_a_pair_may_start_from_an_earlier_keyframe_when_one_was_rejected() -> None:
    poses, pairs = simulated_pairs(3, 3)
    skipping = PairGeometry(
        1,
        9,
        np.linalg.inv(poses[1]) @ poses[3],
        pairs[0].depth_newer / first_unit(pairs, poses),  # true depth of keyframe 1
        pairs[2].depth_newer,
        pairs[0].confidence_newer,
        pairs[2].confidence_newer,
    )
    chain = PairChain()
    chain.add(pairs[0])
    chain.add(pairs[1])
    step = chain.add(skipping)
    assert step.segment == 1
    expected = (np.linalg.inv(poses[0]) @ poses[3])[:3, 3] * first_unit(pairs, poses)
    assert np.allclose(step.T_map_newer[:3, 3], expected, atol=1e-3 * first_unit(pairs, poses))


def test_no_depth_in_common_is_named() -> None:
    _, pairs = simulated_pairs(4, 2)
    pairs[1].depth_older[:] = np.nan
    chain = PairChain()
    chain.add(pairs[0])
    assert chain.add(pairs[1]).reason == "no_shared_depth"


def test_asked_for_segment_begins_at_the_next_pair() -> None:
    _, pairs = simulated_pairs(6, 2)
    chain = PairChain()
    chain.add(pairs[0])
    chain.start_segment()
    step = chain.add(pairs[1])
    assert step.segment == 2 and step.new_segment and step.reason == "first"


def test_step_moves_a_prediction_into_the_map() -> None:
    prediction = plane_prediction()
    chain = PairChain(ChainConfig(min_shared_pixels=10))
    chain.add(PairGeometry.from_prediction(prediction, 1, 2))
    half = prediction.transform(Sim3.from_matrix(np.diag([0.5, 0.5, 0.5, 1.0])))
    step = chain.add(PairGeometry.from_prediction(half, 2, 3))
    assert step.scale == pytest.approx(2.0, rel=1e-6)
    moved = half.transform(step.map_from_pair)
    # camera 0 of the second pair is camera 1 of the first: x shifts by its baseline
    shifted = prediction.pointmaps[0].numpy() + np.array([0.2, 0, 0], np.float32)
    assert np.allclose(moved.pointmaps[0].numpy(), shifted, atol=1e-5)
    assert np.allclose(moved.poses[1].numpy(), step.T_map_newer, atol=1e-6)


@pytest.mark.parametrize("broken", ["nan", "not_rigid", "same_id", "shape"])
def test_malformed_pairs_are_refused(broken: str) -> None:
    _, (pair,) = simulated_pairs(7, 1)
    T, newer, confidence = pair.T_older_newer.copy(), pair.newer_id, pair.confidence_newer
    if broken == "nan":
        T[0, 3] = np.nan
    elif broken == "not_rigid":
        T[:3, :3] *= 2
    elif broken == "same_id":
        newer = pair.older_id
    else:
        confidence = confidence[:-1]
    with pytest.raises(InputError):
        PairChain().add(
            PairGeometry(
                pair.older_id, newer, T, pair.depth_older, pair.depth_newer, pair.confidence_older, confidence
            )
        )


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 100), st.integers(0, 10_000))
def test_depth_ratio_finds_any_factor_among_a_third_of_outliers(factor: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = rng.uniform(0.5, 5, (20, 20)).astype(np.float32)
    target = factor * source
    wild = rng.random(source.shape) < 0.33
    target[wild] *= rng.uniform(2, 9, int(wild.sum()))
    ratio, spread, pixels = depth_ratio(target.astype(np.float32), source, np.ones_like(source))
    assert ratio == pytest.approx(factor, rel=1e-4) and spread < 0.01 and pixels == 400


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 4)), min_size=1, max_size=12))
def test_weighted_median_equals_the_median_of_repeated_values(items: list[tuple[float, int]]) -> None:
    values, weights = np.array([v for v, _ in items]), np.array([float(w) for _, w in items])
    repeated = np.sort(np.repeat(values, weights.astype(int)))
    assert lower_weighted_median(values, weights) == repeated[(len(repeated) - 1) // 2]
