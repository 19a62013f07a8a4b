"""The outcome of one evaluation command: tables, records, where they come from; printed, written, drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError
from lsm_core.evaluation.depth_metrics import DepthError
from lsm_core.evaluation.pose_metrics import PoseError
from lsm_core.evaluation.provenance import Provenance
from lsm_core.evaluation.records import PairRecord
from lsm_core.evaluation.sample_scores import SampleScores
from lsm_core.evaluation.tables import Table, update_markdown
from lsm_core.io.atomic import write_text


@dataclass(frozen=True)
class EvalReport:
    """What a study found.

    Attributes:
        command: the command that makes it, such as "lsm eval hololens".
        backend: name of the backend.
        tables: in the order to show.
        figures: the main figures by name.
        provenance: machine, software, commit.
        records: per method what was found on each pair or sample.
        sheet: [H, W, 3] uint8 RGB picture of some pairs, or None.
    """

    command: str
    backend: str
    tables: Sequence[Table]
    figures: Mapping[str, float]
    provenance: Provenance
    records: Mapping[str, Sequence[PairRecord | SampleScores]] = field(default_factory=dict)
    sheet: NDArray[np.uint8] | None = None

    def plain(self) -> dict[str, Any]:
        """Return everything but the picture for JSON; NaN becomes null."""
        return {
            "command": self.command,
            "backend": self.backend,
            "figures": _without_nan(dict(self.figures)),
            "tables": [table.plain() for table in self.tables],
            "provenance": self.provenance.plain(),
            "pairs": {name: [_without_nan(asdict(r)) for r in records] for name, records in self.records.items()},
        }

    def write_json(self, path: Path) -> None:
        """Write the report as JSON."""
        write_text(path, json.dumps(self.plain(), indent=1) + "\n")

    def write_markdown(self, path: Path) -> None:
        """Write the tables into a Markdown file, between the markers of the command."""
        parts = [table.markdown() for table in self.tables]
        parts.append(f"Printed by `{self.command}` with backend `{self.backend}` on {self.provenance.line()}")
        update_markdown(path, self.command, "\n\n".join(parts))


def read_records(path: Path) -> dict[str, list[PairRecord]]:
    """Read the pair records of an earlier report: per method, in order.

    Raises:
        FileFormatError: the file is not a report.
    """
    try:
        methods = json.loads(path.read_text(encoding="utf-8"))["pairs"]
        return {name: [_record(row) for row in rows] for name, rows in methods.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"{path} is not a report of lsm eval: {type(error).__name__}: {error}.", "Write one with --json FILE."
        ) from error


def _record(row: dict[str, Any]) -> PairRecord:
    """Return a record from its JSON; null becomes NaN again."""

    def numbers(values: dict[str, Any]) -> dict[str, Any]:
        return {k: math.nan if v is None else v for k, v in values.items()}

    def depth(values: dict[str, Any] | None) -> DepthError | None:
        return None if values is None else DepthError(**numbers(values))

    plain = {k: v for k, v in row.items() if k not in ("pose", "depth", "sure_depth")}
    first, second = (depth(d) for d in row["depth"])
    pose = PoseError(**numbers(row["pose"]))
    return PairRecord(pose=pose, depth=(first, second), sure_depth=depth(row["sure_depth"]), **numbers(plain))


def _without_nan(value: Any) -> Any:
    """Return the value with NaN and infinity replaced by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return value
