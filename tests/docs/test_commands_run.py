"""Commands of the documents that end by themselves: ./run, programs that print pages, scripts, variables."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from command_ways import Way, commands_by
from document_commands import ROOT, Command

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_commands import SCRIPTS

# ./run first sets up its clone, which it has done when it starts the tests; otherwise programs are run directly.
SET_UP = os.environ.get("LSM_TESTS_STARTED_BY") == str(ROOT / "run")
NOT_SET_UP = "./run would set up this clone first: start the tests by ./run test"
DIRECTLY = {"./run policy": "python -m lsm_perception.sros2_policy"}
FROM_THE_CLONE = ("source", "./run setup", "tools/env.sh", ". ")  # these look at the clone they stand in
HELP = ("demo", "bringup", "replay", "soak", "lsm")  # `policy` has none, and is run above
RUNNABLE = list({command.name: command for command in commands_by(Way.RUN)}.values())


def shell(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command by bash, stopping at the first error."""
    return subprocess.run(
        ["bash", "-ec", text], cwd=folder, capture_output=True, text=True, timeout=300, check=False, env=os.environ
    )


def typed(command: Command) -> str:
    """Return what is run for a command."""
    text = f"source {command.text}" if command.text == "tools/env.sh" else command.text
    text = re.sub(r"^ros2 run lsm_perception ", f"{SCRIPTS}/", text)
    if not SET_UP:
        for words, program in DIRECTLY.items():
            text = text.replace(words, program)
    return f"{text} --help" if len(command.words) == 3 and command.name.endswith("bag_topics") else text


@pytest.mark.parametrize("command", RUNNABLE, ids=lambda command: f"{command.where} {command.text.splitlines()[0]}")
def test_it_runs_as_it_is_written(command: Command, page_folder: Path) -> None:
    if command.text.startswith("./run setup") and not SET_UP:
        pytest.skip(NOT_SET_UP)
    folder = ROOT if command.text.startswith(FROM_THE_CLONE) else page_folder
    done = shell(typed(command), folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    words = command.words
    if "-o" in words:
        assert (page_folder / words[words.index("-o") + 1]).stat().st_size > 0
    for path in re.findall(r"\$PWD/([\w./]+)", command.text):
        assert path == "keystore" or (page_folder / path).is_file()


@pytest.mark.skipif(not SET_UP, reason=NOT_SET_UP)
@pytest.mark.parametrize("name", HELP)
def test_each_command_of_run_starts_its_program(name: str, tmp_path: Path) -> None:
    done = shell(f"{ROOT}/run {name} --help", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "usage" in done.stdout.lower() or ":=" in done.stdout
