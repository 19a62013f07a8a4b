"""The keyframes' frustums with their pictures, and the path through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import viser

from lsm_perception.conversions.poses import quaternion_xyzw
from lsm_perception.viewer import scene
from lsm_perception.viewer.lens import Lens
from lsm_perception.viewer.records import Matrix, Path, Rgb
from lsm_perception.viewer.scene import Scene

SIZE = 0.08  # of a frustum, in depths of the scene
MOST = 60
PICTURE_WIDTH = 160
COLOUR, NEWEST_COLOUR = (90, 90, 110), (20, 160, 90)
PATH_COLOUR = (255, 170, 0)


class Frustums:
    """Draws what is new; a frustum whose pose and picture stay is left alone."""

    def __init__(self, server: viser.ViserServer, found: Scene, lens: Callable[[], Lens]) -> None:
        self._server = server
        self._scene = found
        self._lens = lens
        self._shown: dict[int, tuple[Any, ...]] = {}
        self._handles: dict[int, Any] = {}
        self._line: Any = None

    def draw(self) -> None:
        """Draw the keyframes that have a pose in the map shown; the newest ones where there are many."""
        path: Path | None = self._scene.get(scene.PATH)
        kept = {k.stamp_ns for k in self._scene.keyframes()}
        placed = {} if path is None else {stamp: T for stamp, T in path.T_map_cam.items() if stamp in kept}
        stamps = list(placed)[-MOST:]
        for stamp in self._handles.keys() - set(stamps):
            self._handles.pop(stamp).remove()
            self._shown.pop(stamp)
        size = SIZE * self._scene.unit_length()
        for stamp in stamps:
            newest = stamp == stamps[-1]
            picture = self._scene.thumbnail(stamp)
            T, lens = placed[stamp], self._lens()
            # Sizes are compared coarsely: the depth of the scene wanders with each cloud.
            state = (T.tobytes(), picture is not None, newest, lens, round(2 * np.log2(size)))
            if self._shown.get(stamp) != state:
                self._handles[stamp] = self._add(stamp, T, lens, size, picture, newest)
                self._shown[stamp] = state
        self._draw_line([] if path is None else list(path.T_map_cam.values()), size)

    def _add(self, stamp: int, T: Matrix, lens: Lens, size: float, picture: Rgb | None, newest: bool) -> Any:
        x, y, z, w = quaternion_xyzw(T)
        return self._server.scene.add_camera_frustum(
            f"/{scene.KEYFRAMES}/{stamp}",
            lens.fov_y,
            lens.aspect,
            scale=size,
            thickness=0.02 * size,
            color=NEWEST_COLOUR if newest else COLOUR,
            image=None if picture is None else small(picture),
            wxyz=(w, x, y, z),
            position=tuple(T[:3, 3]),
        )

    def _draw_line(self, poses: list[Matrix], size: float) -> None:
        if self._line is not None:
            self._line.remove()
            self._line = None
        if len(poses) < 2:
            return
        places = np.stack([T[:3, 3] for T in poses]).astype(np.float32)
        self._line = self._server.scene.add_line_segments(
            f"/{scene.KEYFRAMES}/path",
            np.stack([places[:-1], places[1:]], axis=1),
            PATH_COLOUR,
            thickness=0.06 * size,
        )


def small(picture: Rgb) -> Rgb:
    """Return a picture at the size of a frustum's."""
    height, width = picture.shape[:2]
    size = (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
