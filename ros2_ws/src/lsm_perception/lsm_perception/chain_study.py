"""Where the chain of a recording breaks, and why: `python -m lsm_perception.chain_study BAG --latency 0.3`.

The node's own gate, pipeline and mapper take the images of a bag in the order of their stamps. The worker is
simulated: each inference takes a fixed time of the recording, and what comes meanwhile waits or is replaced as in
the running node. So a run gives the same figures on every machine, loaded or not, and one rule can be compared with
another.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lsm_core.backends import Backend, load_backend
from lsm_core.errors import LsmError
from lsm_core.evaluation.odometry_check import OdometryCheck, TimedPair, accepted_per_window, compare_with_odometry
from lsm_core.io import Frame, Trajectory, open_bag, write_text
from lsm_core.mapping import KeyframeReason, small_gray
from lsm_perception.accounting import Account, Ticket
from lsm_perception.calibration import Calibration
from lsm_perception.gate import CameraGate
from lsm_perception.mapper import Mapper
from lsm_perception.parameters import NodeParameters, settings
from lsm_perception.pipeline import Pipeline, Sinks
from lsm_perception.products import Candidate, Products
from lsm_perception.segmentation import Segmenter, StandingQueries
from lsm_perception.settings import replaced
from lsm_perception.source_image import SourceImage
from lsm_perception.timings import Timings
from lsm_perception.worker import Job

logger = logging.getLogger("lsm_perception.chain_study")


@dataclass(frozen=True)
class StudyOptions:
    """How a recording is run.

    Attributes:
        latency_s: time of the recording that one inference takes.
        loss: share of the images that are lost before the node.
        seed: of the choice of lost images.
        odometry: whether the node is given the odometry; errors are measured against it in any case.
        parameters: changed parameters of the node, by name.
    """

    latency_s: float = 0.3
    loss: float = 0.0
    seed: int = 0
    odometry: bool = True
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Break:
    """A place where a new segment begins.

    Attributes:
        time_s: of the newer image of its first pair, since the first image.
        gap_s: since the newest keyframe of the segment before.
        cause: rejections by reason and "lost" since then; "chain" when the pair followed directly.
    """

    time_s: float
    gap_s: float
    cause: str


@dataclass(frozen=True)
class StudyResult:
    """Figures of one run.

    Attributes:
        images: given to the gate.
        fate: of the images: "used", or the reason they were dropped.
        decisions: of the keyframes, by reason.
        pairs, accepted: judged, and accepted.
        rejected: by reason.
        segments: with at least one accepted pair.
        breaks: between them.
        empty_windows: windows of 2 s without an accepted pair, of `windows`.
        odometry: the accepted pairs against the odometry of the recording.
    """

    images: int
    fate: dict[str, int]
    decisions: dict[str, int]
    pairs: int
    accepted: int
    rejected: dict[str, int]
    segments: int
    breaks: list[Break]
    empty_windows: int
    windows: int
    odometry: OdometryCheck


class Study:
    """One run over a recording."""

    def __init__(self, backend: Backend, truth: Trajectory | None, options: StudyOptions) -> None:
        parameters = replaced(NodeParameters(), options.parameters)
        known = truth if options.odometry else None
        self._options = options
        self._truth = truth
        self._gate = CameraGate(parameters)
        self._mapper = Mapper(parameters)
        sinks = Sinks(
            publish=self._on_products,
            wants_segmentation=lambda: False,
            odometry=lambda _frame, stamp_ns: None if known is None else known.at(stamp_ns),
            depth=lambda *_: None,
            moving=lambda *_: None,
            dropped=lambda *_: None,
            problem=logger.warning,
        )
        segmenter = Segmenter(backend, StandingQueries())
        self._pipeline = Pipeline(backend, self._gate, self._mapper, segmenter, Timings(), sinks)
        self._account = Account()
        self._waiting: tuple[int, Candidate, Ticket] | None = None  # time it may begin, what, account
        self._free_ns = 0
        self._stamps: list[int] = []
        self._decisions: Counter[str] = Counter()
        self._since: list[str] = []
        self._accepted: list[Products] = []
        self._breaks: list[Break] = []

    def run(self, frames: Iterable[Frame]) -> StudyResult:
        """Take all frames and return the figures."""
        lose = np.random.default_rng(self._options.seed)
        for frame in frames:
            if lose.random() >= self._options.loss:
                self._add(frame)
        self._work_until(None)
        return self._result()

    def _add(self, frame: Frame) -> None:
        self._work_until(frame.stamp_ns)
        self._stamps.append(frame.stamp_ns)
        height, width = frame.image.shape[:2]
        calibration = Calibration(width, height) if frame.K is None else Calibration(width, height, frame.K)
        image = SourceImage(
            "", frame.stamp_ns, frame.frame_id, width, height, lambda: frame.image, lambda: small_gray(frame.image)
        )
        ticket = self._account.open()
        result = self._gate.consider(image, calibration)
        if result.drop is not None or result.decision is None:
            ticket.drop(result.drop or "internal")
            return
        candidate = Candidate(image, calibration, result.decision, result.reference_ns)
        if self._waiting is not None and result.decision.reason is KeyframeReason.LOST:
            ticket.drop("superseded")
            return
        if self._waiting is not None:
            self._waiting[2].drop("superseded")
        self._waiting = (frame.stamp_ns, candidate, ticket)

    def _work_until(self, now_ns: int | None) -> None:
        """Let the simulated worker begin what it can before a time (None: whatever waits)."""
        if self._waiting is None or (now_ns is not None and max(self._free_ns, self._waiting[0]) >= now_ns):
            return
        begin_ns, candidate, ticket = self._waiting
        self._waiting = None
        used = self._account.counts().used
        self._pipeline.process(Job("", candidate, ticket, 0), lambda: True)
        if self._account.counts().used > used:  # one that is superseded takes no time
            self._free_ns = max(self._free_ns, begin_ns) + int(self._options.latency_s * 1e9)

    def _on_products(self, products: Products) -> None:
        self._decisions[products.decision.reason.value] += 1
        if products.pair is None:
            if products.decision.reason is KeyframeReason.LOST:
                self._since.append("lost")
            return
        if not products.pair.accepted:
            self._since.append(f"{products.decision.reason.value}:{products.pair.reason}")
            return
        if self._accepted and self._segment(self._accepted[-1]) != self._segment(products):
            last_ns = self._accepted[-1].keyframe.stamp_ns
            stamp_ns = products.keyframe.stamp_ns
            cause = ", ".join(self._since) or "chain"
            self._breaks.append(Break(1e-9 * (stamp_ns - self._stamps[0]), 1e-9 * (stamp_ns - last_ns), cause))
        self._since.clear()
        self._accepted.append(products)

    @staticmethod
    def _segment(products: Products) -> int:
        assert products.pair is not None
        return products.pair.segment

    def _result(self) -> StudyResult:
        counts, pairs = self._account.counts(), self._pipeline.counts()
        reports = [p.pair for p in self._accepted if p.pair is not None]
        timed = [TimedPair(r.older.stamp_ns, r.newer.stamp_ns, r.T_older_newer) for r in reports]
        truth = self._truth or Trajectory(np.empty(0, np.int64), np.empty((0, 4, 4)))
        windows = accepted_per_window([t.newer_ns for t in timed], self._stamps[0], self._stamps[-1])
        return StudyResult(
            images=len(self._stamps),
            fate={"used": counts.used} | counts.dropped,
            decisions=dict(sorted(self._decisions.items())),
            pairs=pairs.pairs,
            accepted=pairs.accepted,
            rejected=dict(sorted(pairs.rejected.items())),
            segments=len({r.segment for r in reports}),
            breaks=self._breaks,
            empty_windows=windows.count(0),
            windows=len(windows),
            odometry=compare_with_odometry(timed, truth),
        )


def study_bag(backend: Backend, bag: Path, options: StudyOptions) -> StudyResult:
    """Run a recording.

    Raises:
        FileFormatError: the bag cannot be read or has no images.
    """
    with open_bag(bag) as reader:
        first = next(reader.frames())
        truth = reader.camera_trajectory(first.frame_id)
        return Study(backend, truth, options).run(frame.rectified() for frame in reader.frames())


def report(result: StudyResult) -> str:
    """Return the figures as lines for people."""
    check = result.odometry
    lines = [
        f"{result.images} images: " + ", ".join(f"{k} {v}" for k, v in result.fate.items()),
        "keyframes by reason: " + ", ".join(f"{k} {v}" for k, v in result.decisions.items()),
        f"pairs accepted {result.accepted} of {result.pairs}; rejected: "
        + (", ".join(f"{k} {v}" for k, v in result.rejected.items()) or "none"),
        f"segments {result.segments}; windows of 2 s without a pair: {result.empty_windows} of {result.windows}",
        *(f"  break at {b.time_s:6.2f} s after {b.gap_s:.2f} s: {b.cause}" for b in result.breaks),
        f"against odometry ({check.compared} pairs): rotation median {check.rotation_median_deg:.2f}, mean "
        f"{check.rotation_mean_deg:.2f}, p90 {check.rotation_p90_deg:.2f} deg; direction median "
        f"{check.direction_median_deg:.1f} deg",
    ]
    return "\n".join(lines)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m lsm_perception.chain_study", description=__doc__)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--backend", default="lsm-tiny")
    parser.add_argument("--latency", type=float, default=0.3, metavar="S", help="time of one inference, seconds")
    parser.add_argument("--loss", type=float, default=0.0, help="share of images lost before the node, 0 to 1")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of lost images")
    parser.add_argument("--no-odometry", action="store_true", help="hide the odometry from the node")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the node")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args(arguments)
    try:
        given.parameters = dict(parameter(text) for text in given.set)
    except (ValueError, KeyError) as error:
        parser.error(f"--set needs NAME=VALUE with a parameter of the node: {error}")
    return given


def parameter(text: str) -> tuple[str, Any]:
    """Return name and typed value of `NAME=VALUE`.

    Raises:
        KeyError: there is no such parameter.
        ValueError: the value does not fit.
    """
    name, _, value = text.partition("=")
    entry = {s.name: s for s in settings()}[name]
    typed = json.loads(value) if not isinstance(entry.default, str) else value
    complaint = entry.spec.complaint(typed)
    if complaint:
        raise ValueError(complaint)
    return name, typed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a bag and print the figures; 0, or 1 when it cannot be read."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    given = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    options = StudyOptions(given.latency, given.loss, given.seed, not given.no_odometry, given.parameters)
    try:
        result = study_bag(load_backend(given.backend), given.bag, options)
    except LsmError as error:
        print(error, file=sys.stderr)
        return 1
    print(report(result))
    if given.json is not None:
        write_text(given.json, json.dumps(asdict(result), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
