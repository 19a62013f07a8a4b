"""Where on the ground something with a certain word stands or lies: a window of cells that follows the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

CAP = 2  # times `looks`: so many votes a cell can have, that what was seen for an hour can still be taken back
STEPS = 8  # the window moves by this part of its side


@dataclass(frozen=True)
class GroundMaskConfig:
    """Limits of a mask.

    Attributes:
        resolution_m: side of a cell.
        size_m: side of the window; memory grows with its square and with nothing else.
        ground_m: height of the floor in the mask's frame.
        band_m: points within this of the floor are floor: what is seen there without the word takes a vote back.
        height_m: points higher than this above the floor are no concern of the robot.
        points: points with the word that a cell must get from one image to get a vote.
        looks: votes that mark a cell; it stays marked until all of them are taken back.
        memory_s: a cell that got no vote for so long is forgotten, by the images' stamps; 0 keeps it.
    """

    resolution_m: float = 0.05
    size_m: float = 12.0
    ground_m: float = 0.0
    band_m: float = 0.15
    height_m: float = 1.8
    points: int = 4
    looks: int = 2
    memory_s: float = 0.0

    @property
    def side(self) -> int:
        """Cells along a side of the window."""
        return max(STEPS, STEPS * math.ceil(self.size_m / self.resolution_m / STEPS))


class GroundMask:
    """Votes per cell; frame: x and y in the ground, z up."""

    def __init__(self, config: GroundMaskConfig) -> None:
        self._config = config
        side = config.side
        self._corner = (0, 0)  # of the window, in cells from the frame's origin: (column, row)
        self._votes = np.zeros((side, side), np.int16)
        self._marked = np.zeros((side, side), np.bool_)
        self._voted_ns = np.zeros((side, side), np.int64)
        self._placed = False

    @property
    def resolution_m(self) -> float:
        """Side of a cell."""
        return self._config.resolution_m

    @property
    def origin(self) -> tuple[float, float]:
        """x and y of the window's corner with the smallest coordinates, metres."""
        return self._corner[0] * self._config.resolution_m, self._corner[1] * self._config.resolution_m

    @property
    def marked(self) -> NDArray[np.bool_]:
        """Cells [rows along y, columns along x] that are marked."""
        return self._marked.copy()

    def clear(self) -> None:
        """Forget every cell; the window stays where it is."""
        self._votes[:], self._marked[:], self._voted_ns[:] = 0, False, 0

    def look(
        self, points: NDArray[Any], chosen: NDArray[np.bool_], camera: tuple[float, float], stamp_ns: int
    ) -> None:
        """Take one image in.

        Args:
            points: [N, 3] in the mask's frame, metres.
            chosen: [N] whether each has one of the words.
            camera: x and y of the camera; the window follows it.
            stamp_ns: of the image.
        """
        self._follow(camera)
        height = points[:, 2] - self._config.ground_m
        above = (height > -self._config.band_m) & (height <= self._config.height_m)
        floor = np.abs(height) <= self._config.band_m
        with_word = self._count(points[chosen & above])
        without = self._count(points[~chosen & floor])
        voted = with_word >= self._config.points
        against = ~voted & (without >= self._config.points)
        self._votes[voted] += 1
        self._votes[against] -= 1
        np.clip(self._votes, 0, CAP * self._config.looks, out=self._votes)
        self._voted_ns[voted] = stamp_ns
        if self._config.memory_s > 0:
            self._votes[stamp_ns - self._voted_ns > self._config.memory_s * 1e9] = 0
        self._marked = (self._votes >= self._config.looks) | (self._marked & (self._votes > 0))

    def _count(self, points: NDArray[Any]) -> NDArray[np.int64]:
        """Return how many points fall into each cell of the window."""
        side = self._config.side
        cells = np.floor(points[:, :2] / self._config.resolution_m).astype(np.int64) - self._corner
        cells = cells[((cells >= 0) & (cells < side)).all(axis=1)]
        return np.bincount(cells[:, 1] * side + cells[:, 0], minlength=side * side).reshape(side, side)

    def _follow(self, camera: tuple[float, float]) -> None:
        """Put the window's middle near the camera, by whole steps, and keep the cells that stay inside."""
        side, step = self._config.side, self._config.side // STEPS
        middle = [math.floor(c / self._config.resolution_m) for c in camera]
        if self._placed and all(abs(m - c - side // 2) <= step for m, c in zip(middle, self._corner, strict=True)):
            return
        corner = tuple(step * round((m - side // 2) / step) for m in middle)
        shift = (corner[0] - self._corner[0], corner[1] - self._corner[1])
        self._corner, self._placed = (corner[0], corner[1]), True
        self._votes = shifted(self._votes, shift)
        self._marked = shifted(self._marked, shift)
        self._voted_ns = shifted(self._voted_ns, shift)


def shifted(cells: NDArray[Any], shift: tuple[int, int]) -> NDArray[Any]:
    """Return a window [n, n] moved by (columns, rows); what enters is 0, what leaves is forgotten."""
    out = np.zeros_like(cells)
    side = len(cells)
    dx, dy = shift
    if abs(dx) < side and abs(dy) < side:
        to_y, to_x = slice(max(0, -dy), side - max(0, dy)), slice(max(0, -dx), side - max(0, dx))
        from_y, from_x = slice(max(0, dy), side - max(0, -dy)), slice(max(0, dx), side - max(0, -dx))
        out[to_y, to_x] = cells[from_y, from_x]
    return out


def widened(marked: NDArray[np.bool_], cells: int) -> NDArray[np.bool_]:
    """Return a mask with a margin of so many cells around everything marked."""
    if cells <= 0:
        return marked
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * cells + 1, 2 * cells + 1))
    return np.asarray(cv2.dilate(marked.astype(np.uint8), disc)) > 0
