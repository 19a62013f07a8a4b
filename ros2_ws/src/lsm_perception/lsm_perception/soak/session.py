"""One soak from start to end: processes up, recording looped, node disturbed and sampled, verdict."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from lifecycle_msgs.msg import Transition

from lsm_core.data import sample_path
from lsm_core.evaluation.provenance import provenance
from lsm_perception.demo.processes import Child, child_environment
from lsm_perception.demo.session import CANNOT_CONFIGURE
from lsm_perception.demo.source import Source, read_source
from lsm_perception.soak.client import SoakClient
from lsm_perception.soak.log_tally import LogTally
from lsm_perception.soak.options import SoakOptions
from lsm_perception.soak.process_figures import process_figures
from lsm_perception.soak.record import Sample, SoakWriter
from lsm_perception.soak.report import report
from lsm_perception.spinning import spinning

STEP_S = 0.1
PAUSED_S = 5.0
PROGRESS_S = 30.0
ACTIVE = "Active; listening to"  # what the node logs then
KEYFRAME_PERIOD_S = 1.0  # of wall time: keeps the load low
SEED = 3


class SoakFault(Exception):
    """The run cannot go on; the message says why."""


def run(options: SoakOptions) -> int:
    """Run the soak, print its report, and return 0 when it passed, 1 when not, 130 when interrupted.

    Raises:
        FileFormatError: the bag cannot be read.
    """
    logging.basicConfig(level=logging.WARNING)
    source = read_source(options.bag or sample_path(), None, 0.0)
    logs = options.output / "log"
    logs.mkdir(parents=True, exist_ok=True)
    environment = child_environment(logs)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    writer = SoakWriter(options.output, facts(options, source))
    node = Child("lsm_perception.bringup", node_words(options, source), logs / "node.log", environment)
    replay: Child | None = None
    try:
        with spinning(lambda: SoakClient(source, SEED)) as client:
            soak = Soak(options, node, client, LogTally(node.log), writer, stop)
            soak.until_ready()
            words = [str(source.path), "--loop", "--rate", f"{options.rate:g}", "--wait", "60"]
            replay = Child("lsm_perception.replay", words, logs / "replay.log", environment)
            soak.until_over(replay)
    except SoakFault as fault:
        writer.note(fault=str(fault))
    finally:
        if replay is not None:
            replay.stop()
        began = time.monotonic()
        code = node.stop()
        writer.note(exit_code=code, stop_s=round(time.monotonic() - began, 2), interrupted=stop.is_set())
        writer.close()
    passed = report(options.output)
    print(f"Files: {options.output}")
    return 130 if stop.is_set() else passed


def facts(options: SoakOptions, source: Source) -> dict[str, Any]:
    """Return what is run and on what, for the record."""
    return {
        **provenance(torch.device("cpu")).plain(),
        "started_utc": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "bag": source.path.name,
        "rate": options.rate,
        "minutes": options.minutes,
        "backend": options.backend,
        "device": options.device,
    }


def node_words(options: SoakOptions, source: Source) -> list[str]:
    """Return the bring-up arguments."""
    interval_s = KEYFRAME_PERIOD_S * options.rate  # the parameter counts time of the recording
    return [
        *source.topics.bringup_words(),
        f"backend:={options.backend}",
        f"device:={options.device}",
        "--ros-args",
        "-p",
        f"keyframes.min_interval_s:={interval_s:.3f}",
    ]


class Soak:
    """The loop: samples, disturbs, watches the processes."""

    def __init__(
        self,
        options: SoakOptions,
        node: Child,
        client: SoakClient,
        log: LogTally,
        writer: SoakWriter,
        stop: threading.Event,
    ) -> None:
        self._options = options
        self._node = node
        self._client = client
        self._log = log
        self._writer = writer
        self._stop = stop
        self._started_s = time.monotonic()
        self._disturbed = {"malformed": 0, "resets": 0, "pauses": 0}
        self._resume_s: float | None = None
        self._last: Sample | None = None
        self._device = options.device

    def until_ready(self) -> None:
        """Wait until the node is active and its services are found.

        Raises:
            SoakFault: the node ended, cannot be configured, or took too long.
        """
        deadline = time.monotonic() + self._options.startup_s
        while not (self._client.ready and self._node.line_with(ACTIVE)):
            if self._node.exit_code is not None or time.monotonic() > deadline or self._stop.wait(STEP_S):
                raise SoakFault(f"the node did not get ready:\n{self._node.tail()}")
            refusal = self._node.line_with(CANNOT_CONFIGURE)
            if refusal:
                raise SoakFault(refusal)

    def until_over(self, replay: Child) -> None:
        """Sample and disturb until the time is over or the user interrupts.

        Raises:
            SoakFault: the node or the replay ended.
        """
        options = self._options
        self._started_s = time.monotonic()
        due = {
            "stats": Timetable(options.sample_s, self._client.ask_stats, 0.0),
            "sample": Timetable(options.sample_s, self._sample, 0.5 * options.sample_s),
            "query": Timetable(options.query_s, self._client.query),
            "malformed": Timetable(options.malformed_s, self._disturb),
            "reset": Timetable(options.reset_s, self._reset),
            "pause": Timetable(options.pause_s, self._pause),
            "progress": Timetable(PROGRESS_S, self._progress),
        }
        while self._t_s < options.minutes * 60 and not self._stop.wait(STEP_S):
            for child, name in ((self._node, "node"), (replay, "replay")):
                if child.exit_code is not None:
                    raise SoakFault(f"the {name} ended with code {child.exit_code}:\n{child.tail()}")
            if self._resume_s is not None and self._t_s > self._resume_s:
                self._resume()
            self._client.give_up()
            for table in due.values():
                table.work(self._t_s)
        self._sample()

    @property
    def _t_s(self) -> float:
        return time.monotonic() - self._started_s

    def _disturb(self) -> None:
        self._disturbed["malformed"] += self._client.disturb()

    def _reset(self) -> None:
        self._disturbed["resets"] += 1
        self._writer.event(self._t_s, "reset")
        self._client.reset()

    def _pause(self) -> None:
        self._disturbed["pauses"] += 1
        self._writer.event(self._t_s, "deactivate")
        self._resume_s = self._t_s + PAUSED_S
        self._client.change_state(Transition.TRANSITION_DEACTIVATE)

    def _resume(self) -> None:
        self._resume_s = None
        self._writer.event(self._t_s, "activate")
        self._client.change_state(Transition.TRANSITION_ACTIVATE)

    def _sample(self) -> None:
        """Write one row, when the node is there to be looked at and has answered once."""
        process = process_figures(self._node.pid)
        stats = self._client.latest_stats
        if process is None or stats is None:
            return
        log = self._log.look()
        p50, p99 = self._client.latency_quantiles()
        dropped = {d.reason: d.count for d in stats.dropped}
        total = {timing.stage: timing for timing in stats.timings}.get("total")
        with self._client.lock:
            counts, calls = self._client.counts.copy(), self._client.calls.copy()
            answers, mask_age_s = sorted(self._client.query_ms), time.monotonic() - self._client.last_mask_s
        sample = Sample(
            t_s=self._t_s,
            active=int(self._resume_s is None),
            rss_mib=process.rss_mib,
            anonymous_mib=process.anonymous_mib,
            threads=process.threads,
            descriptors=process.descriptors,
            cpu_s=process.cpu_s,
            device_mib=stats.device_memory_mib,
            delivered=stats.delivered,
            used=stats.used,
            dropped=sum(dropped.values()),
            dropped_bad=sum(n for reason, n in dropped.items() if reason.startswith("bad_")),
            transport_lost=stats.transport_lost,
            unbalanced=calls["unbalanced"],
            pairs=stats.pairs,
            accepted=stats.pairs_accepted,
            total_p50_ms=total.p50_ms if total else float("nan"),
            total_p99_ms=total.p99_ms if total else float("nan"),
            masks=counts["segmentation/label"],
            clouds=counts["points"],
            maps=counts["map_points"],
            mask_age_s=mask_age_s,
            latency_p50_ms=p50,
            latency_p99_ms=p99,
            queries=calls["query"],
            query_failures=calls["query_failed"] + calls["state_refused"],
            unanswered=calls["unanswered"],
            query_p99_ms=answers[int(0.99 * (len(answers) - 1))] if answers else float("nan"),
            **self._disturbed,
            errors=log["errors"],
            warnings=log["warnings"],
            jumps=log["jumps"],
        )
        if self._last is None:
            self._writer.note(device=stats.device)
        elif log["errors"] > self._last.errors:
            self._writer.event(sample.t_s, "errors in the log", count=log["errors"], last=self._node.tail(3))
        self._writer.add(sample)
        self._last = sample

    def _progress(self) -> None:
        s = self._last
        if s is not None:
            print(
                f"{s.t_s / 60:6.1f} of {self._options.minutes:g} min: {s.rss_mib:.0f} MiB, {s.threads} threads, "
                f"{s.descriptors} descriptors; {s.delivered} in, {s.used} used, {s.pairs} pairs "
                f"({s.accepted} accepted); p50 {s.latency_p50_ms:.0f} ms; {s.errors} errors",
                file=sys.stderr,
                flush=True,
            )


class Timetable:
    """Work that is due at a period; a late call does not make up for those missed."""

    def __init__(self, period_s: float, work: Callable[[], None], first_s: float | None = None) -> None:
        self._period_s = period_s
        self._work = work
        self._next_s = period_s if first_s is None else first_s

    def work(self, t_s: float) -> None:
        """Do the work if its time has come."""
        if self._period_s > 0 and t_s >= self._next_s:
            self._next_s = max(self._next_s + self._period_s, t_s)
            self._work()
