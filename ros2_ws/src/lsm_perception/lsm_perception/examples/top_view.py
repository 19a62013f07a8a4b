"""The ground from above as a planner has it: cloud, masks, the robot's way and its goal, in one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from nav_msgs.msg import OccupancyGrid
from numpy.typing import NDArray

from lsm_perception.examples.approach import Box, Place

Rgb = NDArray[np.uint8]
PAPER, GRID, WAY, GOAL, BOX = (250, 250, 248), (225, 225, 222), (40, 70, 160), (20, 120, 40), (20, 120, 40)
CLOSED, SLOW = (215, 40, 40), (240, 160, 20)


@dataclass(eq=False)
class TopView:
    """What is drawn; everything in one frame with z up, metres.

    Attributes:
        points: [N, 3], and `rgb` [N, 3] their colours.
        way: [M, 2] where the camera went.
        keepout, speed: newest masks.
        box, goal: the thing the robot goes to, and where it will stand.
    """

    points: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    rgb: Rgb = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    way: list[tuple[float, float]] = field(default_factory=list)
    keepout: OccupancyGrid | None = None
    speed: OccupancyGrid | None = None
    box: Box | None = None
    goal: Place | None = None

    def draw(self, scale: float, border_m: float = 0.3, below_m: float = 2.0) -> Rgb:
        """Return the picture; x to the right, y upwards, a line per metre.

        Args:
            scale: pixels per metre.
            border_m: around the points.
            below_m: points higher than this are left out, for a ceiling would hide the room.
        """
        seen = self.points[:, 2] < below_m
        points, rgb = self.points[seen], self.rgb[seen]
        corners = points[:, :2] if len(points) else np.array([[0.0, 0.0], [1.0, 1.0]])
        low = np.quantile(corners, 0.002, axis=0) - border_m
        high = np.quantile(corners, 0.998, axis=0) + border_m
        sheet = _Sheet(low, high, scale)
        sheet.grid()
        sheet.dots(points, rgb)
        for mask, colour in ((self.speed, SLOW), (self.keepout, CLOSED)):
            if mask is not None:
                sheet.cells(mask, colour)
        sheet.line(np.array(self.way).reshape(-1, 2), WAY, 2)
        if self.box is not None:
            sheet.line(outline(self.box), BOX, 2, closed=True)
        if self.goal is not None:
            sheet.arrow(self.goal, GOAL)
        return sheet.picture


def outline(box: Box) -> NDArray[np.float64]:
    """Return the corners [N, 2] of what a box covers on the ground, in order."""
    signs = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    corners = (signs * np.array(box.size)) @ box.T_frame_box[:3, :3].T + box.middle
    hull = cv2.convexHull(corners[:, :2].astype(np.float32))
    return np.asarray(hull, np.float64).reshape(-1, 2)


class _Sheet:
    """A picture whose pixels are metres."""

    def __init__(self, low: NDArray[np.float64], high: NDArray[np.float64], scale: float) -> None:
        self._low, self._high, self._scale = low, high, scale
        width, height = np.ceil((high - low) * scale).astype(int)
        self.picture: Rgb = np.full((height, width, 3), PAPER, np.uint8)

    def pixels(self, spots: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return columns and rows [N, 2] of places [N, 2]."""
        column = (spots[:, 0] - self._low[0]) * self._scale
        row = (self._high[1] - spots[:, 1]) * self._scale
        return np.floor(np.stack([column, row], -1)).astype(np.int64)

    def grid(self) -> None:
        """Draw a line per metre."""
        for axis in (0, 1):
            for metre in range(math.ceil(self._low[axis]), math.floor(self._high[axis]) + 1):
                spot = self.pixels(np.array([[metre, metre]], np.float64))[0][axis]
                if axis == 0:
                    self.picture[:, spot] = GRID
                else:
                    self.picture[spot] = GRID

    def dots(self, points: NDArray[np.float32], rgb: Rgb) -> None:
        """Draw points, the highest last, as large as the gaps between them."""
        order = np.argsort(points[:, 2], kind="stable")
        half = max(0, round(0.015 * self._scale))
        for (column, row), colour in zip(self.pixels(points[order]), rgb[order].tolist(), strict=True):
            top, left = max(0, row - half), max(0, column - half)
            self.picture[top : row + half + 1, left : column + half + 1] = colour

    def cells(self, mask: OccupancyGrid, colour: tuple[int, int, int]) -> None:
        """Mix a colour into the marked cells of a mask."""
        values = np.asarray(mask.data, np.int8).reshape(mask.info.height, mask.info.width)
        height, width = self.picture.shape[:2]
        column, row = np.meshgrid(np.arange(width), np.arange(height))
        x = self._low[0] + (column + 0.5) / self._scale - mask.info.origin.position.x
        y = self._high[1] - (row + 0.5) / self._scale - mask.info.origin.position.y
        i, j = np.floor(x / mask.info.resolution).astype(int), np.floor(y / mask.info.resolution).astype(int)
        inside = (i >= 0) & (i < mask.info.width) & (j >= 0) & (j < mask.info.height)
        marked = inside & (values[j.clip(0, values.shape[0] - 1), i.clip(0, values.shape[1] - 1)] > 0)
        mixed = 0.45 * self.picture[marked] + 0.55 * np.array(colour)
        self.picture[marked] = np.round(mixed).astype(np.uint8)

    def line(
        self, spots: NDArray[np.float64], colour: tuple[int, int, int], thick: int, closed: bool = False
    ) -> None:
        """Draw a line through places [N, 2]."""
        if len(spots) > 1:
            corners = self.pixels(spots).astype(np.int32)
            cv2.polylines(self.picture, [corners], closed, colour, thick, cv2.LINE_AA)

    def arrow(self, place: Place, colour: tuple[int, int, int]) -> None:
        """Draw where a robot of 0.4 m stands, and where it looks."""
        tip = (place.x + 0.5 * math.cos(place.yaw), place.y + 0.5 * math.sin(place.yaw))
        start, end = (tuple(int(v) for v in p) for p in self.pixels(np.array([(place.x, place.y), tip])))
        cv2.circle(self.picture, start, round(0.2 * self._scale), colour, 2, cv2.LINE_AA)
        cv2.arrowedLine(self.picture, start, end, colour, 2, cv2.LINE_AA, tipLength=0.3)
