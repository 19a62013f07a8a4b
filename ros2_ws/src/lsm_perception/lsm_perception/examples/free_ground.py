"""Which ground is free by a costmap, as Nav2 publishes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nav_msgs.msg import OccupancyGrid
from numpy.typing import NDArray

from lsm_core.errors import InputError


@dataclass(frozen=True, eq=False)
class FreeGround:
    """A costmap: -1 unknown, 0 free, 1 to 98 dear, 99 too near an obstacle for the robot's middle, 100 obstacle.

    Attributes:
        frame: it is in.
        cells: [rows along y, columns along x].
        resolution_m: side of a cell.
        origin: x and y of its first corner.
    """

    frame: str
    cells: NDArray[np.int8]
    resolution_m: float
    origin: tuple[float, float]

    def allows(self, x: float, y: float, max_cost: int) -> bool:
        """Whether a place is inside the costmap, known, and costs no more than this."""
        column = int(np.floor((x - self.origin[0]) / self.resolution_m))
        row = int(np.floor((y - self.origin[1]) / self.resolution_m))
        rows, columns = self.cells.shape
        return 0 <= row < rows and 0 <= column < columns and 0 <= int(self.cells[row, column]) <= max_cost


def free_ground(message: OccupancyGrid) -> FreeGround:
    """Return a costmap message as FreeGround.

    Raises:
        InputError: its size, resolution and data do not fit together.
    """
    info = message.info
    if not info.resolution > 0 or len(message.data) != info.width * info.height:
        raise InputError("A costmap's size, resolution and data do not fit together.")
    cells = np.asarray(message.data, np.int8).reshape(info.height, info.width)
    position = info.origin.position
    return FreeGround(message.header.frame_id, cells, float(info.resolution), (position.x, position.y))
