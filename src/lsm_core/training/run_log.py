"""What a training run tells: one JSON object per line, and TensorBoard where it is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsm_core.errors import DependencyError
from lsm_core.io.atomic import write_text

FILE_NAME = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class RunLog:
    """Writes the log of one run.

    Args:
        folder: receives ``log.jsonl``, and ``tensorboard/`` where asked for.
        tensorboard: write scalars for TensorBoard, too.

    Raises:
        DependencyError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, tensorboard: bool = False) -> None:
        self.path = folder / FILE_NAME
        self._board = _summary_writer(folder / TENSORBOARD_FOLDER) if tensorboard else None

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; its numbers go to TensorBoard under their names at the row's "step"."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(row)) + "\n")
        if self._board is not None:
            for name, value in _scalars(row):
                self._board.add_scalar(name, value, row.get("step", 0))

    def rewind(self, step: int) -> None:
        """Drop the rows of steps after this one: a resumed run takes those steps again."""
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if _step_of(line) <= step]
        if len(kept) < len(lines):
            write_text(self.path, "".join(f"{line}\n" for line in kept))

    def close(self) -> None:
        """Write what TensorBoard still holds back."""
        if self._board is not None:
            self._board.close()


def _step_of(line: str) -> float:
    """Return the step of a row; a line that a kill cut short is after every step."""
    try:
        return float(json.loads(line).get("step", 0))
    except (ValueError, AttributeError):
        return float("inf")


def _scalars(row: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Return the numbers of a row and of the rows in it, without the step."""
    found: list[tuple[str, float]] = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            found += _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((prefix + name, float(value)))
    return found


def _summary_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise DependencyError(
            "TensorBoard logs need the package tensorboard, which is not installed.",
            "pip install 'lsm_core[tensorboard]', or leave --tensorboard out (log.jsonl is always written).",
        ) from error
    return SummaryWriter(str(folder))
