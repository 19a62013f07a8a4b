"""All that was seen and heard, for the checks to judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsm_core.doctor import Settings
from lsm_perception.doctor.records import Record, TransformRecord
from lsm_perception.doctor.snapshot import Snapshot
from lsm_perception.doctor.streams import Stream
from lsm_perception.doctor.target import Target


@dataclass(frozen=True)
class Evidence:
    """What the checks judge.

    Attributes:
        graph: at the end of listening.
        targets: the running perception nodes.
        streams: the inputs looked at.
        transforms: of /tf and /tf_static.
        clock: of /clock.
        diagnostics: newest DiagnosticStatus by its name, of perception nodes.
        settings: of the user.
        seconds: how long was listened.
    """

    graph: Snapshot
    targets: tuple[Target, ...] = ()
    streams: tuple[Stream, ...] = ()
    transforms: TransformRecord = field(default_factory=TransformRecord)
    clock: Record = field(default_factory=Record)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    seconds: float = 0.0

    def sibling(self, stream: Stream, name: str) -> Stream | None:
        """Return another input of the same camera and node, None for none."""
        for other in self.streams:
            same = (other.camera, other.target) == (stream.camera, stream.target)
            if other.heard.name == name and same:
                return other
        return None
