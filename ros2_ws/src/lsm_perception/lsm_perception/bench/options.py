"""The command line of `python -m lsm_perception.bench`, and the cases it asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsm_core.cli.arguments import image_size
from lsm_core.errors import InputError
from lsm_perception.publishers import TYPES

TRANSPORTS = ("raw", "compressed")
FULL_CASES = ("5,10,30,60", "640x480,1280x720", "raw,compressed")
QUICK_CASES = ("10", "640x480", "raw")
FULL_RUNS, QUICK_RUNS = (5, 5.0), (1, 3.0)


@dataclass(frozen=True)
class BenchCase:
    """One kind of input: images per second, size in pixels, raw or compressed (JPEG)."""

    rate_hz: float
    width: int
    height: int
    transport: str

    @property
    def name(self) -> str:
        """Return a short name."""
        return f"{self.transport} {self.width}x{self.height} {self.rate_hz:g} Hz"


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        rates: images per second.
        sizes: (width, height) in pixels.
        transports: of TRANSPORTS.
        runs: per case; with three or more the best and the worst are left out.
        seconds: images are sent for so long in each run.
        warmup_s: images are sent for so long before the first run of a case.
        backend, device: of the node.
        listen: the node's outputs that the client subscribes to; "points" is always among them.
        parameters: more parameters of the node, `name:=value` as on its command line.
        seed: of the noise in the images.
        json_file: where the figures go, or None.
        md_file: Markdown file that gets the tables, or None.
        log_folder: where the node's logs go; None for a temporary folder.
        startup_s: longest wait for the node, seconds.
    """

    rates: tuple[float, ...]
    sizes: tuple[tuple[int, int], ...]
    transports: tuple[str, ...]
    runs: int
    seconds: float
    warmup_s: float
    backend: str
    device: str
    listen: tuple[str, ...]
    parameters: tuple[str, ...]
    seed: int
    json_file: Path | None
    md_file: Path | None
    log_folder: Path | None
    startup_s: float

    def cases(self) -> list[BenchCase]:
        """Return every combination, transport by transport."""
        return [
            BenchCase(rate, width, height, transport)
            for transport in self.transports
            for width, height in self.sizes
            for rate in self.rates
        ]


def parse_arguments(arguments: Sequence[str]) -> BenchOptions:
    """Read the command line; exits with 2 on wrong usage."""
    parser = argparse.ArgumentParser(prog="lsm bench node", description=__doc__)
    parser.add_argument("--rates", help="images per second, default 5,10,30,60")
    parser.add_argument("--sizes", help="default 640x480,1280x720")
    parser.add_argument("--transports", help="default raw,compressed")
    parser.add_argument("--runs", type=int, help="runs per case, default 5")
    parser.add_argument("--seconds", type=float, help="length of a run, default 5")
    parser.add_argument(
        "--warmup", type=float, default=1.5, help="seconds of images before the first run of a case"
    )
    parser.add_argument("--quick", action="store_true", help="one short run of one case, where not said otherwise")
    parser.add_argument("--backend", default="lsm-tiny", help="model of the node")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ...")
    parser.add_argument("--listen", default="points,pair_pose", help="outputs of the node to subscribe to")
    parser.add_argument("--param", action="append", default=[], metavar="NAME:=VALUE", help="parameter of the node")
    parser.add_argument("--seed", type=int, default=0, help="of the noise in the images")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--md", type=Path, metavar="FILE", help="write the tables into this Markdown file")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the node's logs there")
    parser.add_argument("--startup", type=float, default=180.0, metavar="S", help="longest wait for the node")
    given = parser.parse_args(arguments)
    rates, sizes, transports = QUICK_CASES if given.quick else FULL_CASES
    runs, seconds = QUICK_RUNS if given.quick else FULL_RUNS
    try:
        return BenchOptions(
            rates=tuple(_rate(word) for word in (given.rates or rates).split(",")),
            sizes=tuple(image_size(word) for word in (given.sizes or sizes).split(",")),
            transports=tuple(_one_of(word, TRANSPORTS) for word in (given.transports or transports).split(",")),
            runs=int(_at_least(runs if given.runs is None else given.runs, 1, "--runs")),
            seconds=_at_least(seconds if given.seconds is None else given.seconds, 0.5, "--seconds"),
            warmup_s=_at_least(given.warmup, 0.0, "--warmup"),
            backend=given.backend,
            device=given.device,
            listen=tuple(
                dict.fromkeys(["points", *(_one_of(w, tuple(TYPES)) for w in given.listen.split(",") if w)])
            ),
            parameters=tuple(_assignment(word) for word in given.param),
            seed=given.seed,
            json_file=given.json,
            md_file=given.md,
            log_folder=given.logs,
            startup_s=_at_least(given.startup, 1.0, "--startup"),
        )
    except InputError as error:
        parser.error(str(error))


def _rate(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 1000:
        raise InputError(f"A rate must lie between 0.1 and 1000 images per second, got '{word}'.")
    return value


def _one_of(word: str, known: tuple[str, ...]) -> str:
    if word not in known:
        raise InputError(f"'{word}' is not known.", f"Choose from {', '.join(known)}.")
    return word


def _at_least(value: float, smallest: float, what: str) -> float:
    if not value >= smallest:
        raise InputError(f"{what} must be at least {smallest:g}, got {value:g}.")
    return value


def _assignment(word: str) -> str:
    if ":=" not in word:
        raise InputError(f"--param takes NAME:=VALUE, got '{word}'.")
    return word
