"""A protocol run on data: the paper's rows beside ours, the switches, and a picture of some samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lsm_core.backends.base import Backend
from lsm_core.data.test_sets import ChosenSamples
from lsm_core.data.views import ViewSample
from lsm_core.errors import FileFormatError
from lsm_core.evaluation.drawn_sheet import sample_row
from lsm_core.evaluation.evaluator import Evaluator
from lsm_core.evaluation.measuring import Progress
from lsm_core.evaluation.pairs import evenly_spaced
from lsm_core.evaluation.prepared import prepared
from lsm_core.evaluation.protocols import PaperRow, Protocol
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.sample_scores import (
    Labels,
    SampleScores,
    depth_figures,
    image_figures,
    label_figures,
    pose_figures,
)
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.sheet import pair_sheet
from lsm_core.evaluation.switch_table import switch_table
from lsm_core.evaluation.switches import Switches
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.io.sheets import Panel
from lsm_core.weights.lpips_package import INSTALL, available_lpips


@dataclass(frozen=True)
class ProtocolOptions:
    """How much of a protocol is run.

    Attributes:
        listed: the list of samples, where the protocol needs one.
        limit: at most this many samples, evenly spread; None for all.
        switches: in place of the protocol's.
        sheet_rows: samples in the picture; 0 for none.
        progress: called with (done, all) after each sample.
    """

    listed: Path | None = None
    limit: int | None = None
    switches: Switches | None = None
    sheet_rows: int = 0
    progress: Progress = lambda done, total: None


@dataclass
class _Found:
    """What was measured, and what was not."""

    scores: list[SampleScores] = field(default_factory=list)
    rows: list[list[Panel]] = field(default_factory=list)
    left_out: int = 0
    without_baseline: int = 0


def study_protocol(
    protocol: Protocol, backend: Backend, data: Path, options: ProtocolOptions | None = None
) -> EvalReport:
    """Run a protocol.

    Args:
        protocol: what to do.
        backend: that is measured; refined poses are the caller's business.
        data: the test set.
        options: how much.

    Raises:
        FileFormatError: the data are not those of the protocol, or nothing of them could be measured.
        InputError: a list of samples is needed and not named.
    """
    opts = options or ProtocolOptions()
    switches = opts.switches or protocol.switches
    samples = protocol.samples(data, opts.listed)
    network = available_lpips(backend.device)
    more = {name: _changed(way, protocol.switches, switches) for name, way in protocol.more_images.items()}
    texts = protocol.texts if backend.has_language else ()
    evaluator = Evaluator(backend, switches, more, texts, network)
    labels = Labels(Confusion(protocol.texts), Confusion(protocol.texts)) if texts else None
    found = _run(protocol, evaluator, samples, opts, labels)
    if not found.scores:
        raise FileFormatError(
            f"None of the {len(samples)} samples in '{data}' could be measured.",
            "Look at the data: lsm data inspect.",
        )
    figures = _figures(found.scores, switches, labels)
    table = _table(protocol, backend, found, figures, switches, _missing(samples), opts, network is not None)
    where = provenance(backend.device)
    command = f"lsm eval {protocol.name}"
    sheet = pair_sheet(command, f"{backend.name}; {where.line()}", found.rows) if found.rows else None
    tables = [table, switch_table(switches)]
    return EvalReport(command, backend.name, tables, figures, where, {backend.name: found.scores}, sheet)


def _run(
    protocol: Protocol,
    evaluator: Evaluator,
    samples: Sequence[ViewSample],
    opts: ProtocolOptions,
    labels: Labels | None,
) -> _Found:
    """Measure the samples one by one."""
    found = _Found()
    chosen = evenly_spaced(range(len(samples)), opts.limit)
    drawn = set(evenly_spaced(chosen, opts.sheet_rows)) if opts.sheet_rows else set()
    for done, index in enumerate(chosen):
        sample = samples[index]
        group = "" if protocol.groups is None or sample.overlap is None else protocol.groups(sample.overlap)
        if group in protocol.left_out:
            found.left_out += 1
        else:
            ready = prepared(sample, protocol.crop, protocol.side)
            result = evaluator.measure(ready, f"{sample.scene}#{index}", group, labels)
            if result is None:
                found.without_baseline += 1
            else:
                found.scores.append(result[0])
                if index in drawn:
                    found.rows.append(sample_row(ready, *result))
        opts.progress(done + 1, len(chosen))
    return found


def _changed(way: Switches, old: Switches, new: Switches) -> Switches:
    """Return a further way to score images, with what was changed by hand in the protocol's switches."""
    changes = {name: value for name, value in new.plain().items() if value != getattr(old, name)}
    return replace(way, **changes)  # type: ignore[arg-type]  # values of the same class


def _figures(scores: Sequence[SampleScores], switches: Switches, labels: Labels | None) -> dict[str, float]:
    """Return the figures of all samples, and GROUP/NAME of those that are in groups."""

    def of(part: Sequence[SampleScores]) -> dict[str, float]:
        return pose_figures(part) | depth_figures(part, switches) | image_figures(part, switches)

    figures = of(scores) | ({} if labels is None else label_figures(labels, switches))
    for group in sorted({s.group for s in scores if s.group}):
        part = of([s for s in scores if s.group == group])
        figures |= {f"{group}/{name}": value for name, value in part.items()}
    figures["seconds"] = float(np.median([s.seconds for s in scores]))
    return figures


def _table(
    protocol: Protocol,
    backend: Backend,
    found: _Found,
    figures: dict[str, float],
    switches: Switches,
    missing: int,
    opts: ProtocolOptions,
    with_lpips: bool,
) -> Table:
    """Return the paper's rows, each with ours below that is of the same samples."""
    columns = [Column("method"), Column("samples"), *(Column(f.heading, f.spec) for f in protocol.figures)]
    rows: list[list[Cell]] = []
    groups = ["", *sorted({s.group for s in found.scores if s.group})]
    for group in groups:
        for paper in paper_rows(protocol, group, opts.listed):
            mark = "" if paper.checked else "†"
            cells = [paper.figures.get(f.name) for f in protocol.figures]
            rows.append([f"paper{mark}: {paper.label}", "", *cells])
        count = sum(s.group == group for s in found.scores) if group else len(found.scores)
        prefix = f"{group}/" if group else ""
        ours = [figures.get(prefix + f.name) for f in protocol.figures]
        rows.append([f"here: {backend.name}" + (f", {group}" if group else ""), str(count), *ours])
    notes = [f"Paper: {', '.join(sorted({row.source for row in protocol.rows}))}."]
    if any(not row.checked for row in protocol.rows):
        notes.append("†: taken from a transcription, not compared with the paper.")
    if switches != protocol.switches:
        notes.append("Not the protocol: switches were changed.")
    if opts.limit is not None:
        notes.append(f"Not the protocol: at most {opts.limit} samples.")
    for count, what in (
        (missing, "scenes of the list are not in the data"),
        (found.left_out, "samples are of a group that the protocol leaves out"),
        (found.without_baseline, "samples have no baseline"),
    ):
        if count:
            notes.append(f"{count} {what}.")
    if not with_lpips and any("lpips" in figure.name for figure in protocol.figures):
        notes.append(f"Without LPIPS ({INSTALL}), which alignment of targets then also lacks.")
    return Table(protocol.title, columns, rows, " ".join(notes))


def paper_rows(protocol: Protocol, group: str, listed: Path | None) -> list[PaperRow]:
    """Return the rows that are of a group, and of the list of samples that was named."""
    stem = "" if listed is None else listed.stem
    named = {row.data for row in protocol.rows if row.data and row.data in stem}
    rows = [row for row in protocol.rows if row.group == group]
    return [row for row in rows if row.data in named] if named else [row for row in rows if not row.data]


def _missing(samples: Sequence[ViewSample]) -> int:
    return len(samples.missing) if isinstance(samples, ChosenSamples) else 0
