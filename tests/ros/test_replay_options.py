"""The player's command line: options, or the arguments of its launch file, which one table keeps in step."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("lsm_perception", reason="the workspace is not built: ./run setup")

from lsm_perception.launch_argument import parse_words
from lsm_perception.replay_arguments import ARGUMENTS, player_words
from lsm_perception.replay_options import ReplayOptions, make_parser, parse_arguments

from lsm_core.data import sample_path

pytestmark = pytest.mark.ros


def test_command_line_is_checked() -> None:
    options = parse_arguments(["b", "--rate", "2", "--loop", "--start", "3", "--clock", "--start-paused"])
    assert (options.rate, options.loop, options.start_s) == (2.0, True, 3.0)
    assert options.clock_hz == 100 and options.paused
    options = parse_arguments(
        ["b", "-l", "-r", "5", "--clock", "40", "--start-offset", "1", "--topics", "/a", "/b"]
    )
    assert (options.loop, options.rate, options.clock_hz, options.start_s) == (True, 5.0, 40.0, 1.0)
    assert options.topics == ("/a", "/b") and not options.paused


@pytest.mark.parametrize(
    "words",
    [["b", "--rate", "0"], ["b", "--start", "-1"], ["b", "--clock", "1e9"], [], ["rate:=2"], ["b", "bag:=c"],
     ["b", "colour:=red"], ["b", "loop:=maybe"], ["b", "rate:=fast"]],
)  # fmt: skip
def test_wrong_usage_exits_with_two(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(words)
    assert end.value.code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["bag:=b", "rate:=2", "loop:=true", "clock:=50", "start:=1", "topics:=/a, /c/d", "wait:=0"],
        ["b", "rate:=2", "-l", "--clock", "50", "start:=1", "--wait", "0", "--topics", "/a", "/c/d"],
        ["--rate", "2", "-l", "--clock", "50", "--start", "1", "topics:=/a,/c/d", "--wait", "0", "bag:=b"],
    ],
)
def test_arguments_of_the_launch_file_and_options_mean_the_same(words: list[str]) -> None:
    expected = ReplayOptions(Path("b"), 2.0, True, 50.0, start_s=1.0, topics=("/a", "/c/d"), wait_s=0.0)
    assert parse_arguments(words) == expected


def test_a_bag_at_home_is_found() -> None:
    assert parse_arguments(["bag:=~/b"]).bag == Path.home() / "b"


def test_the_defaults_of_the_table_are_those_of_the_options() -> None:
    values, _ = parse_words(["bag:=b"], ARGUMENTS)
    assert parse_arguments(player_words(values)) == parse_arguments(["b"]) == ReplayOptions(Path("b"))


@pytest.mark.parametrize(("word", "clock_hz"), [("true", 100.0), ("false", 0.0), ("0", 0.0), ("25", 25.0)])
def test_clock_is_a_switch_or_a_number(word: str, clock_hz: float) -> None:
    assert parse_arguments(["b", f"clock:={word}"]) == replace(ReplayOptions(Path("b")), clock_hz=clock_hz)


def test_every_option_is_an_argument_and_the_other_way_round() -> None:
    options = {name for action in make_parser()._actions for name in action.option_strings}
    named = {argument.option for argument in ARGUMENTS if argument.option}
    assert named <= options
    fields = {action.dest for action in make_parser()._actions} - {"help"}
    assert fields == {argument.name for argument in ARGUMENTS}


def test_the_program_takes_arguments_that_ros_would_take_for_remappings() -> None:
    words = [f"bag:={sample_path()}", "duration:=0.2", "wait:=0", "delay:=0", "--ros-args", "-r", "__ns:=/robot"]
    done = subprocess.run(
        [sys.executable, "-m", "lsm_perception.replay", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Sent" in done.stderr and "deprecated" not in done.stderr


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(["--show-args"])
    shown = capsys.readouterr().out
    assert end.value.code == 0 and all(f"{argument.name}:=" in shown for argument in ARGUMENTS)
