"""Where a robot stands before a thing: on the ground, at a distance from its box, looking at it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
TURN_DEG = 15.0  # between two places around a thing that are tried


@dataclass(frozen=True)
class Place:
    """A pose on the ground: metres and radians, yaw 0 along x."""

    x: float
    y: float
    yaw: float

    def differs(self, other: Place, metres: float, degrees: float) -> bool:
        """Whether it is further from another place than this, or turned by more."""
        turn = math.remainder(self.yaw - other.yaw, 2 * math.pi)
        return math.dist((self.x, self.y), (other.x, other.y)) > metres or abs(math.degrees(turn)) > degrees


@dataclass(frozen=True, eq=False)
class Box:
    """A box in a frame whose z is up.

    Attributes:
        T_frame_box: [4, 4] rigid, origin in the box's middle.
        size: along its own axes, metres.
    """

    T_frame_box: Matrix
    size: tuple[float, float, float]

    @property
    def middle(self) -> NDArray[np.float64]:
        """Its middle [3], metres."""
        return self.T_frame_box[:3, 3]

    def reach(self, direction: NDArray[np.float64]) -> float:
        """Return how far the box extends from its middle along a unit direction [2] on the ground, metres."""
        signs = np.array(list(product((-0.5, 0.5), repeat=3)))
        corners = (signs * np.array(self.size)) @ self.T_frame_box[:2, :3].T
        return float((corners @ direction).max())


def place_before(box: Box, side: float, standoff_m: float) -> Place:
    """Return the place on one side of a box that looks at its middle.

    Args:
        box: the thing.
        side: direction from its middle to the place, radians.
        standoff_m: from the box's outline to the place, along that direction.
    """
    direction = np.array([math.cos(side), math.sin(side)])
    x, y = box.middle[:2] + direction * (box.reach(direction) + standoff_m)
    return Place(float(x), float(y), math.remainder(side + math.pi, 2 * math.pi))


def places_around(box: Box, robot_xy: tuple[float, float], standoff_m: float) -> Iterator[Place]:
    """Yield places around a box: first the one on the robot's side, then the others, nearest to it first.

    The robot's side comes first since it saw the thing from there, with nothing in between.
    """
    to_robot = np.asarray(robot_xy) - box.middle[:2]
    side = math.atan2(to_robot[1], to_robot[0])
    yield place_before(box, side, standoff_m)
    for step in range(1, round(180.0 / TURN_DEG) + 1):
        turn = math.radians(step * TURN_DEG)
        yield place_before(box, side + turn, standoff_m)
        if step * TURN_DEG < 180.0:
            yield place_before(box, side - turn, standoff_m)
