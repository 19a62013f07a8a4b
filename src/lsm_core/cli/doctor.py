"""`lsm doctor`: is everything here that this product needs, and what to do where it is not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from lsm_core.cli.arguments import JsonOption
from lsm_core.cli.console import err, out, print_json
from lsm_core.doctor import Fault, Finding, RosHalf, find_ros_half, machine_findings, read_settings

SECONDS = 6.0
NAME_WIDTH = 32
CRASHED = Fault(
    "doctor.failed",
    "problem",
    "A check of the doctor itself failed.",
    "Report it, with the output of lsm --debug doctor.",
    "troubleshooting.md",
)


class Part(StrEnum):
    """What to look at."""

    ALL = "all"
    MACHINE = "machine"
    ROS = "ros"


SettingsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY:=VALUE]...",
        help="What you expect, by the names of bring-up's arguments: image_topic, camera_info_topic, "
        "image_transport, depth_topic, odom_topic, odom_frame, namespace, use_sim_time, backend, weights, "
        "semantics, semantics_weights, device. What is not given is taken from the running node.",
    ),
]
SecondsOption = Annotated[float, typer.Option(min=0.5, max=300.0, help="How long to look at the ROS graph.")]
PartOption = Annotated[Part, typer.Option(help="Look at all, at the machine only, or at ROS only.")]
ListOption = Annotated[bool, typer.Option("--list", help="Print every finding there is with its fix, as Markdown.")]


def doctor(
    settings: SettingsArgument = None,
    seconds: SecondsOption = SECONDS,
    part: PartOption = Part.ALL,
    catalogue: ListOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check this machine and the running robot; exit code 1 when something cannot work, 0 otherwise."""
    given = read_settings(settings or [])
    ros = find_ros_half() if part is not Part.MACHINE or catalogue else RosHalf()
    if catalogue:
        sys.stdout.write(catalogue_text(ros))
        return
    findings: list[Finding] = []
    with telling(as_json) as tell:
        if part is not Part.ROS:
            tell("Looking at this machine")
            findings += guarded(lambda: machine_findings(given))
        if part is not Part.MACHINE:
            findings += guarded(lambda: ros.findings(given, seconds, tell))
    show(findings, as_json)
    raise typer.Exit(int(any(f.level == "problem" for f in findings)))


def guarded(findings: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Return what was found, and one more finding where looking failed."""
    found: list[Finding] = []
    try:
        found.extend(findings())
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        found.append(CRASHED.seen("Doctor", f"{type(error).__name__}: {' '.join(str(error).split())}"))
    return found


@contextlib.contextmanager
def telling(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Give a function that shows what goes on: a spinner at a terminal, nothing elsewhere."""
    if quiet or not err.is_terminal:
        yield lambda _line: None
        return
    with err.status("") as status:
        yield lambda line: status.update(f"{line} ...")


def show(findings: list[Finding], as_json: bool) -> None:
    """Print the findings."""
    problems = [f.name for f in findings if f.level == "problem"]
    if as_json:
        print_json({"ok": not problems, "findings": [asdict(f) for f in findings]})
        return
    out.print(report(findings))
    named = f"{len(problems)} problem(s): {', '.join(problems)}."
    out.print(_plain(named) if problems else "All main functions can work here.")


def report(findings: list[Finding]) -> Table:
    """Return the findings as a table."""
    marks = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "problem": "[bold red]problem[/]"}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("name", max_width=NAME_WIDTH, overflow="fold")
    table.add_column("level", no_wrap=True)
    table.add_column("found", overflow="fold")
    for f in findings:
        fix = f"\n[dim]Fix:[/] {_plain(f.fix)}" if f.fix else ""
        see = f" [dim]({_plain(f.see)})[/]" if f.see else ""
        table.add_row(_plain(f.name), marks[f.level], _plain(f.found) + fix + see)
    return table


def catalogue_text(ros: RosHalf) -> str:
    """Return every fault with its fix as Markdown tables: of the machine, and of ROS where its package is here."""
    from lsm_core.doctor.machine_checks import FAULTS as OF_MACHINE
    from lsm_core.doctor.ros_half import FAULTS as OF_ROS

    groups = {"The machine": (*OF_MACHINE, CRASHED), "ROS 2 and the robot": (*OF_ROS, *ros.faults)}
    lines = []
    for title, faults in groups.items():
        lines += [f"### {title}", "", "| code | level | what it means | fix |", "|---|---|---|---|"]
        lines += [*(fault.table_row() for fault in faults), ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Escape rich markup."""
    return text.replace("[", "\\[")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)
