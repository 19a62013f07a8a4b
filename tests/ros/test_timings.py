"""Timings: exact quantiles of few values, the newest of many, and from image stamp to publication in ~/stats."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.timings import StageQuantiles, Timings
from lsm_perception_msgs.srv import Stats
from node_process import StubProcess
from robot import Robot
from synthetic_world import View


def of(*values: float) -> StageQuantiles:
    timings = Timings()
    for value in values:
        timings.add("predict", value)
    (stage,) = timings.quantiles()
    return stage


def test_quantiles_of_few_values_are_exact() -> None:
    assert of(7.0) == StageQuantiles("predict", 1, 7.0, 7.0, 7.0, 7.0)
    two = of(20.0, 10.0)
    assert (two.p50_ms, two.max_ms) == (15.0, 20.0)
    assert two.p95_ms == pytest.approx(19.5) and two.p99_ms == pytest.approx(19.9)
    hundred = of(*(float(v) for v in range(100, -1, -1)))  # 0 to 100: a quantile is its own percentage
    assert (hundred.p50_ms, hundred.p95_ms, hundred.p99_ms) == pytest.approx((50.0, 95.0, 99.0))


def test_quantiles_are_of_the_newest_measurements() -> None:
    stage = of(*(float(v) for v in range(2000)))
    assert (stage.count, stage.max_ms, stage.p50_ms) == (2000, 1999.0, 1499.5)
    assert stage.p99_ms == pytest.approx(1000 + 0.99 * 999)


def test_a_stage_that_raises_is_measured() -> None:
    timings = Timings()
    with pytest.raises(KeyError), timings.measure("decode"):
        raise KeyError("x")
    assert [s.stage for s in timings.quantiles()] == ["decode"]


def test_ages_of_another_clock_are_left_out() -> None:
    timings = Timings()
    now_ns = 1_700_000_000_000_000_000
    for stamp_ns in (now_ns - 25_000_000, now_ns + 1, now_ns - 60_000_000_000, 0):
        timings.add_age("transport", stamp_ns, now_ns)
    assert timings.quantiles() == [StageQuantiles("transport", 1, 25.0, 25.0, 25.0, 25.0)]


def test_stats_tell_every_stage_from_stamp_to_publication(
    stub: StubProcess, robot: Robot, stub_views: list[View]
) -> None:
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    robot.call(Stats, "stats", reset=True)
    for view in stub_views[:10]:
        robot.send(replace(view, stamp_ns=time.time_ns()))
        time.sleep(0.1)
    assert wait_until(lambda: len(robot.messages("points")) >= 1), stub.text
    time.sleep(0.3)  # the cloud comes before the end of its publication
    stages = {timing.stage: timing for timing in robot.call(Stats, "stats").timings}
    assert set(stages) >= {"transport", "gate", "wait", "decode", "encode", "odometry", "predict", "map", "publish"}
    assert stages["latency"].count == stages["total"].count > 0
    for low, high in (("publish", "total"), ("total", "latency")):
        assert 0 < stages[low].p50_ms <= stages[high].p50_ms, (low, high)
    for timing in stages.values():
        assert timing.p50_ms <= timing.p95_ms <= timing.p99_ms <= timing.max_ms
