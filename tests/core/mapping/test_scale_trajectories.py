"""State machine, chain and samples together on simulated trajectories: what is called metric is right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lsm_core.mapping import ScaleConfig, ScaleSource, ScaleState

from .simulated_robot import Record, noisy, run, scaled, sources, states, way

METRIC, DEGRADED, UNKNOWN = ScaleState.METRIC, ScaleState.DEGRADED, ScaleState.UNKNOWN


def metric_error(records: list[Record]) -> float:
    """Return the median relative error of the lengths that were published in metres."""
    return float(np.nanmedian([r.length_error for r in records]))


@pytest.mark.parametrize(("sigma_m", "limit"), [(0.0, 0.02), (0.005, 0.03), (0.02, 0.05), (0.05, 0.1)])
def test_lengths_are_metres_whatever_the_noise(sigma_m: float, limit: float) -> None:
    records = run(way(40), noisy(sigma_m))
    assert states(records)[3:].count(METRIC) >= 30 and metric_error(records) < limit
    assert {r.segment for r in records} == {1} and records[-1].estimate.epoch == 1


def test_stops_give_no_samples_and_leave_the_scale_as_it_is() -> None:
    steps = way(8) + [np.eye(4)] * 12 + way(4, seed=5)
    records = run(steps, noisy(0.003))
    before, after = records[7].estimate, records[19].estimate
    assert all(r.reasons == ["short_baseline"] for r in records[8:20])
    assert (before.metres_per_unit, before.samples, before.state) == (after.metres_per_unit, after.samples, METRIC)
    assert states(records)[-1] is METRIC


def test_pure_rotation_gives_no_scale_even_where_the_model_invents_a_motion() -> None:
    steps = way(10)
    records = run(
        steps, lambda i, T: np.block([[T[:3, :3], np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]])
    )
    assert set(states(records)) == {UNKNOWN} and all(r.reasons == ["short_baseline"] for r in records)


def test_a_constant_factor_cannot_be_seen_and_goes_straight_into_the_metres() -> None:
    records = run(way(20), scaled(lambda _: 1.3))
    assert states(records)[-1] is METRIC and records[-1].length_error == pytest.approx(0.3, abs=0.03)


def test_depth_corrects_odometry_with_a_constant_factor() -> None:
    records = run(way(20), scaled(lambda _: 1.3), depth_factor=lambda _: 1.0)
    assert sources(records)[-1] is ScaleSource.DEPTH and metric_error(records) < 0.03


def test_occasional_slip_is_set_aside() -> None:
    records = run(way(40), scaled(lambda i: 3.0 if i % 5 == 4 else 1.0))
    assert states(records)[-1] is METRIC and metric_error(records) < 0.03
    assert [i for i, r in enumerate(records) if r.reasons == ["outlier"]] == list(range(4, 40, 5))


def test_frequent_slip_puts_the_scale_in_doubt_and_it_comes_back() -> None:
    records = run(way(50), scaled(lambda i: 4.0 if 10 <= i < 25 and i % 2 else 1.0))
    assert states(records)[9] is METRIC and DEGRADED in states(records)[15:25] and states(records)[-1] is METRIC
    assert {r.segment for r in records} == {1} and metric_error(records) < 0.03


def test_a_slow_drift_is_followed_without_an_epoch() -> None:
    records = run(way(80), scaled(lambda i: 1 + 0.006 * i))
    assert set(states(records)[3:]) == {METRIC} and records[-1].estimate.epoch == 1
    assert records[-1].length_error == pytest.approx(0.006 * 72, abs=0.05)  # the middle of the last 15 samples


def test_a_jump_begins_one_new_epoch_and_one_new_segment_and_stays_metric() -> None:
    records = run(way(40), scaled(lambda i: 1.0 if i < 20 else 3.0))
    assert [r.reasons for r in records[20:24]] == [["outlier"]] * 3 + [[]]
    assert [r.estimate.epoch for r in records[18:26]] == [1] * 5 + [2] * 3
    assert [r.segment for r in records[18:26]] == [1] * 5 + [2] * 3
    assert set(states(records)[23:]) == {METRIC}
    assert all(r.length_error == pytest.approx(2.0, abs=0.1) for r in records[23:])  # three times the truth


@pytest.mark.parametrize("seed", range(4))
def test_thirty_percent_of_wild_outliers_do_not_move_the_metres(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wild = np.where(rng.random(80) < 0.3, np.exp(rng.uniform(0.8, 2.5, 80) * rng.choice([-1, 1], 80)), 1.0)
    wild[:4] = 1.0
    records = run(way(80), scaled(lambda i: float(wild[i])), seed=seed)
    assert records[-1].estimate.epoch == 1 and metric_error(records) < 0.05
    assert max(r.length_error for r in records if not math.isnan(r.length_error)) < 0.15


def test_a_source_that_ends_gives_way_and_takes_over_again() -> None:
    records = run(way(60), scaled(lambda _: 1.1), depth_factor=lambda i: None if 15 <= i < 40 else 1.0)
    found = sources(records)
    ends = 15 + ScaleConfig().takeover_pairs
    assert set(found[3:ends]) == {ScaleSource.DEPTH} and set(found[ends:40]) == {ScaleSource.ODOMETRY}
    assert found[-1] is ScaleSource.DEPTH and set(states(records)[3:]) == {METRIC}
    assert records[-1].estimate.epoch == 1  # 10 % is no jump


def test_sources_that_disagree_change_over_in_a_new_epoch_and_not_forth_and_back() -> None:
    records = run(way(60), scaled(lambda _: 3.0), depth_factor=lambda i: 1.0 if i >= 20 and i % 2 else None)
    assert sources(records)[19] is ScaleSource.ODOMETRY and sources(records)[-1] is ScaleSource.DEPTH
    assert records[-1].estimate.epoch == 2 and records[-1].segment == 2
    assert records[-1].length_error < 0.05


def test_metres_grow_stale_without_samples_and_come_back() -> None:
    config = ScaleConfig(stale_pairs=12)
    records = run(way(40), lambda i, T: None if 10 <= i < 30 else T, config=config)
    found = states(records)
    assert set(found[3:22]) == {METRIC} and set(found[22:30]) == {DEGRADED} and set(found[30:]) == {METRIC}
    assert records[-1].estimate.epoch == 1


def test_a_broken_chain_forgets_the_metres_counts_an_epoch_and_gathers_anew() -> None:
    records = run(way(24), noisy(0.002), broken=[12])
    assert [r.segment for r in records] == [1] * 12 + [2] * 12
    assert states(records)[11:16] == [METRIC, UNKNOWN, UNKNOWN, METRIC, METRIC]
    assert [r.estimate.epoch for r in records] == [0] * 2 + [1] * 10 + [2] * 12
    assert metric_error(records[14:]) < 0.03  # in the new unit, from new samples


@pytest.mark.parametrize(("step_m", "sampled"), [(0.045, False), (0.055, True)])
def test_the_least_baseline_decides_whether_there_is_a_sample(step_m: float, sampled: bool) -> None:
    records = run(way(10, step=step_m, turn_deg=2.0), noisy(0.0))
    assert (states(records)[-1] is METRIC) == sampled
    assert all((r.reasons == []) == sampled for r in records)


@pytest.mark.parametrize(("turn_deg", "sampled"), [(2.0, True), (60.0, False)])
def test_short_steps_of_fast_turns_give_no_sample(turn_deg: float, sampled: bool) -> None:
    """Their length is guessed: four of a kind would replace a good scale."""
    records = run(way(10, step=0.1, turn_deg=turn_deg), noisy(0.0))
    assert (states(records)[-1] is METRIC) == sampled


def test_longer_baselines_weigh_more() -> None:
    steps = way(6, step=0.06, turn_deg=2.0) + way(4, step=0.6)
    records = run(steps, scaled(lambda i: 1.5 if i < 6 else 1.0))
    assert records[-1].estimate.samples == 10 and metric_error(records[-1:]) < 0.03
