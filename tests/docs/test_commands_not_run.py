"""Commands that cannot run here are checked as far as they go: parsers accept them, what they name exists."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest
from command_parsing import NotAccepted, parse_lsm, parse_module
from command_ways import Way, commands_by, lsm_words
from document_commands import Command
from named_things import (
    apt_faults,
    docker_faults,
    npm_faults,
    path_faults,
    pip_faults,
    pytest_faults,
    run_faults,
)

LOOK_UP: dict[str, Callable[[Command], list[str]]] = {
    "pip": pip_faults,
    "apt": apt_faults,
    "docker": docker_faults,
    "npm": npm_faults,
    "pytest": pytest_faults,
    "./run": run_faults,
}
INSIDE_PROGRAM = "lsm_core.cli.main"


def names(commands: list[Command]) -> list[Command]:
    """Return one command of each text."""
    return list({command.name: command for command in reversed(commands)}.values())[::-1]


def title(command: Command) -> str:
    """Return the name of a command's test."""
    return f"{command.where} {command.text}"


def kind_of(command: Command) -> str:
    """Return what reads a command: lsm, torchrun, a module, or the name of its program."""
    words = [word for word in command.words if word != "sudo"]
    if lsm_words(command) is not None:
        return "lsm"
    if words[0] == "torchrun":
        return "torchrun"
    own = words[0] == "python" and words[1:2] == ["-m"] and words[2].startswith("lsm_")
    tool = words[0] == "python" and words[1].startswith("tools/") and len(words) > 2
    return "module" if own or tool else words[0]


def of_kind(*kinds: str) -> list[Command]:
    """Return the commands of the table that are read one way."""
    return [command for command in names(commands_by(Way.TABLE)) if kind_of(command) in kinds]


@pytest.mark.parametrize("command", of_kind("lsm"), ids=title)
def test_the_program_accepts_an_lsm_command(command: Command) -> None:
    parse_lsm(lsm_words(command) or (), complete=not command.inline)


@pytest.mark.parametrize("command", of_kind("torchrun"), ids=title)
def test_the_program_accepts_what_torchrun_starts(command: Command) -> None:
    words = command.words
    parse_lsm(words[words.index(INSIDE_PROGRAM) + 1 :])


@pytest.mark.parametrize("command", of_kind("module"), ids=title)
def test_a_program_of_the_project_accepts_its_command(command: Command) -> None:
    if "lsm_perception" in command.text and importlib.util.find_spec("rclpy") is None:
        pytest.skip("ROS 2 is not here: source tools/env.sh")
    parse_module(command.words)


@pytest.mark.parametrize("command", of_kind("./run"), ids=title)
def test_run_accepts_a_command(command: Command) -> None:
    assert run_faults(command) == []
    if command.words[1:2] == ["soak"]:
        if importlib.util.find_spec("rclpy") is None:
            pytest.skip("ROS 2 is not here: source tools/env.sh")
        parse_module(["python", "-m", "lsm_perception.soak", *command.words[2:]])


@pytest.mark.parametrize("command", of_kind("pip", "apt", "docker", "npm", "pytest"), ids=title)
def test_packages_stages_and_tests_that_a_command_names_exist(command: Command) -> None:
    words = [word for word in command.words if word != "sudo"]
    assert LOOK_UP[words[0]](command) == []


@pytest.mark.parametrize("command", names(commands_by(Way.TABLE)), ids=title)
def test_files_of_the_repository_that_a_command_names_exist(command: Command) -> None:
    assert path_faults(command) == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (pip_faults, "pip install 'lsm_core[nothing]'"),
        (pip_faults, "pip install -r requirements/nothing.txt"),
        (pip_faults, "pip install a-package-of-nobody==1"),
        (apt_faults, "sudo apt install ros-jazzy-nothing"),
        (docker_faults, "docker compose -f docker/compose.yaml --profile nothing up"),
        (docker_faults, "NOTHING=1 docker compose -f docker/compose.yaml up"),
        (docker_faults, "docker build --target nothing ."),
        (pytest_faults, "pytest -m nothing tests/nothing"),
        (run_faults, "./run nothing"),
        (npm_faults, "npm run nothing"),
        (path_faults, "bash tools/nothing.sh"),
    ],
)
def test_what_does_not_exist_is_found(check: Callable[[Command], list[str]], text: str) -> None:
    assert check(Command("page.md", 1, text))


def test_a_wrong_option_of_a_module_is_found() -> None:
    parse_module(["python", "-m", "lsm_core.data.sample_bag", "x"])
    with pytest.raises(NotAccepted):
        parse_module(["python", "-m", "lsm_core.data.sample_bag", "--colour", "red"])
