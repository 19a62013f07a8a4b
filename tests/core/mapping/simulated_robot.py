"""A robot on a simulated way: pairs in random units, odometry and depth with faults, chained as the node does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lsm_core.mapping import (
    PairChain,
    PairGeometry,
    SampleConfig,
    ScaleConfig,
    ScaleEstimate,
    ScaleEstimator,
    ScaleSource,
    ScaleState,
    sample_from_baseline,
    sample_from_depth,
)

from .scenes import random_pose, smooth_depth

Pose = np.ndarray
Odometry = Callable[[int, Pose], Pose | None]  # (index of the step, true step) -> step by odometry


@dataclass
class Record:
    """What came out after one pair: the estimate, the reasons of samples refused, the error of the pair in metres.

    `length_error` is |published length / true length - 1| of the pair where the state was METRIC, NaN elsewhere.
    """

    estimate: ScaleEstimate
    segment: int
    reasons: list[str] = field(default_factory=list)
    length_error: float = float("nan")


def way(count: int, seed: int = 0, step: float = 0.4, turn_deg: float = 15.0) -> list[Pose]:
    """Return motions of a random walk, each with a length near `step` metres."""
    rng = np.random.default_rng(seed)
    steps = [random_pose(rng, turn_deg=turn_deg) for _ in range(count)]
    for T in steps:
        T[:3, 3] *= step / np.linalg.norm(T[:3, 3])
    return steps


def run(
    steps: Sequence[Pose],
    odometry: Odometry | None = None,
    depth_factor: Callable[[int], float | None] | None = None,
    seed: int = 0,
    depth_noise: float = 0.02,
    config: ScaleConfig | None = None,
    limits: SampleConfig | None = None,
    broken: Sequence[int] = (),
) -> list[Record]:
    """Walk, pair, chain, sample.

    Args:
        steps: true motions between keyframes, metres.
        odometry: what odometry says of a step; None, or a function that returns None, is no odometry.
        depth_factor: what the depth camera multiplies the truth with at a keyframe, None for no depth image.
        seed: of units and noise.
        depth_noise: of the predicted depths, standard deviation of the logarithm.
        config: of the estimator.
        limits: of the samples.
        broken: pairs whose depth of the shared keyframe makes no sense.
    """
    rng = np.random.default_rng(seed)
    chain, estimator, records = PairChain(), ScaleEstimator(config), []
    depths = [smooth_depth(rng) for _ in range(len(steps) + 1)]
    for i, true_step in enumerate(steps):
        unit = float(np.exp(rng.uniform(-1.5, 1.5)))  # pair units per metre
        T = true_step.copy()
        T[:3, 3] *= unit
        older, newer = (unit * d * np.exp(depth_noise * rng.standard_normal(d.shape)) for d in depths[i : i + 2])
        if i in broken:
            older = rng.permutation(older.ravel()).reshape(older.shape)
        ones = np.ones(older.shape, np.float32)
        pair = PairGeometry(i, i + 1, T, older.astype(np.float32), newer.astype(np.float32), ones, ones)
        step = chain.add(pair)
        if step.new_segment:
            estimator.on_new_segment()
        results = []
        factor = depth_factor(i) if depth_factor is not None else None
        if factor is not None:
            measured = (factor * depths[i + 1]).astype(np.float32)
            predicted = (step.scale * newer).astype(np.float32)
            results.append(sample_from_depth(measured, predicted, ones, stamp_ns=i, config=limits))
        moved = odometry(i, true_step) if odometry is not None else None
        T_segment = np.linalg.inv(step.T_map_older) @ step.T_map_newer
        if moved is not None:
            results.append(sample_from_baseline(moved, T_segment, stamp_ns=i, config=limits))
        updates = [estimator.add_sample(r.sample) for r in results if r.sample is not None]
        if any([u.new_epoch for u in [*updates, estimator.end_pair()]]):
            chain.start_segment()
            estimator.change_unit(step.scale)
            step = chain.add(pair)
            T_segment = np.linalg.inv(step.T_map_older) @ step.T_map_newer
        now = estimator.estimate
        length = now.metres_per_unit * np.linalg.norm(T_segment[:3, 3])
        true_length = float(np.linalg.norm(true_step[:3, 3]))
        reasons = [r.reason for r in results if r.sample is None] + [u.reason for u in updates if not u.used]
        record = Record(now, step.segment, reasons)
        if now.state is ScaleState.METRIC and true_length > 0:
            record.length_error = abs(length / true_length - 1)
        records.append(record)
    return records


def noisy(sigma_m: float, seed: int = 1) -> Odometry:
    """Return odometry with noise on each axis."""
    rng = np.random.default_rng(seed)
    return scaled(lambda _: 1.0, lambda: sigma_m * rng.standard_normal(3))


def scaled(factor: Callable[[int], float], noise: Callable[[], np.ndarray] | None = None) -> Odometry:
    """Return odometry that multiplies the length of step i with a factor."""

    def odometry(i: int, T: Pose) -> Pose:
        out = T.copy()
        out[:3, 3] = factor(i) * out[:3, 3] + (0 if noise is None else noise())
        return out

    return odometry


def states(records: Sequence[Record]) -> list[ScaleState]:
    """Return the state after each pair."""
    return [r.estimate.state for r in records]


def sources(records: Sequence[Record]) -> list[ScaleSource]:
    """Return the source after each pair."""
    return [r.estimate.source for r in records]
