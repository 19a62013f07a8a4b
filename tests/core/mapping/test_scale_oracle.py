"""Median, spread and outlier gate of the scale against a plain NumPy account of the same rules."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm_core.mapping import ScaleConfig, ScaleEstimator, ScaleSample, ScaleSource

Values = list[tuple[float, int]]
PLAIN = ScaleConfig(max_spread=10.0, max_error=10.0, outlier_log_ratio=100.0)
GATED = ScaleConfig(max_spread=10.0, max_error=10.0, outlier_log_ratio=0.7)


def median(values: np.ndarray) -> float:
    """The lower median of plain numbers."""
    return float(np.sort(values)[(len(values) - 1) // 2])


def oracle(held: Values) -> tuple[float, float]:
    """Return median and spread of samples, by repeating each as often as it weighs."""
    logs = np.concatenate([np.full(weight, math.log(value)) for value, weight in held])
    centre = median(logs)
    deviation = np.abs(logs - centre)
    return math.exp(centre), 1.4826 * median(deviation) if len(held) >= 5 else float(deviation.max())


def gate(values: Values, config: ScaleConfig) -> tuple[list[bool], Values]:
    """Return which samples are used, and the window at the end: the rules of docs/mapping.md, word for word."""
    window: Values = []
    aside: Values = []
    used = []
    for value, weight in values:
        far = len(window) >= config.min_samples and (
            abs(math.log(value / oracle(window)[0])) > config.outlier_log_ratio
        )
        aside = [*aside, (value, weight)][-config.jump_samples :] if far else []
        logs = [math.log(v) for v, _ in aside]
        agree = len(aside) == config.jump_samples and max(logs) - min(logs) <= config.outlier_log_ratio
        if agree:
            window, aside = aside, []
        elif not far:
            window = [*window, (value, weight)][-config.window :]
        used.append(not far or agree)
    return used, window


samples = st.lists(st.tuples(st.floats(0.05, 20), st.integers(1, 5)), min_size=3, max_size=40)


def feed(values: Values, config: ScaleConfig) -> tuple[ScaleEstimator, list[bool]]:
    estimator = ScaleEstimator(config)
    used = [
        estimator.add_sample(ScaleSample(value, ScaleSource.ODOMETRY, float(weight))).used
        for value, weight in values
    ]
    return estimator, used


@settings(max_examples=100, deadline=None)
@given(samples)
def test_median_and_mad_are_those_of_the_last_fifteen_samples(values: Values) -> None:
    estimator, used = feed(values, PLAIN)
    centre, spread = oracle(values[-PLAIN.window :])
    assert all(used)
    assert math.isclose(estimator.estimate.metres_per_unit, centre, rel_tol=1e-9)
    assert math.isclose(estimator.estimate.spread, spread, rel_tol=1e-9, abs_tol=1e-9)


@settings(max_examples=150, deadline=None)
@given(samples)
def test_the_outlier_gate_takes_and_sets_aside_what_the_rules_say(values: Values) -> None:
    estimator, used = feed(values, GATED)
    expected, window = gate(values, GATED)
    assert used == expected
    assert math.isclose(estimator.estimate.metres_per_unit, oracle(window)[0], rel_tol=1e-9)
    assert estimator.estimate.samples == len(window)


def test_the_spread_of_noisy_samples_is_their_standard_deviation() -> None:
    rng = np.random.default_rng(0)
    config = ScaleConfig(window=2000, max_spread=10, max_error=10)
    values = [(float(v), 1) for v in np.exp(0.1 * rng.standard_normal(2000))]
    estimator, _ = feed(values, config)
    assert math.isclose(estimator.estimate.spread, 0.1, rel_tol=0.06)
