"""The scene as the viewer knows it: the newest of everything, where it belongs, and what has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from lsm_perception.viewer.records import (
    UNSCALED,
    Answer,
    Cloud,
    KeyframeRecord,
    Matrix,
    Path,
    Rgb,
    ScaleRecord,
    Source,
    StatusLine,
)

MAX_KEYFRAMES = 500
MAX_THUMBNAILS = 500
CLOUD, MAP, SPLATS, BOXES, PATH, KEYFRAMES, ANSWER, OVERLAY, STATUS = (
    "cloud", "map", "splats", "boxes", "path", "keyframes", "answer", "overlay", "status",
)  # fmt: skip
PLACED = (CLOUD, MAP, SPLATS, BOXES, ANSWER)


class Scene:
    """Thread-safe store; each layer has a version that grows with each change.

    Everything is shown in the frame of the node's current map. What is in a camera's frame is placed by its stamp
    with the poses of ~/path, so it shows as soon as the path that holds its pose has arrived.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._layers: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._keyframes: OrderedDict[int, KeyframeRecord] = OrderedDict()
        self._thumbnails: OrderedDict[int, Rgb] = OrderedDict()
        self._status: dict[str, StatusLine] = {}
        self._scale = ScaleRecord()
        self._generation = 0

    def put(self, layer: str, value: Any) -> None:
        """Replace a layer (None: nothing there)."""
        with self._lock:
            self._layers[layer] = value
            self._touch(layer)

    def get(self, layer: str) -> Any:
        """Return a layer, None where there is nothing."""
        with self._lock:
            return self._layers.get(layer)

    def version(self, layer: str) -> int:
        """Return how often a layer was changed."""
        with self._lock:
            return self._versions.get(layer, 0)

    @property
    def generation(self) -> int:
        """How often the map began anew: another segment, another unit, a reset, another node."""
        with self._lock:
            return self._generation

    def put_path(self, path: Path) -> None:
        """Take a new path; one that does not go on from the last is that of another map."""
        with self._lock:
            old: Path | None = self._layers.get(PATH)
            goes_on = (
                old is None
                or not old.T_map_cam
                or (path.frame == old.frame and next(reversed(old.T_map_cam)) in path.T_map_cam)
            )
            if not goes_on:
                self._generation += 1
                for layer in (BOXES, ANSWER):
                    self.put(layer, None)
            self._layers[PATH] = path
            for layer in (PATH, KEYFRAMES, *PLACED):  # their places may have changed
                self._touch(layer)

    def put_keyframe(self, keyframe: KeyframeRecord) -> None:
        """Add a keyframe."""
        with self._lock:
            self._keyframes[keyframe.id] = keyframe
            while len(self._keyframes) > MAX_KEYFRAMES:
                self._keyframes.popitem(last=False)
            self._touch(KEYFRAMES)

    def drop_keyframe(self, keyframe_id: int) -> None:
        """Forget a keyframe that the node no longer has."""
        with self._lock:
            if self._keyframes.pop(keyframe_id, None) is not None:
                self._touch(KEYFRAMES)

    def keyframes(self) -> list[KeyframeRecord]:
        """Return the keyframes, oldest first."""
        with self._lock:
            return list(self._keyframes.values())

    def put_thumbnail(self, stamp_ns: int, picture: Rgb) -> None:
        """Keep the small picture of a keyframe."""
        with self._lock:
            self._thumbnails[stamp_ns] = picture
            while len(self._thumbnails) > MAX_THUMBNAILS:
                self._thumbnails.popitem(last=False)
            self._touch(KEYFRAMES)

    def thumbnail(self, stamp_ns: int) -> Rgb | None:
        """Return the small picture [h, w, 3] of a stamp."""
        with self._lock:
            return self._thumbnails.get(stamp_ns)

    def put_scale(self, scale: ScaleRecord) -> None:
        """Take what ~/scale says."""
        with self._lock:
            self._scale = scale
            self._touch(STATUS)

    @property
    def scale(self) -> ScaleRecord:
        """What ~/scale said last."""
        with self._lock:
            return self._scale

    def put_status(self, line: StatusLine) -> None:
        """Take one part of /diagnostics."""
        with self._lock:
            self._status[line.part] = line
            self._touch(STATUS)

    def status(self) -> list[StatusLine]:
        """Return the parts of /diagnostics."""
        with self._lock:
            return list(self._status.values())

    def clear(self) -> None:
        """Forget everything: another node speaks now."""
        with self._lock:
            layers = {*self._versions, *PLACED, PATH, KEYFRAMES, OVERLAY, STATUS}
            self._layers.clear()
            self._keyframes.clear()
            self._thumbnails.clear()
            self._status.clear()
            self._scale = ScaleRecord()
            self._generation += 1
            for layer in layers:
                self._touch(layer)

    def place(self, source: Source) -> Matrix | None:
        """Return T_map_source [4, 4] in the unit in force; None while unknown, and for what is of another map."""
        with self._lock:
            path: Path | None = self._layers.get(PATH)
            if path is None or path.metric != source.metric:
                return None
            if source.frame == path.frame:
                return np.eye(4)
            return path.T_map_cam.get(source.stamp_ns)

    def pose(self, stamp_ns: int) -> Matrix | None:
        """Return T_map_cam [4, 4] of a keyframe's stamp; None where it has none in this map."""
        with self._lock:
            path: Path | None = self._layers.get(PATH)
            return None if path is None else path.T_map_cam.get(stamp_ns)

    def map_source(self) -> Source | None:
        """Return the frame of the map that is shown, None before there is one."""
        with self._lock:
            path: Path | None = self._layers.get(PATH)
            if path is None or not path.T_map_cam:
                return None
            return Source(path.frame, next(reversed(path.T_map_cam)))

    def unit_length(self) -> float:
        """Return how far things are: the median depth of the newest cloud, in the unit in force; 1 without."""
        with self._lock:
            cloud: Cloud | None = self._layers.get(CLOUD)
        if cloud is None or not len(cloud):
            return 1.0
        depth = float(np.median(cloud.points[:, 2]))
        return depth if np.isfinite(depth) and depth > 0 else 1.0

    def answer_in_place(self) -> tuple[Answer, Matrix] | None:
        """Return the answer and where its points belong, while that is known."""
        with self._lock:
            answer: Answer | None = self._layers.get(ANSWER)
            T_map_source = None if answer is None else self.place(answer.cloud.source)
            return None if answer is None or T_map_source is None else (answer, T_map_source)

    def _touch(self, layer: str) -> None:
        self._versions[layer] = self._versions.get(layer, 0) + 1


def is_map_frame(frame: str, camera: str) -> bool:
    """Whether a frame is the map of the camera shown: `lsm_map`, or `<camera>_lsm_map` of one of several."""
    name = frame.removesuffix(UNSCALED)
    return name.endswith(f"{camera}_lsm_map") if camera else name.endswith("lsm_map")
