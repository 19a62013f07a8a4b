"""The files of a soak run: written row by row, so that a fault loses nothing; read by the report."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError

SAMPLES, RUN, EVENTS = "samples.csv", "run.json", "events.jsonl"


@dataclass(frozen=True)
class Sample:
    """One row; counters count from the start of the run.

    Attributes:
        t_s: since the first image.
        active: 1 when the node is active and has been told nothing else.
        rss_mib, anonymous_mib, threads, descriptors, cpu_s: of the node's process.
        device_mib: memory torch holds on a GPU.
        delivered, used, dropped, dropped_bad, transport_lost: images, from ~/stats; `dropped_bad`: as malformed.
        unbalanced: replies so far in which delivered was not used + dropped.
        pairs, accepted: from ~/stats.
        total_p50_ms, total_p99_ms: callback to published, the node's newest 1000, from ~/stats.
        masks, clouds, maps: messages heard.
        mask_age_s: since the last mask was heard.
        latency_p50_ms, latency_p99_ms: image heard here to its mask heard here, last minute; NaN for none.
        queries, query_failures: answered queries; answers that were neither ok, not_ready nor not_found.
        unanswered: service calls given up.
        query_p99_ms: of the last 100 answers.
        malformed, resets, pauses: disturbances so far.
        errors, warnings, jumps: lines of the log: errors (or tracebacks), warnings, detected jumps of time.
    """

    t_s: float
    active: int
    rss_mib: float
    anonymous_mib: float
    threads: int
    descriptors: int
    cpu_s: float
    device_mib: float
    delivered: int
    used: int
    dropped: int
    dropped_bad: int
    transport_lost: int
    unbalanced: int
    pairs: int
    accepted: int
    total_p50_ms: float
    total_p99_ms: float
    masks: int
    clouds: int
    maps: int
    mask_age_s: float
    latency_p50_ms: float
    latency_p99_ms: float
    queries: int
    query_failures: int
    unanswered: int
    query_p99_ms: float
    malformed: int
    resets: int
    pauses: int
    errors: int
    warnings: int
    jumps: int


class SoakWriter:
    """Writes a run's files."""

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        """Begin the files; `run` says what is run and on what."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._run = dict(run)
        self._rows = (folder / SAMPLES).open("w", newline="", encoding="utf-8")
        self._csv = csv.DictWriter(self._rows, [field.name for field in fields(Sample)])
        self._csv.writeheader()
        self._events = (folder / EVENTS).open("w", encoding="utf-8")
        self.note()

    def add(self, sample: Sample) -> None:
        """Append one row."""
        row = asdict(sample)
        self._csv.writerow({k: f"{v:.3f}" if isinstance(v, float) else v for k, v in row.items()})
        self._rows.flush()

    def event(self, t_s: float, what: str, **details: Any) -> None:
        """Append one event."""
        now = time.strftime("%H:%M:%S", time.gmtime())
        self._events.write(json.dumps({"t_s": round(t_s, 2), "utc": now, "what": what} | details) + "\n")
        self._events.flush()

    def note(self, **more: Any) -> None:
        """Write what is known of the run, with more added."""
        self._run |= more
        unfinished = self._folder / (RUN + ".part")
        unfinished.write_text(json.dumps(self._run, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(self._folder / RUN)

    def close(self) -> None:
        """Close the files."""
        self._rows.close()
        self._events.close()


@dataclass(frozen=True)
class SoakRecord:
    """A run as read back: what was run, and per field of Sample one array over the rows."""

    run: Mapping[str, Any]
    columns: Mapping[str, NDArray[np.float64]]

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return one column, [rows]."""
        return self.columns[name]


def read_record(folder: Path) -> SoakRecord:
    """Read a run, also one that is still being written.

    Raises:
        FileFormatError: the files are missing, or hold no whole row.
    """
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
        with (folder / SAMPLES).open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if None not in row.values()]
        columns = {f.name: np.array([float(row[f.name]) for row in rows]) for f in fields(Sample)}
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError(f"{folder} is not the folder of a soak run: {error}.", "Give --output's.") from error
    if not len(columns["t_s"]):
        raise FileFormatError(f"{folder} has no sample yet.", "Wait for the first one.")
    return SoakRecord(run, columns)
