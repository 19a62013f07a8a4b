"""A robot's own recordings as training data: read once into shards beside the run, found again when it goes on."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsm_core.data.formats import open_dataset
from lsm_core.data.scene_shards import Labeller, Report, SceneSharder
from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.atomic import write_text

_log = logging.getLogger(__name__)
FOLDER, LIST = "recordings", "recordings.json"


def prepare_recordings(
    places: Sequence[Path], run: Path, label: Labeller | None, report: Report | None = None
) -> list[dict[str, Any]]:
    """Write the shards of all recordings into ``run/recordings``; an unchanged earlier preparation is kept.

    Args:
        places: bags, folders of bags, or any data that `lsm_core.data.formats` reads with depth and metric poses.
        run: folder of the training run.
        label: names the pixels of a shard; None leaves them void.
        report: progress; see `SceneSharder`.

    Returns:
        What each recording gave, for the card of the weights.

    Raises:
        InputError: no places.
        FileFormatError: one of them cannot be read, or has nothing to learn from.
    """
    if not places:
        raise InputError("There are no recordings.", "Pass --bags with a bag or a folder of bags.")
    folder = run / FOLDER
    sources = [{"place": str(p.resolve()), "changed_ns": _changed_ns(p)} for p in places]
    known = _earlier(folder / LIST)
    if known is not None and known["sources"] == sources:
        recorded: list[dict[str, Any]] = known["recordings"]
        return recorded
    shutil.rmtree(folder, ignore_errors=True)
    sharder = SceneSharder(folder, label=label, report=report)
    rows = []
    for place in places:
        dataset = open_dataset(place)
        for name in dataset.scenes:
            scene = dataset.scene(name)
            _log.info("reading the recording %s, %d pictures", name, len(scene))
            rows.append(sharder.add(scene, dataset.format).card())
            _log.info("%d pairs to learn from", rows[-1]["pairs"])
    write_text(folder / LIST, json.dumps({"sources": sources, "recordings": rows}, indent=1) + "\n")
    return rows


@dataclass(frozen=True)
class HeldOutChange:
    """Mean relative depth error (median-aligned) on held-out pairs: with the starting weights, and at the end."""

    before: float
    after: float

    def __str__(self) -> str:
        verdict = "better" if self.after < self.before else "worse: keep the weights you began from"
        return f"depth error on held-out pairs: {self.before:.3f} before, {self.after:.3f} after, {verdict}"


def held_out_change(log: Path) -> HeldOutChange | None:
    """Return the change between the first and the last validation of a run's log, where it has two."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    errors = [row["validation"]["absrel"] for row in rows if row.get("validation")]
    return HeldOutChange(errors[0], errors[-1]) if len(errors) > 1 else None


def _changed_ns(place: Path) -> int:
    """Return when a recording was last changed, as its files say.

    Raises:
        FileFormatError: there is nothing.
    """
    if not place.exists():
        raise FileFormatError(f"There is no recording '{place}'.", "Pass a bag or a folder of bags.")
    files = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    return max((p.stat().st_mtime_ns for p in files), default=0)


def _earlier(path: Path) -> dict[str, Any] | None:
    """Return the list of an earlier preparation that was finished."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) and {"sources", "recordings"} <= set(known) else None
