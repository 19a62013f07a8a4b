"""What the commands under `lsm eval` share: options, a progress bar, and where a report goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from lsm_core.cli.console import out, print_json, progress_bar
from lsm_core.evaluation.report import EvalReport
from lsm_core.io.images import write_png

ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads of PyTorch.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="At most this many pairs or images, evenly spread.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write tables and every pair's figures here.")]
MarkdownOption = Annotated[Path | None, typer.Option("--md", help="Write the tables into this Markdown file.")]
SheetOption = Annotated[Path | None, typer.Option(help="Write a PNG picture of some pairs here.")]
RowsOption = Annotated[int, typer.Option(min=1, help="Pairs in the picture.")]
BaselinesFromOption = Annotated[
    Path | None, typer.Option(help="Take the baselines from this earlier --json of the same pairs.")
]
XFeatOption = Annotated[
    Path | None,
    typer.Option(help="XFeat's official file, for its baseline; default: weights/xfeat/xfeat.pt where it is."),
]
SwitchOption = Annotated[
    list[str] | None,
    typer.Option(help="name=value of a switch (docs/evaluation.md), such as depth_alignment=none; repeatable."),
]


class Bar:
    """Callback that moves a progress bar."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None)

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def shown_progress(name: str) -> Iterator[Bar]:
    """Show a progress bar on standard error."""
    with progress_bar() as progress:
        yield Bar(progress, name)


def deliver(report: EvalReport, as_json: Path | None, md: Path | None, sheet: Path | None) -> None:
    """Print the tables and write the files asked for; `--json -` prints JSON instead."""
    if as_json is not None and str(as_json) == "-":
        print_json(report.plain())
    else:
        for table in report.tables:
            out.print(table.rich())
        out.print(report.provenance.line())
        if as_json is not None:
            report.write_json(as_json)
    if md is not None:
        report.write_markdown(md)
    if sheet is not None and report.sheet is not None:
        write_png(sheet, report.sheet)
