"""The last keyframes with what queries and maps need of them, bounded in number and bytes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.mapping.clouds import PointCloud
from lsm_core.mapping.view_gaussians import view_gaussians
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
        self._config = config or WindowConfig()
        self._records: dict[int, KeyframeRecord] = {}
        self._bytes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._records)

    @property
    def max_keyframes(self) -> int:
        """Keyframes kept at most."""
        return self._config.max_keyframes

    @property
    def bytes(self) -> int:
        """Memory of the arrays held."""
        return sum(self._bytes.values())

    def add(self, record: KeyframeRecord) -> list[KeyframeRecord]:
        """Store a keyframe; a record with the same id is replaced.

        Returns:
            The records pushed out, oldest first.
        """
        self._records[record.id] = record
        self._bytes[record.id] = record_bytes(record)
        return self._push_out()

    def keep_half(self) -> list[KeyframeRecord]:
        """Halve the number of keyframes kept, down to two, and return the records pushed out, oldest first."""
        self._config = replace(self._config, max_keyframes=max(2, self._config.max_keyframes // 2))
        return self._push_out()

    def _push_out(self) -> list[KeyframeRecord]:
        pushed_out = []
        while len(self._records) > 1 and (
            len(self._records) > self._config.max_keyframes or self.bytes > self._config.max_bytes
        ):
            oldest = min(self._records)
            del self._bytes[oldest]
            pushed_out.append(self._records.pop(oldest))
        return pushed_out

    def get(self, keyframe_id: int) -> KeyframeRecord | None:
        """Return the keyframe with this id, None when it is not kept (any more)."""
        return self._records.get(keyframe_id)

    def latest(self, camera: str | None = None) -> KeyframeRecord | None:
        """Return the newest keyframe (of a camera)."""
        return max(self._of_camera(camera), key=lambda r: r.id, default=None)

    def nearest(self, stamp_ns: int, camera: str | None = None) -> KeyframeRecord | None:
        """Return the keyframe with exactly this stamp, or else the nearest in time."""
        return min(self._of_camera(camera), key=lambda r: (abs(r.stamp_ns - stamp_ns), -r.id), default=None)

    def all(self) -> list[KeyframeRecord]:
        """Return all kept keyframes, oldest first."""
        return sorted(self._records.values(), key=lambda r: r.id)

    def of_segment(self, segment: int, last: int | None = None) -> list[KeyframeRecord]:
        """Return the kept keyframes of a segment, oldest first; only the last few if asked."""
        found = sorted((r for r in self._records.values() if r.segment == segment), key=lambda r: r.id)
        return found if last is None else found[max(0, len(found) - last) :]

    def clear(self) -> list[KeyframeRecord]:
        """Drop everything and return what was held, oldest first."""
        held = sorted(self._records.values(), key=lambda r: r.id)
        self._records.clear()
        self._bytes.clear()
        return held

    def _of_camera(self, camera: str | None) -> list[KeyframeRecord]:
        return [r for r in self._records.values() if camera is None or r.camera == camera]


def single_view(prediction: Prediction, view: int, keep_gaussians: bool = False) -> Prediction:
    """Return a prediction that holds one view only, features in half precision: what a keyframe needs to keep.

    The view becomes view 0; the frame stays that of `prediction`. With `keep_gaussians` it has those of the view
    (`view_gaussians`), on the CPU.
    """
    features = None if prediction.features is None else [prediction.features[view].half()]
    return replace(
        prediction,
        image_sizes=[prediction.image_sizes[view]],
        pointmaps=[prediction.pointmaps[view]],
        confidence=[prediction.confidence[view]],
        poses=[prediction.poses[view]],
        pose_valid=[prediction.pose_valid[view]],
        intrinsics=[prediction.intrinsics[view]],
        grid_to_image=[prediction.grid_to_image[view]],
        colors=[prediction.colors[view]],
        gaussians=view_gaussians(prediction, view) if keep_gaussians else None,
        features=features,
        feature_to_image=None if prediction.feature_to_image is None else [prediction.feature_to_image[view]],
        extras={},
    )


def record_bytes(record: KeyframeRecord) -> int:
    """Return the memory of a record's arrays and tensors; what it holds twice counts once."""
    parts: list[object] = [record.T_map_cam]
    if record.cloud is not None:
        parts += [getattr(record.cloud, f.name) for f in fields(record.cloud)]
    if record.encoded is not None:
        parts += [record.encoded.image, *record.encoded.tensors.values()]
    if record.prediction is not None:
        p = record.prediction
        parts += [*p.pointmaps, *p.confidence, *p.colors, *(p.features or [])]
        if p.gaussians is not None:
            parts += [getattr(p.gaussians, f.name) for f in fields(p.gaussians)]
    once = {id(part): part for part in parts}
    return sum(int(part.nbytes) for part in once.values() if isinstance(part, np.ndarray | Tensor))
