"""`lsm eval PROTOCOL --data DIR --weights F`: published tables, the paper's row beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.backends import load_backend
from lsm_core.cli.arguments import BackendOption, DeviceOption, PatienceOption, WeightsOption
from lsm_core.cli.evaluation_output import (
    JsonOption,
    LimitOption,
    MarkdownOption,
    RowsOption,
    SheetOption,
    SwitchOption,
    ThreadsOption,
    deliver,
    shown_progress,
)
from lsm_core.cli.loading import refined
from lsm_core.evaluation.protocols import PROTOCOLS, Protocol
from lsm_core.evaluation.switches import switched

DataOption = Annotated[Path, typer.Option(help="The test set, as said above.")]
ListOption = Annotated[
    Path | None, typer.Option("--list", help="The list of samples of the release, where the protocol has one.")
]


def register_protocols(app: typer.Typer) -> None:
    """Add one command per protocol."""
    for protocol in PROTOCOLS.values():
        app.command(protocol.name, help=_help(protocol))(_command(protocol))


def _help(protocol: Protocol) -> str:
    sources = ", ".join(sorted({row.source for row in protocol.rows}))
    return f"{protocol.title} ({sources}). --data: {protocol.data}."


def _command(protocol: Protocol):  # type: ignore[no-untyped-def]  # its signature is what typer reads
    def run(
        data: DataOption,
        listed: ListOption = None,
        backend: BackendOption = protocol.backend,
        weights: WeightsOption = None,
        device: DeviceOption = "auto",
        threads: ThreadsOption = None,
        limit: LimitOption = None,
        switch: SwitchOption = None,
        patience: PatienceOption = None,
        as_json: JsonOption = None,
        md: MarkdownOption = None,
        sheet: SheetOption = None,
        rows: RowsOption = 8,
    ) -> None:
        from lsm_core.evaluation.protocol_study import ProtocolOptions, study_protocol  # numba, by what draws

        if threads is not None:
            torch.set_num_threads(threads)
        changed = switched(protocol.switches, switch or ())
        with shown_progress(protocol.name) as bar:
            model = load_backend(backend, device, weights)
            model = refined(model, protocol.refine_pose, patience) if protocol.refine_pose else model
            options = ProtocolOptions(listed, limit, changed, rows if sheet else 0, bar)
            report = study_protocol(protocol, model, data, options)
        deliver(report, as_json, md, sheet)

    return run
