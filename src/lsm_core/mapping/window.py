"""The last keyframes with what queries and maps need of them, bounded in number and bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping.clouds import PointCloud
from lsm_core.types import Prediction, ViewFeatures


@dataclass(frozen=True)
class WindowConfig:
    """Bounds of the store.

    Attributes:
        max_keyframes: keyframes kept.
        max_bytes: memory for their arrays and tensors.
    """

    max_keyframes: int = 30
    max_bytes: int = 1_000_000_000


@dataclass(frozen=True)
class KeyframeRecord:
    """One kept keyframe.

    Attributes:
        id: increasing, from 1.
        stamp_ns: the image's stamp.
        camera: name of the camera, empty for the only one.
        frame_id: the image's optical frame.
        segment: chain segment, 0 for a refresh that is in none.
        T_map_cam: [4, 4] float64 in the segment's map and unit, None for a refresh.
        prediction: in the segment's map frame and unit (after ChainStep.map_from_pair), None without one.
        view: which view of the prediction this keyframe is.
        cloud: the filtered cloud in the map frame, None without geometry.
        encoded: the backend's features of the image, for the next pair and for queries, or None.
    """

    id: int
    stamp_ns: int
    camera: str
    frame_id: str
    segment: int
    T_map_cam: NDArray[np.float64] | None
    prediction: Prediction | None
    view: int
    cloud: PointCloud | None = None
    encoded: ViewFeatures | None = None


class KeyframeWindow:
    """Bounded store of keyframes. Eviction: the oldest first (smallest id), never the newest."""

    def __init__(self, config: WindowConfig | None = None) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def bytes(self) -> int:
        """Memory of the arrays held."""
        raise NotImplementedError

    def add(self, record: KeyframeRecord) -> list[KeyframeRecord]:
        """Store a keyframe; a record with the same id is replaced.

        Returns:
            The records pushed out, oldest first.
        """
        raise NotImplementedError

    def get(self, keyframe_id: int) -> KeyframeRecord | None:
        """Return the keyframe with this id, None when it is not kept (any more)."""
        raise NotImplementedError

    def latest(self, camera: str | None = None) -> KeyframeRecord | None:
        """Return the newest keyframe (of a camera)."""
        raise NotImplementedError

    def nearest(self, stamp_ns: int, camera: str | None = None) -> KeyframeRecord | None:
        """Return the keyframe with exactly this stamp, or else the nearest in time."""
        raise NotImplementedError

    def of_segment(self, segment: int, last: int | None = None) -> list[KeyframeRecord]:
        """Return the kept keyframes of a segment, oldest first; only the last few if asked."""
        raise NotImplementedError

    def clear(self) -> list[KeyframeRecord]:
        """Drop everything and return what was held, oldest first."""
        raise NotImplementedError


def single_view(prediction: Prediction, view: int, keep_gaussians: bool = False) -> Prediction:
    """Return a prediction that holds one view only, features in half precision: what a keyframe needs to keep.

    The view becomes view 0; the frame stays that of `prediction`.
    """
    raise NotImplementedError
