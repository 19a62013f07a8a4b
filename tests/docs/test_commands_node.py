"""Programs of the documents that go on until Ctrl-C come up as they are written there, and end with exit code 0."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from command_ways import Way, commands_by
from document_commands import Command

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_commands import NAMES, Start, start_of
from running_process import Running
from waiting import wait_until

from lsm_core.data import sample_path

INTERRUPTED = 130  # of the demo, whose results are then not written
BAGS = ("my_bag", "kitchen", "run1")


def starts(first_of_kind: bool) -> list[tuple[Start, list[Command]]]:
    """Return what is started and where it stands: the first of each kind, or the others; each once."""
    by_start: dict[Start, list[Command]] = {}
    for command in commands_by(Way.NODE):
        by_start.setdefault(start_of(command), []).append(command)
    seen: set[tuple[str, ...]] = set()
    out = []
    for start, where in by_start.items():
        if (start.kind not in seen) is first_of_kind:
            out.append((start, where))
        seen.add(start.kind)
    return out


def title(value: object) -> str:
    """Return the name of a test."""
    return " ".join((value.program, *value.words)) if isinstance(value, Start) else f"{value[0].where}"  # type: ignore[index]


def comes_up_and_ends(start: Start, observer: Any) -> None:
    """Start it, wait until it is up, and end it by Ctrl-C."""
    if "backend:=pixelsplat" in start.words:  # of two official files of one name, the one that fits
        Path("re10k.ckpt").unlink()
        Path("re10k.ckpt").symlink_to(Path("weights/pixelsplat/re10k.ckpt").resolve())
    if start.program == "replay" and not start.words:
        start = Start("replay", (str(sample_path()),))  # running text leaves the recording out
    name = NAMES.get(start.program)

    def seen() -> int:
        return int(observer.get_node_names().count(name))

    # The one before it may still be in the graph, and would be taken for this one. A process that ends while it is
    # being discovered stays there for good: what is still there after a lease of 20 s is such a ghost.
    wait_until(lambda: seen() == 0, 25)
    ghosts = seen()
    with Running(start.command, Path("log.txt")) as process:
        for text in start.ready:
            process.wait_for(text)
        if name is not None:
            process.wait_for(lambda: seen() > ghosts or process.process.poll() == 0)
        allowed = (0, INTERRUPTED) if start.program == "demo" else (0,)
        assert process.interrupt() in allowed, process.text[-3000:]


@pytest.fixture(autouse=True)
def recordings(page_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pages call their own recordings is the sample, also where a page sets BAG."""
    monkeypatch.setenv("BAG", str(sample_path()))
    for name in BAGS:
        if not (page_folder / name).exists():
            os.symlink(sample_path(), page_folder / name)


@pytest.mark.parametrize(("start", "where"), starts(first_of_kind=True), ids=title)
def test_it_comes_up_and_ends_by_ctrl_c(start: Start, where: list[Command], observer: Any) -> None:
    comes_up_and_ends(start, observer)


@pytest.mark.slow
@pytest.mark.parametrize(("start", "where"), starts(first_of_kind=False), ids=title)
def test_those_with_other_topics_and_files_come_up_too(start: Start, where: list[Command], observer: Any) -> None:
    comes_up_and_ends(start, observer)
