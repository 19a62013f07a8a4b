"""How a command of the documents is tested: which test file runs it, or the table says why none does."""

from __future__ import annotations

import re
from enum import Enum

from document_commands import Command, commands
from not_run_here import why_not_run
from prepared_names import MAPS, RECORDINGS

from lsm_core.cli.main import VERBS


class Way(Enum):
    """What becomes of a command; the value is the test file that does it."""

    LSM = "test_commands_lsm.py"  # run in a prepared folder
    NAMED = "test_commands_known.py"  # the program's name alone, or with `...`: its help is asked for
    RUN = "test_commands_run.py"  # ./run itself, and small programs
    NODE = "test_commands_node.py"  # starts, comes up, ends by SIGINT
    ROS2 = "test_commands_ros2.py"  # asked of a running node
    TABLE = "test_commands_not_run.py"  # not run: parsed, and what it names is looked up


RUN_ITSELF = ("setup", "help", "docs", "lint", "policy", "doctor", "soak")
NODES = ("bringup", "replay", "demo", "viewer", "node", "label_mask", "goal_from_detection")
WHOLE = ("lsm doctor", "lsm weights list", "lsm data formats", "lsm --version")  # need no arguments
METAVARIABLE = r"\[?[A-Z][A-Z_]*(\.\.\.)?\]?"
PREPARED = ("A", "B", *RECORDINGS, *MAPS, "SCENE", "BAGS", "FILE")
# These end by themselves.
SMALL = r"source |export |python - <<|python (-m lsm_|tools/check_pins)|tools/env\.sh|\. |ros2 run lsm_"
BESIDE = r"grep |timeout |python -m lsm_perception\.healthcheck"  # a running node


def way_of(command: Command) -> Way | None:
    """Return how a command is tested; None when nobody has thought of it."""
    words = command.words
    if not words:
        return Way.RUN  # a variable is set
    if why_not_run(command) is not None:
        return Way.TABLE
    if is_name(command):
        return Way.NAMED
    if words[0] == "lsm" or words[:2] == ["./run", "lsm"]:
        return Way.LSM
    if node_program(command) is not None:
        return Way.NODE
    if words[0] == "./run" and words[1] in RUN_ITSELF:
        return Way.RUN
    if re.match(BESIDE, command.text):
        return Way.ROS2
    if re.match(SMALL, command.text):
        return Way.RUN
    return Way.ROS2 if "ros2" in words[:3] else None


def is_name(command: Command) -> bool:
    """Whether running text names a program, or its arguments, and does not say what to do with it."""
    if not command.inline or command.name in WHOLE:
        return False
    words = lsm_words(command)
    if words is None:
        return command.words[0] == "ros2" and (len(command.words) == 2 or incomplete(command))
    if "..." in words or any(re.fullmatch(METAVARIABLE, word) and word not in PREPARED for word in words):
        return True
    if words[0] == "query" and len(words) == 2:
        return True
    return words[0] in VERBS and all(re.fullmatch(r"[a-z0-9][a-z0-9-]*", word) for word in words)


def incomplete(command: Command) -> bool:
    """Whether a mention of ros2 lacks what it is about: `ros2 topic info`, `ros2 param set`."""
    named = [word for word in command.words[1:] if not re.fullmatch(r"-*[a-z_]+", word)]
    return not named and command.words[1:] not in (["topic", "list"], ["node", "list"], ["service", "list"])


def lsm_words(command: Command) -> list[str] | None:
    """Return the words behind `lsm`, or None for another program."""
    words = command.words
    if words[0] == "lsm":
        return words[1:]
    return words[2:] if words[:2] == ["./run", "lsm"] else None


def node_program(command: Command) -> str | None:
    """Return which of the long-running programs a command starts, or None."""
    words = command.words
    if words[0] == "./run" and len(words) > 1 and words[1] in NODES:
        return words[1]
    if words[:2] in (["ros2", "launch"], ["ros2", "run"]) and words[2:3] == ["lsm_perception"] and len(words) > 3:
        name = words[3].removesuffix(".launch.py")
    elif words[:2] == ["python", "-m"] and len(words) > 2:
        name = words[2].removeprefix("lsm_perception.").removeprefix("examples.")
    else:
        return None
    return name if name in NODES else None


def commands_by(way: Way) -> list[Command]:
    """Return the commands that are tested one way, in the order of the pages."""
    return [command for command in commands() if way_of(command) is way]
