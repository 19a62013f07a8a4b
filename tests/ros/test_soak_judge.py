"""The soak's verdict: growth is told from noise, and whatever must not happen fails the run."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.soak.judge import judge, longest_silence_s, slope, stopped_s
from lsm_perception.soak.log_tally import LogTally
from lsm_perception.soak.process_figures import process_figures
from lsm_perception.soak.record import Sample, SoakRecord, SoakWriter, read_record
from lsm_perception.soak.report import lines

from lsm_core.errors import FileFormatError

MINUTES = 120.0
RUN = {
    "commit": "abc",
    "bag": "room",
    "rate": 1.0,
    "backend": "stub",
    "device": "cpu",
    "exit_code": 0,
    "stop_s": 0.4,
}


def record(minutes: float = MINUTES, run: dict[str, Any] | None = None, **columns: Any) -> SoakRecord:
    """Return a flawless run of noisy memory with some columns replaced."""
    rng = np.random.default_rng(5)
    t = np.arange(0.0, minutes * 60, 5.0)
    made = {field.name: np.zeros_like(t) for field in fields(Sample)}
    made |= {"t_s": t, "active": np.ones_like(t), "masks": t, "mask_age_s": np.full_like(t, 1.0)}
    made |= {"pairs": t, "delivered": 10 * t, "cpu_s": 0.3 * t}
    made["rss_mib"] = 700 + rng.normal(0, 15, len(t)) + 40 * (np.sin(t / 90) > 0.9)
    made["anonymous_mib"], made["threads"] = made["rss_mib"] - 200, np.full_like(t, 24.0)
    return SoakRecord(run or RUN, made | {name: np.asarray(value(t)) for name, value in columns.items()})


def failures(run: SoakRecord) -> list[str]:
    """Return the names of what failed."""
    return [finding.name for finding in judge(run) if not finding.passed]


@pytest.mark.parametrize("minutes", [10.0, 120.0])
def test_noise_and_bursts_are_no_leak(minutes: float) -> None:
    assert failures(record(minutes)) == []


def test_a_leak_is_found_in_the_noise_and_its_slope_told() -> None:
    leaking = record(rss_mib=lambda t: 700 + 20 * t / 3600 + np.random.default_rng(1).normal(0, 15, len(t)))
    assert failures(leaking) == ["growth of rss_mib"]
    fitted = slope(leaking, "rss_mib")
    assert fitted is not None and fitted.low < 20 < fitted.high and fitted.per_hour == pytest.approx(20, abs=4)


def test_ten_minutes_judge_what_was_added_and_not_the_slope() -> None:
    def grown(mib: float) -> Any:
        return lambda t: 700 + mib * t / t[-1]

    assert failures(record(10.0, rss_mib=grown(30.0))) == []
    assert failures(record(10.0, rss_mib=grown(60.0))) == ["growth of rss_mib"]


def test_growth_during_the_warm_up_is_not_judged() -> None:
    assert failures(record(rss_mib=lambda t: 500 + np.minimum(t, 1100.0))) == []


def test_a_thread_per_pause_fails() -> None:
    assert failures(record(threads=lambda t: 24 + t // 410)) == ["growth of threads"]
    assert failures(record(descriptors=lambda t: 18 + t // 1200)) == ["growth of descriptors"]


@pytest.mark.parametrize("column", ["unbalanced", "errors", "query_failures", "unanswered"])
def test_one_of_what_must_never_happen_fails(column: str) -> None:
    assert len(failures(record(**{column: lambda t: (t > 5000).astype(float)}))) == 1


def test_silence_fails_while_active_and_not_while_paused() -> None:
    def age(t: Any) -> Any:
        return np.where((t > 4000) & (t < 4100), t - 4000, 1.0)

    assert failures(record(mask_age_s=age)) == ["longest silence"]
    paused = record(mask_age_s=age, active=lambda t: np.where((t >= 4000) & (t <= 4100), 0.0, 1.0))
    assert longest_silence_s(paused) == 1.0


def test_a_soak_that_was_stopped_itself_does_not_blame_the_node() -> None:
    def stopped(t: Any) -> Any:
        return np.where(t > 4000, t + 700, t)

    after = dict(mask_age_s=lambda t: np.where((t > 4000) & (t < 4010), 700.0, 1.0))
    given_up = dict(unanswered=lambda t: (t > 4000).astype(float))
    assert failures(record(t_s=stopped, **after, **given_up)) == []
    assert failures(record(**after, **given_up)) == ["service calls without an answer", "longest silence"]
    assert stopped_s(record(t_s=stopped)) == pytest.approx(705)


def test_work_that_costs_more_and_more_fails_and_a_busy_machine_does_not() -> None:
    def pairs(t: Any) -> Any:
        return np.cumsum(np.where(t < 4000, 4.0, 1.0))  # other programs take the processor

    starved = record(pairs=pairs, delivered=lambda t: 10 * t, cpu_s=lambda t: 0.1 * t + 0.2 * pairs(t))
    assert failures(starved) == []
    ageing = record(pairs=lambda t: t, delivered=lambda t: 10 * t, cpu_s=lambda t: 0.3 * t * (1 + t / t[-1]))
    assert failures(ageing) == ["processor time for the same work, last quarter to first"]


def test_a_run_that_broke_or_ended_badly_fails() -> None:
    assert failures(record(run=RUN | {"fault": "the node ended with code -9"})) == ["the run"]
    assert failures(record(run=RUN | {"exit_code": -9})) == ["end after SIGINT"]
    assert failures(record(run=RUN | {"stop_s": 12.0})) == ["end after SIGINT"]


def test_a_run_is_read_back_while_it_is_written(tmp_path: Path) -> None:
    running = {name: value for name, value in RUN.items() if name not in ("exit_code", "stop_s")}
    writer = SoakWriter(tmp_path, running)
    with pytest.raises(FileFormatError, match="no sample yet"):
        read_record(tmp_path)
    for i in range(200):
        writer.add(Sample(**{f.name: 5 * i if f.name in ("t_s", "masks") else 1 for f in fields(Sample)}))
    with (tmp_path / "samples.csv").open("a", encoding="utf-8") as file:
        file.write("1000,1,5")  # a row that is being written
    found = read_record(tmp_path)
    assert len(found["t_s"]) == 200 and found["t_s"][-1] == 995
    told = "\n".join(lines(found, judge(found)))
    assert "PASS so far" not in told and "FAIL so far: 16.6 min at commit abc" in told  # errors is 1
    writer.note(exit_code=0, stop_s=0.1)
    writer.close()
    assert read_record(tmp_path).run["exit_code"] == 0


def test_a_log_is_tallied_as_it_grows(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    log.write_text("[INFO] fine\n[ERROR] one\n[WARN] Starting anew: time jum", encoding="utf-8")
    tally = LogTally(log)
    assert tally.look()["errors"] == 1
    with log.open("a", encoding="utf-8") as file:
        file.write("ped back.\nTraceback (most recent call last):\n")
    assert dict(tally.look()) == {"errors": 2, "warnings": 1, "jumps": 1}


def test_a_process_that_is_gone_has_no_figures() -> None:
    import os

    here = process_figures(os.getpid())
    assert here is not None and here.threads >= 1 and here.descriptors > 2 and here.rss_mib > here.anonymous_mib > 1
    assert process_figures(2**22 + 1) is None
