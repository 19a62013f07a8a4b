"""Every `lsm` command of the documents that can run here is run as it is written, page by page, in their order."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

import pytest
from command_ways import Way, commands_by, lsm_words
from document_commands import Command, commands
from fitted_checkpoints import SIZE

from lsm_core.backends import splatt3r
from lsm_core.backends.splatt3r import Splatt3rOptions
from lsm_core.cli.main import main

# These work on a whole recording, train, or make films: as written they run in `./run test --slow`.
SLOW = (
    r"lsm doctor .*--seconds|lsm (train|render) (?!.*still)"
    r"|lsm (reconstruct|query) (PATH|\$?BAG|my_bag/|src/lsm_core/assets/sample_room)"
)
FILE_NAME = r"\b[\w-]+\.(?:ply|json|webp|png|spz|glb|html|csv|npz)\b"
PIXELSPLAT = Path("weights/pixelsplat/re10k.ckpt")
FEW = 3  # frames of a film; `./run test --slow` makes them all


def typed(command: Command) -> list[str]:
    """Return the words as the program gets them: what a shell would expand is expanded.

    Pages call any official file re10k.ckpt or FILE: the one that fits the model is taken.
    """
    words = [os.path.expandvars(os.path.expanduser(word)) for word in lsm_words(command) or ()]
    if "pixelsplat" in words:
        words = [str(PIXELSPLAT) if word in ("re10k.ckpt", "FILE") else word for word in words]
    return words


def is_slow(command: Command) -> bool:
    """Whether a command works on a whole recording, trains, or makes a film."""
    return re.match(SLOW, command.name) is not None


def is_quick(command: Command) -> bool:
    """Whether a command takes seconds, a film when it has few frames."""
    return not is_slow(command) or command.name.startswith("lsm render")


def few_frames(words: list[str]) -> list[str]:
    """Return the words with fewer frames for a film."""
    return [*words, "--frames", str(FEW)] if words[0] == "render" and "still" not in words else words


def complaint(command: Command, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command; return what is wrong with it, "" for nothing."""
    code = main(words)
    said = capsys.readouterr()
    needs = re.search(r"needs (pip install \S+)", command.comment)
    if code and needs and needs.group(1) in said.err:
        return ""  # what the page says, in the words of the page
    if code == 1 and words[0] == "doctor" and ("problem" in said.out or '"ok": false' in said.out):
        return ""  # a finding about this machine, which has no camera and may have no GPU
    if code:
        return f"{command.where}: {command.text}\n  exit {code}: {(said.err or said.out).strip()[-600:]}"
    return missing_output(command, words)


def missing_output(command: Command, words: list[str]) -> str:
    """Return a complaint where `-o` was not written, or has no file that the comment beside the command names."""
    target = next((Path(words[i + 1]) for i, word in enumerate(words) if word in ("-o", "--out")), None)
    if target is None:
        return ""
    there = {path.name for path in target.rglob("*")} if target.is_dir() else {target.name}
    told = set(re.findall(FILE_NAME, command.comment)) if words[0] != "export" else set()
    lacking = sorted(told - there) if target.exists() else [str(target)]
    return f"{command.where}: {command.text}\n  has not written {', '.join(lacking)}" if lacking else ""


def by_page(slow: bool) -> dict[str, list[Command]]:
    """Return the commands of each page, those that take seconds or those that take longer; each of them once."""
    out: dict[str, list[Command]] = {}
    seen: set[str] = set()
    for command in commands_by(Way.LSM):
        if command.name not in seen and (is_slow(command) if slow else is_quick(command)):
            out.setdefault(command.page, []).append(command)
            seen.add(command.name)
    return out


@pytest.fixture
def variables(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the page sets by `NAME=value`."""
    for command in commands():
        if command.page == page and re.fullmatch(r"[A-Z_]+=\S+", command.text):
            monkeypatch.setenv(*command.text.split("=", 1))


@pytest.fixture(autouse=True)
def size_of_the_fitted_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Splatt3R work on the grid that its small checkpoint is fitted for."""
    monkeypatch.setattr(splatt3r, "Splatt3rOptions", partial(Splatt3rOptions, SIZE))


@pytest.mark.parametrize("page", by_page(slow=False))
def test_the_commands_of_a_page_run(
    page: str, page_folder: Path, variables: None, capsys: pytest.CaptureFixture[str]
) -> None:
    complaints = [complaint(command, few_frames(typed(command)), capsys) for command in by_page(slow=False)[page]]
    assert not any(complaints), "\n".join(filter(None, complaints))


@pytest.mark.slow
@pytest.mark.parametrize("page", by_page(slow=True))
def test_the_longer_commands_of_a_page_run(
    page: str, page_folder: Path, variables: None, capsys: pytest.CaptureFixture[str]
) -> None:
    complaints = [complaint(command, typed(command), capsys) for command in by_page(slow=True)[page]]
    assert not any(complaints), "\n".join(filter(None, complaints))
