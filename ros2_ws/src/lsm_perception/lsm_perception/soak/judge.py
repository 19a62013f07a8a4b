"""What a soak run must not do, in figures: slopes after a warm-up, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import theilslopes

from lsm_perception.soak.record import SoakRecord

MAX_WARM_UP_S = 1200.0
WARM_UP_SHARE = 0.2
BIN_S = 60.0
SLOPE_H = 1.0
SETTLE_S = 20.0  # after a pause nothing need come at once
FOUND_AGAIN_S = 60.0  # a call is given up after half of this
STOPPED_S = 20.0  # rows further apart: the soak itself stood still


@dataclass(frozen=True)
class SoakLimits:
    """When a run fails.

    Attributes:
        memory_share: fitted growth of memory over the judged part, as a share of where it started.
        memory_mib_per_h: slope of memory that may be certain, that is the lower end of its 95 % interval. Judged
            where the part is an hour or more: a shorter one cannot tell a slope from the saw-tooth of keyframes
            that come and go, and from what else the machine does.
        threads, descriptors: largest growth, first to last quarter of the judged part. The pool of eight
            threads for callbacks fills only as callbacks coincide.
        silence_s: longest time without a mask while active.
        slowdown: largest ratio of the processor time that the same work takes, last quarter to first.
        stop_s: longest time from SIGINT to the end of the process.
    """

    memory_share: float = 0.05
    memory_mib_per_h: float = 4.0
    threads: float = 4.0
    descriptors: float = 2.0
    silence_s: float = 30.0
    slowdown: float = 1.5
    stop_s: float = 5.0


@dataclass(frozen=True)
class Slope:
    """A robust line through a column: growth per hour, its 95 % interval, and first and last level of the line."""

    per_hour: float
    low: float
    high: float
    start: float
    end: float


@dataclass(frozen=True)
class Finding:
    """One judged figure; `limit` is what it was held against, in words."""

    name: str
    value: str
    limit: str
    passed: bool


def warm_up_s(duration_s: float) -> float:
    """Return the part at the start that is not judged, seconds."""
    return min(MAX_WARM_UP_S, WARM_UP_SHARE * duration_s)


def judged_rows(record: SoakRecord) -> NDArray[np.bool_]:
    """Return which rows lie after the warm-up, [rows]."""
    t = record["t_s"]
    return np.asarray(t >= warm_up_s(float(t[-1])))


def slope(record: SoakRecord, name: str) -> Slope | None:
    """Fit Theil-Sen to medians over a minute of a column after the warm-up; None for too few rows."""
    keep = judged_rows(record)
    t, y = record["t_s"][keep], record[name][keep]
    bins = ((t - t[0]) // BIN_S).astype(int)
    centres = np.array([np.median(t[bins == b]) for b in np.unique(bins)]) / 3600
    values = np.array([np.median(y[bins == b]) for b in np.unique(bins)])
    if len(values) < 4:
        return None
    per_hour, middle, low, high = theilslopes(values, centres)
    return Slope(per_hour, low, high, middle + per_hour * centres[0], middle + per_hour * centres[-1])


def slowdown(record: SoakRecord) -> float:
    """Return how much more processor time the same work takes in the last quarter than in the first.

    Work is what fits the whole judged part best as so much per image and so much per pair: how many of each come
    depends on what else the machine does, and is no sign of age.
    """
    keep = judged_rows(record)
    cpu_s = np.diff(record["cpu_s"][keep])
    done = np.stack([np.diff(record["delivered"][keep]), np.diff(record["pairs"][keep])], 1)
    part = len(cpu_s) // 4
    if part == 0:
        return 1.0
    expected = done @ nnls(done, cpu_s)[0]
    first, last = expected[:part].sum(), expected[-part:].sum()
    if first <= 0 or last <= 0:
        return 1.0
    return float((cpu_s[-part:].sum() / last) / max(cpu_s[:part].sum() / first, 1e-9))


def quarter_growth(record: SoakRecord, name: str) -> float:
    """Return the growth of a column's median from the first to the last quarter of the judged part."""
    values = record[name][judged_rows(record)]
    part = max(len(values) // 4, 1)
    return float(np.median(values[-part:]) - np.median(values[:part]))


def stops(record: SoakRecord) -> NDArray[np.bool_]:
    """Return which rows come after the soak itself stood still (suspended, or stopped by a signal), [rows]."""
    steps = np.diff(record["t_s"], prepend=record["t_s"][0])
    return np.asarray(steps > max(STOPPED_S, 4 * float(np.median(steps))))


def stopped_s(record: SoakRecord) -> float:
    """Return how long the soak itself stood still, seconds."""
    return float(np.diff(record["t_s"], prepend=record["t_s"][0])[stops(record)].sum())


def unanswered(record: SoakRecord) -> int:
    """Return the service calls given up, without those from when the soak itself stood still.

    Those that were under way then, and those made before DDS, whose leases had run out, found everybody again.
    """
    t = record["t_s"]
    last_stop = np.maximum.accumulate(np.where(stops(record), t, -np.inf))
    return int(np.diff(record["unanswered"], prepend=0.0)[t - last_stop > FOUND_AGAIN_S].sum())


def longest_silence_s(record: SoakRecord) -> float:
    """Return the longest time without a mask, over rows that have been active for a while."""
    t, active = record["t_s"], record["active"] > 0
    last_pause = np.maximum.accumulate(np.where(active & ~stops(record), -np.inf, t))
    settled = active & (t - last_pause > SETTLE_S) & (t > SETTLE_S)
    return float(record["mask_age_s"][settled].max()) if settled.any() else 0.0


def judge(record: SoakRecord, limits: SoakLimits | None = None) -> list[Finding]:
    """Hold a run against the limits."""
    limits = limits or SoakLimits()
    found = [_memory(record, name, limits) for name in ("rss_mib", "anonymous_mib", "device_mib")]
    for name, limit in (("threads", limits.threads), ("descriptors", limits.descriptors)):
        growth = quarter_growth(record, name)
        found.append(Finding(f"growth of {name}", f"{growth:+.0f}", f"at most +{limit:.0f}", growth <= limit))
    for name, title in (
        ("unbalanced", "replies with delivered != used + dropped"),
        ("errors", "errors and tracebacks in the log"),
        ("query_failures", "failed text queries"),
    ):
        value = int(record[name][-1])
        found.append(Finding(title, str(value), "0", value == 0))
    late = unanswered(record)
    found.append(Finding("service calls without an answer", str(late), "0", late == 0))
    silence = longest_silence_s(record)
    found.append(
        Finding("longest silence", f"{silence:.1f} s", f"{limits.silence_s:.0f} s", silence <= limits.silence_s)
    )
    slower = slowdown(record)
    found.append(
        Finding(
            "processor time for the same work, last quarter to first",
            f"x {slower:.2f}",
            f"at most x {limits.slowdown:g}",
            slower <= limits.slowdown,
        )
    )
    return found + _ending(record, limits)


def _memory(record: SoakRecord, name: str, limits: SoakLimits) -> Finding:
    fitted = slope(record, name)
    if fitted is None:
        return Finding(f"growth of {name}", "too short to fit", "", False)
    growth, allowed = fitted.end - fitted.start, limits.memory_share * fitted.start
    text = f"{growth:+.1f} MiB ({fitted.per_hour:+.2f} MiB/h, 95 %: {fitted.low:+.2f} to {fitted.high:+.2f})"
    limit, passed = f"at most +{allowed:.1f} MiB", growth <= allowed
    if float(np.ptp(record["t_s"][judged_rows(record)])) >= SLOPE_H * 3600:
        limit += f", not certainly above {limits.memory_mib_per_h:g} MiB/h"
        passed = passed and fitted.low <= limits.memory_mib_per_h
    return Finding(f"growth of {name}", text, limit, passed)


def _ending(record: SoakRecord, limits: SoakLimits) -> list[Finding]:
    """Judge how the run ended; a run that has not ended is not judged here."""
    run = record.run
    if run.get("fault"):
        return [Finding("the run", str(run["fault"]), "goes to its end", False)]
    if "exit_code" not in run:
        return []
    stop_s = float(run["stop_s"])
    ended = run["exit_code"] == 0 and stop_s <= limits.stop_s
    return [
        Finding(
            "end after SIGINT",
            f"code {run['exit_code']} after {stop_s:.1f} s",
            f"code 0 within {limits.stop_s:.0f} s",
            ended,
        )
    ]
