"""The soak's command line."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SoakOptions:
    """What to run and how to disturb it.

    Attributes:
        minutes: length of the run, from the first image.
        bag: recording that is looped; None for the packaged sample.
        rate: speed of the replay; keyframes come about once per second of wall time whatever it is.
        output: folder for the figures.
        sample_s: time between samples.
        query_s, malformed_s, reset_s, pause_s: time between text queries, bursts of malformed images, calls of
            ~/reset, and deactivations; 0 for none.
        backend, device: of the node.
        startup_s: longest wait for the node to be ready.
        report: folder of a run to report instead of running, or None.
    """

    minutes: float
    bag: Path | None
    rate: float
    output: Path
    sample_s: float
    query_s: float
    malformed_s: float
    reset_s: float
    pause_s: float
    backend: str
    device: str
    startup_s: float
    report: Path | None


def parse_arguments(arguments: Sequence[str]) -> SoakOptions:
    """Read the command line; exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="./run soak", description="Run the node on a looped recording, disturb it, and judge what grows."
    )
    add = parser.add_argument
    add("--report", type=Path, metavar="DIR", help="print the table of a run (also one that runs) and plot it")
    add("--minutes", type=float, default=10.0, metavar="N", help="length of the run (default 10)")
    add("--bag", type=Path, help="recording to loop; default: the packaged sample")
    add("--rate", type=float, default=1.0, help="speed of the replay, 1 is the recording's")
    add("--output", "-o", type=Path, metavar="DIR", help="default: out/soak-<time>")
    add("--sample", type=float, default=5.0, metavar="S", help="seconds between samples")
    add("--query-every", type=float, default=7.0, metavar="S", help="seconds between text queries; 0 for none")
    add("--malformed-every", type=float, default=5.0, metavar="S", help="between bursts of malformed messages")
    add("--reset-every", type=float, default=170.0, metavar="S", help="between calls of ~/reset")
    add("--pause-every", type=float, default=410.0, metavar="S", help="between deactivations")
    add("--backend", default="lsm-tiny", help="model of the node")
    add("--device", default="auto", help="auto, cpu, cuda ...")
    add("--startup", type=float, default=180.0, metavar="S", help="longest wait for the node")
    given = parser.parse_args(arguments)
    periods = (given.query_every, given.malformed_every, given.reset_every, given.pause_every)
    if min(given.minutes, given.sample, given.startup) <= 0 or min(periods) < 0:
        parser.error("times must be positive")
    if not 0.01 <= given.rate <= 20:
        parser.error("--rate must be between 0.01 and 20")
    return SoakOptions(
        minutes=given.minutes,
        bag=given.bag,
        rate=given.rate,
        output=given.output or Path("out") / time.strftime("soak-%Y%m%d-%H%M%S"),
        sample_s=given.sample,
        query_s=given.query_every,
        malformed_s=given.malformed_every,
        reset_s=given.reset_every,
        pause_s=given.pause_every,
        backend=given.backend,
        device=given.device,
        startup_s=given.startup,
        report=given.report,
    )
