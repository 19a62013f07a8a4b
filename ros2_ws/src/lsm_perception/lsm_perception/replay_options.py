"""The command line of the bag player: options as of `ros2 bag play`, or `name:=value` as of its launch file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsm_perception.launch_argument import HELP, ArgumentError, complete, described
from lsm_perception.replay_arguments import ARGUMENTS, player_words

CLOCK_HZ = 100.0


@dataclass(frozen=True)
class ReplayOptions:
    """What to play and how.

    Attributes:
        bag: folder or file that rosbags reads (mcap, sqlite3).
        rate: speed, 1 is the recording's.
        loop: start again at the end, until interrupted.
        clock_hz: publish /clock with the recording's time so often (real time), 0 does not.
        paused: stand still at first.
        start_s, duration_s: part to play, seconds after the first message; duration 0 plays to the end.
        topics: only these topics, or empty for all.
        wait_s: longest time to wait for a subscriber of an image topic before the first message.
        delay_s: pause between discovery and the first message.
    """

    bag: Path
    rate: float = 1.0
    loop: bool = False
    clock_hz: float = 0.0
    paused: bool = False
    start_s: float = 0.0
    duration_s: float = 0.0
    topics: tuple[str, ...] = ()
    wait_s: float = 5.0
    delay_s: float = 0.5


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="./run replay",
        description="Play a bag onto ROS topics, as recorded to the bit.",
        epilog="The same as name:=value, with the names of replay.launch.py:\n\n" + described(ARGUMENTS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bag", type=Path, help="bag folder or file (mcap or sqlite3)")
    parser.add_argument("-r", "--rate", type=float, default=1.0, help="speed; 1 is the recording's")
    parser.add_argument("-l", "--loop", action="store_true", help="start again at the end")
    parser.add_argument("-p", "--start-paused", action="store_true", help="stand still at first")
    parser.add_argument(
        "--clock", type=float, nargs="?", const=CLOCK_HZ, default=0.0, metavar="HZ",
        help="publish /clock with the recording's time, so often per second of real time",
    )  # fmt: skip
    parser.add_argument("--start", "--start-offset", type=float, default=0.0, metavar="S", help="seconds to skip")
    parser.add_argument(
        "--duration", "--playback-duration", type=float, default=0.0, metavar="S",
        help="seconds to play; 0 for all",
    )  # fmt: skip
    parser.add_argument("--topics", nargs="+", default=[], metavar="T", help="only these topics")
    parser.add_argument("--wait", type=float, default=5.0, metavar="S", help="longest wait for a subscriber")
    parser.add_argument(
        "-d", "--delay", type=float, default=0.5, metavar="S", help="pause before the first message"
    )
    return parser


def parse_arguments(arguments: Sequence[str]) -> ReplayOptions:
    """Read the command line (without ROS arguments); exits with 2 on wrong usage."""
    parser = make_parser()
    try:
        words = plain_words(arguments)
    except ArgumentError as error:
        parser.error(str(error))
    given = parser.parse_args(words)
    if not 0.001 <= given.rate <= 1000:
        parser.error("--rate must be between 0.001 and 1000")
    if given.clock and not 0.1 <= given.clock <= 1000:
        parser.error("--clock must be between 0.1 and 1000 Hz")
    if min(given.start, given.duration, given.wait, given.delay) < 0:
        parser.error("--start, --duration, --wait and --delay cannot be negative")
    return ReplayOptions(
        bag=given.bag.expanduser(),  # no shell does it within bag:=~/...
        rate=given.rate,
        loop=given.loop,
        clock_hz=given.clock,
        paused=given.start_paused,
        start_s=given.start,
        duration_s=given.duration,
        topics=tuple(given.topics),
        wait_s=given.wait,
        delay_s=given.delay,
    )


def plain_words(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which `name:=value` words have become options.

    Raises:
        ArgumentError: a name is unknown or a value outside the choices.
    """
    words = ["--help" if word in HELP else word for word in arguments]
    plain = [word for word in words if ":=" not in word]
    given = {name: value for name, _, value in (word.partition(":=") for word in words if ":=" in word)}
    complete({"bag": "", **given}, ARGUMENTS)  # whether there is a bag is argparse's matter
    told = player_words(given)
    return [*told[:1], *plain, *told[1:]] if "bag" in given else [*plain, *told]
