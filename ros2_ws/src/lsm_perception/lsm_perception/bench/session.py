"""Runs the cases: a node process each, images sent to it, figures taken at both ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from lsm_perception_msgs.srv import Stats

from lsm_perception.bench.client import BenchClient
from lsm_perception.bench.errors import BenchError
from lsm_perception.bench.figures import (
    CaseFigures,
    RunFigures,
    StageFigures,
    kept_runs,
    outside_model_ms,
    overhead_ms,
    quantiles,
)
from lsm_perception.bench.footage import make_footage
from lsm_perception.bench.node_usage import memory_mib, usage
from lsm_perception.bench.options import BenchCase, BenchOptions
from lsm_perception.demo.processes import Child
from lsm_perception.spinning import spun

POLL_S = 0.05
QUIET_S = 0.4
DRAIN_S = 10.0
CANNOT_CONFIGURE = "Cannot configure:"


def run_case(
    case: BenchCase, options: BenchOptions, logs: Path, environment: dict[str, str], say: Callable[[str], None]
) -> CaseFigures:
    """Start a node, send it images, and return the figures of all runs.

    Raises:
        BenchError: the node did not get ready, or died.
    """
    load_before = os.getloadavg()[0]
    log = logs / f"node-{case.name.replace(' ', '-')}.log"
    node = Child("lsm_perception.node", _node_words(case, options), log, environment)
    try:
        footage = make_footage(case.width, case.height, case.transport, options.seed)  # while the node loads
        with spun(BenchClient(footage, case.transport, options.listen)) as client:
            wait_until_ready(node, client, options.startup_s)
            if options.warmup_s > 0:
                client.send(case.rate_hz, options.warmup_s)
                drain(client)
            runs = []
            for index in range(options.runs):
                say(f"{case.name}: run {index + 1} of {options.runs}")
                runs.append(run_once(case, options, node.pid, client))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise BenchError(
            f"The node ended in the middle of {case.name}.", f"Its last lines: {node.tail()}"
        ) from error
    finally:
        node.stop()
    return CaseFigures(case, tuple(runs), kept_runs(runs), load_before)


def run_once(case: BenchCase, options: BenchOptions, pid: int, client: BenchClient) -> RunFigures:
    """Send images for one run to a node that is idle, and return the figures."""
    client.reset_node()
    client.take_latencies_ms()
    client.ask_stats(reset=True)
    before, started = usage(pid), time.monotonic()
    sent = client.send(case.rate_hz, options.seconds)
    stats = drain(client)
    after, wall_s = usage(pid), time.monotonic() - started
    latencies = client.take_latencies_ms()
    stages = {t.stage: StageFigures(int(t.count), t.p50_ms, t.p95_ms, t.p99_ms) for t in stats.timings}
    latency = quantiles(latencies)
    outside = outside_model_ms(latency["p50"], stages)
    rss, peak = memory_mib(pid)
    node_s, own_s = after.process_s - before.process_s, after.own_s - before.own_s
    return RunFigures(
        seconds=sent.seconds,
        sent=sent.count,
        delivered=int(stats.delivered),
        used=int(stats.used),
        dropped={drop.reason: int(drop.count) for drop in stats.dropped if drop.count},
        lost=sent.count - int(stats.delivered),
        pairs=int(stats.pairs),
        accepted=int(stats.pairs_accepted),
        clouds=len(latencies),
        sent_hz=sent.count / sent.seconds,
        cloud_hz=len(latencies) / sent.seconds,
        latency=latency,
        stages=stages,
        outside_model_ms=outside,
        overhead_ms=overhead_ms(outside, stages),
        node_cpu=node_s / wall_s,
        client_cpu=own_s / wall_s,
        other_cpu=max(0.0, (after.machine_s - before.machine_s - node_s - own_s) / wall_s),
        rss_mib=rss,
        peak_rss_mib=peak,
    )


def drain(client: BenchClient) -> Stats.Response:
    """Wait until the node has decided on all images it was given and is quiet; return its counters."""
    deadline = time.monotonic() + DRAIN_S
    stats = client.ask_stats()
    known, since = _progress(stats), time.monotonic()
    while time.monotonic() < deadline and (_pending(stats) or time.monotonic() - since < QUIET_S):
        time.sleep(POLL_S)
        stats = client.ask_stats()
        if _progress(stats) != known:
            known, since = _progress(stats), time.monotonic()
    return stats


def wait_until_ready(node: Child, client: BenchClient, limit_s: float) -> None:
    """Wait until the node is active.

    Raises:
        BenchError: it ended, refused to configure, or took too long.
    """
    deadline = time.monotonic() + limit_s
    while not client.ready:
        refusal = node.line_with(CANNOT_CONFIGURE)
        if refusal:
            raise BenchError(f"The node cannot start: {refusal.partition(CANNOT_CONFIGURE)[2].strip()}")
        if node.exit_code is not None or time.monotonic() > deadline:
            raise BenchError("The node did not get ready.", f"Its last lines: {node.tail()}")
        time.sleep(POLL_S)


def _pending(stats: Stats.Response) -> int:
    """Return the number of images that passed the gate's callback and are not decided yet."""
    return next((int(t.count) for t in stats.timings if t.stage == "gate"), 0) - int(stats.delivered)


def _progress(stats: Stats.Response) -> tuple[int, int, int]:
    """Return what grows while the node works."""
    published = next((int(t.count) for t in stats.timings if t.stage == "total"), 0)
    return int(stats.delivered), int(stats.used), published


def _node_words(case: BenchCase, options: BenchOptions) -> list[str]:
    given = [
        f"image_transport:={case.transport}",
        f"backend:={options.backend}",
        f"device:={options.device}",
        "odometry.source:=none",  # there is none, and waiting for it would be measured
        *options.parameters,
    ]
    return ["--ros-args", *(word for pair in given for word in ("-p", pair))]
