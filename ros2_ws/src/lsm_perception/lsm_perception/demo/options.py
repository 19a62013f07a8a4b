"""The demo's command line."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_QUERIES = ("floor", "wall", "table", "chair", "sofa", "cabinet", "window")


@dataclass(frozen=True)
class DemoOptions:
    """What to play and what to ask.

    Attributes:
        bag: bag folder or file; None for the packaged sample.
        queries: words, asked as standing queries and by service.
        output: folder for the results.
        headless: lines of text instead of a live table.
        max_seconds: play at most this much of the recording; 0 for all of it.
        json_file: where to put the summary too, or None.
        rate: speed of the replay.
        odometry: give the node the recording's odometry.
        image_topic: or None for the one with most images.
        backend, device: of the node.
        startup_s: longest wait for the node to be ready, seconds.
        viewer_port: of the view in the browser; none with `headless`.
    """

    bag: Path | None
    queries: tuple[str, ...]
    output: Path
    headless: bool
    max_seconds: float
    json_file: Path | None
    rate: float
    odometry: bool
    image_topic: str | None
    backend: str
    device: str
    startup_s: float
    viewer_port: int


def parse_arguments(arguments: Sequence[str]) -> DemoOptions:
    """Read the command line; exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(
        prog="./run demo", description="Play a recording through the node and keep what comes out."
    )
    parser.add_argument("--bag", type=Path, help="bag folder, .mcap or .db3; default: the packaged sample")
    parser.add_argument(
        "--query", "-q", action="append", metavar="TEXT", help="words to look for, or a list; repeatable"
    )
    parser.add_argument("--output", "-o", type=Path, metavar="DIR", help="default: out/demo-<time>")
    parser.add_argument("--headless", action="store_true", help="plain lines, and no view in the browser")
    parser.add_argument("--max-seconds", type=float, default=0.0, metavar="N", help="play at most N seconds of it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary there too")
    parser.add_argument("--rate", type=float, default=1.0, help="speed of the replay, 1 is the recording's")
    parser.add_argument("--no-odometry", action="store_true", help="keep the recording's odometry from the node")
    parser.add_argument("--image-topic", metavar="TOPIC", help="default: the one with most images")
    parser.add_argument("--backend", default="lsm-tiny", help="model of the node")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ...")
    parser.add_argument("--startup", type=float, default=180.0, metavar="S", help="longest wait for the node")
    parser.add_argument(
        "--viewer-port",
        type=int,
        default=8080,
        metavar="PORT",
        help="of the view in the browser; 0: any free one",
    )
    given = parser.parse_args(arguments)
    if given.max_seconds < 0 or given.startup <= 0:
        parser.error("--max-seconds cannot be negative, --startup must be positive")
    if not 0.01 <= given.rate <= 100:
        parser.error("--rate must be between 0.01 and 100")
    queries = _things(given.query or DEFAULT_QUERIES)
    if not all(query.strip() for query in queries):
        parser.error("--query cannot be empty")
    return DemoOptions(
        bag=given.bag,
        queries=queries,
        output=given.output or Path("out") / time.strftime("demo-%Y%m%d-%H%M%S"),
        headless=given.headless,
        max_seconds=given.max_seconds,
        json_file=given.json,
        rate=given.rate,
        odometry=not given.no_odometry,
        image_topic=given.image_topic,
        backend=given.backend,
        device=given.device,
        startup_s=given.startup,
        viewer_port=given.viewer_port,
    )


def _things(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the things that lines name, each once; in quotes where the node would split them."""
    from lsm_core.query import quote_text, split_each  # torch comes with it, which --help need not wait for

    return tuple(dict.fromkeys(quote_text(part) if part.strip() else part for p in split_each(lines) for part in p))
