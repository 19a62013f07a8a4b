"""Everything the node said during a demo, as plain data."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.evaluation.odometry_check import TimedPair


@dataclass(frozen=True)
class PairRecord:
    """One ~/pair_pose: the motion in the unit of its message, and the node's verdict."""

    timed: TimedPair
    accepted: bool
    reason: str
    segment: int
    metric: bool


@dataclass(frozen=True)
class ScaleRecord:
    """The last ~/scale: state as a word, source, metres per unit (NaN while unknown), spread."""

    state: str = "unknown"
    source: str = "none"
    metres_per_unit: float = float("nan")
    spread: float = float("nan")


@dataclass(frozen=True)
class CloudRecord:
    """One ~/points: the message, and the metres per unit in force (1 in the unscaled frames)."""

    message: Any
    metric: bool
    factor: float


@dataclass(frozen=True)
class PathRecord:
    """The newest ~/path of one segment: stamp ns -> T_map_cam."""

    frame: str
    poses: dict[int, NDArray[np.float64]]

    @property
    def metric(self) -> bool:
        """Whether it is in metres."""
        return not self.frame.endswith("_unscaled")


@dataclass(frozen=True)
class QueryReply:
    """One successful answer of ~/query_text.

    Attributes:
        stamp_ns: source image.
        texts: asked.
        masks: [T] of [H, W] bool.
        presence, score: per text.
        label_map: [H, W] uint8, 255 for none.
        wall_ms: from call to answer.
    """

    stamp_ns: int
    texts: tuple[str, ...]
    masks: tuple[NDArray[np.bool_], ...]
    presence: tuple[float, ...]
    score: tuple[float, ...]
    label_map: NDArray[np.uint8]
    wall_ms: float


@dataclass(frozen=True)
class StatsRecord:
    """The counters of ~/stats."""

    delivered: int = 0
    used: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    transport_lost: int = 0
    keyframes: int = 0
    pairs: int = 0
    timings: dict[str, dict[str, float]] = field(default_factory=dict)
    backend: str = ""
    device: str = ""
    memory_mib: float = 0.0

    @property
    def pending(self) -> int:
        """Images in work."""
        return self.delivered - self.used - sum(self.dropped.values())


class Recording:
    """Filled by the listener's thread, read by the session's; every access holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.counts: Counter[str] = Counter()  # messages by topic name under the node
        self.keyframes: Counter[str] = Counter()  # by action
        self.keyframe_stamps: list[int] = []
        self.pairs: list[PairRecord] = []
        self.scale = ScaleRecord()
        self.clouds: dict[int, CloudRecord] = {}
        self.map_message: Any = None
        self.gaussians: Any = None
        self.depths: dict[int, NDArray[np.float32]] = {}
        self.paths: dict[int, PathRecord] = {}
        self.labels: dict[int, NDArray[np.uint8]] = {}
        self.label_names: tuple[str, ...] = ()
        self.filled_labels = 0
        self.transforms: Counter[tuple[str, str]] = Counter()
        self.replies: list[QueryReply] = []
        self.refused_queries: Counter[str] = Counter()
        self.stats = StatsRecord()
        self.faults: list[str] = []  # messages that the demo could not read

    @property
    def accepted(self) -> list[PairRecord]:
        """Accepted pairs, oldest first."""
        return [pair for pair in self.pairs if pair.accepted]

    @property
    def rejected(self) -> dict[str, int]:
        """Rejected pairs by reason."""
        return dict(Counter(pair.reason for pair in self.pairs if not pair.accepted))

    @property
    def filled_masks(self) -> int:
        """Label images published and masks returned that are not empty."""
        return self.filled_labels + sum(int(mask.any()) for reply in self.replies for mask in reply.masks)
