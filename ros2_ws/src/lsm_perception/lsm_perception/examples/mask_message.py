"""A mask as Nav2's costmap filters read it: an OccupancyGrid whose numbers mean what the filter takes them for."""

from __future__ import annotations

import array
import math
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from nav_msgs.msg import MapMetaData, OccupancyGrid
from std_msgs.msg import Header

from lsm_perception.conversions import stamp_from_ns
from lsm_perception.examples.ground_mask import GroundMask, widened

CLOSED = 100  # KeepoutFilter: lethal
UNSAID = -1  # KeepoutFilter: leave the cell as it is; 0 would turn unknown cells into free ones
NO_LIMIT = 0  # SpeedFilter: no limit; it refuses -1


@dataclass(frozen=True, eq=False)
class Mask:
    """One mask.

    Attributes:
        topic: it is published on.
        words: whose ground is marked.
        marked, elsewhere: value of marked cells and of all others.
        ground: its cells.
    """

    topic: str
    words: tuple[str, ...]
    marked: int
    elsewhere: int
    ground: GroundMask

    def message(self, frame: str, stamp_ns: int, margin_m: float) -> OccupancyGrid:
        """Return it as a message.

        Args:
            frame: the ground is seen in.
            stamp_ns: of the newest image in it.
            margin_m: around what is marked.
        """
        resolution = self.ground.resolution_m
        cells = widened(self.ground.marked, math.ceil(margin_m / resolution - 1e-6))
        values = np.where(cells, self.marked, self.elsewhere).astype(np.int8)
        (x, y), stamp = self.ground.origin, stamp_from_ns(stamp_ns)
        return OccupancyGrid(
            header=Header(stamp=stamp, frame_id=frame),
            info=MapMetaData(
                map_load_time=stamp,
                resolution=resolution,
                width=cells.shape[1],
                height=cells.shape[0],
                origin=Pose(position=Point(x=x, y=y, z=0.0), orientation=Quaternion(w=1.0)),
            ),
            data=array.array("b", values.tobytes()),
        )


def same_cells(one: OccupancyGrid | None, other: OccupancyGrid) -> bool:
    """Whether two messages mark the same cells at the same place, whatever their stamps."""
    return one is not None and one.info.origin == other.info.origin and one.data == other.data
