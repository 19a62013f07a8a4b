"""What the viewer keeps of the node's messages: arrays without ROS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Rgb = NDArray[np.uint8]
UNSCALED = "_unscaled"


@dataclass(frozen=True)
class Source:
    """Where something belongs.

    Attributes:
        frame: frame_id of the message.
        stamp_ns: of the image it came from, nanoseconds.
    """

    frame: str
    stamp_ns: int

    @property
    def metric(self) -> bool:
        """Whether it is in metres; the node says so by its frames."""
        return not self.frame.endswith(UNSCALED)


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points [N, 3] float32 in the source's frame and unit, colours [N, 3] uint8, labels [N] (65535 for none)."""

    source: Source
    points: NDArray[np.float32]
    colours: NDArray[np.uint8]
    labels: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.points)

    def thinned(self, most: int) -> Cloud:
        """Return at most so many points, evenly chosen."""
        keep = evenly(len(self), most)
        return Cloud(self.source, self.points[keep], self.colours[keep], self.labels[keep])


@dataclass(frozen=True, eq=False)
class Splats:
    """Gaussians: centres [N, 3], covariances [N, 3, 3], colours [N, 3] and opacities [N, 1] in 0..1, float32."""

    source: Source
    centres: NDArray[np.float32]
    covariances: NDArray[np.float32]
    colours: NDArray[np.float32]
    opacities: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.centres)


@dataclass(frozen=True, eq=False)
class Box:
    """A thing: name, score 0 to 1, size [3] metres, T_frame_box [4, 4], and its lasting number ("" for none)."""

    name: str
    score: float
    size: NDArray[np.float64]
    T_frame_box: Matrix
    number: str


@dataclass(frozen=True, eq=False)
class Boxes:
    """Things found in one view, in the source's frame."""

    source: Source
    boxes: tuple[Box, ...]


@dataclass(frozen=True, eq=False)
class Path:
    """Poses of the current segment's keyframes.

    Attributes:
        frame: the map's.
        T_map_cam: [4, 4] by stamp, oldest first, in the unit of the frame.
    """

    frame: str
    T_map_cam: dict[int, Matrix]

    @property
    def metric(self) -> bool:
        """Whether it is in metres."""
        return not self.frame.endswith(UNSCALED)


@dataclass(frozen=True)
class KeyframeRecord:
    """A keyframe that the node keeps, and can be asked about."""

    id: int
    stamp_ns: int
    reason: str
    refreshed: bool


@dataclass(frozen=True)
class ScaleRecord:
    """What ~/scale says: state is unknown, metric or degraded."""

    state: str = "unknown"
    source: str = "none"
    metres_per_unit: float = float("nan")
    spread: float = float("nan")
    epoch: int = 0
    samples: int = 0


@dataclass(frozen=True)
class StatusLine:
    """One part of /diagnostics: level 0 fine, 1 warning, 2 error, 3 stale."""

    part: str
    level: int
    message: str
    values: dict[str, str]


@dataclass(frozen=True, eq=False)
class Answer:
    """A reply to words.

    Attributes:
        texts: as asked.
        keyframe_id, stamp_ns: what it is about.
        presence, score: [texts], 0 to 1.
        pixels: [texts] of the masks.
        labels: [H, W] uint8 index of the text per pixel of the source image, 255 for none.
        cloud: the selected points.
        boxes: separate things; none unless metric.
    """

    texts: tuple[str, ...]
    keyframe_id: int
    stamp_ns: int
    presence: tuple[float, ...]
    score: tuple[float, ...]
    pixels: tuple[int, ...]
    labels: NDArray[np.uint8]
    cloud: Cloud
    boxes: Boxes


def evenly(count: int, most: int) -> NDArray[Any] | slice:
    """Return what chooses at most so many of `count` rows, evenly spread."""
    if count <= most:
        return slice(None)
    return np.linspace(0, count - 1, most).round().astype(np.int64)
