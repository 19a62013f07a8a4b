"""Corners of a reference image followed through a stream by pyramidal Lucas-Kanade."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Points = NDArray[np.float32]

QUALITY = 0.01
MIN_DISTANCE_PX = 8
WINDOW_PX = 16  # OpenCV takes windows of whole eights half as long as others
LEVELS = 3


class CornerTracks:
    """Corners found in one image and where they are in the latest one.

    Args:
        gray: [h, w] uint8 reference image.
        max_corners: corners looked for.
        check_px: a corner tracked into the new image and back must return this close to where it was.
    """

    def __init__(self, gray: Gray, max_corners: int, check_px: float) -> None:
        found = cv2.goodFeaturesToTrack(gray, max_corners, QUALITY, MIN_DISTANCE_PX)
        corners = np.zeros((0, 2), np.float32) if found is None else np.asarray(found, np.float32).reshape(-1, 2)
        self._check_px = check_px
        self._gray = gray
        self.started = len(corners)
        self.reference: Points = corners  # [N, 2] pixels in the reference image, of the corners still followed
        self.current: Points = corners  # [N, 2] the same corners in the latest image

    def advance(self, gray: Gray) -> None:
        """Follow the corners into the next image [h, w] uint8 of the same size; lost ones are dropped for good."""
        if len(self.current):
            there, found = _follow(self._gray, gray, self.current)
            back, returned = _follow(gray, self._gray, there)
            error = np.linalg.norm(back - self.current, axis=1)
            h, w = gray.shape
            inside = ((there >= 0) & (there <= np.array([w - 1, h - 1]))).all(1)
            good = found & returned & (error < self._check_px) & inside
            self.reference, self.current = self.reference[good], there[good]
        self._gray = gray

    @property
    def survived(self) -> float:
        """Share of the reference's corners that are still followed."""
        return len(self.current) / self.started if self.started else 0.0

    @property
    def flow_px(self) -> float:
        """Median motion of the corners since the reference, pixels; NaN without corners."""
        if len(self.current) == 0:
            return np.nan
        return float(np.median(np.linalg.norm(self.current - self.reference, axis=1)))


def _follow(source: Gray, target: Gray, points: Points) -> tuple[Points, NDArray[np.bool_]]:
    """Return where points [N, 2] of one image are in another, and which were found."""
    start: NDArray[np.float32] = points.copy()  # only its shape matters: no initial guess is used
    there, status, _ = cv2.calcOpticalFlowPyrLK(
        source, target, points, start, winSize=(WINDOW_PX, WINDOW_PX), maxLevel=LEVELS
    )
    return np.asarray(there, np.float32), np.asarray(status)[:, 0] == 1
