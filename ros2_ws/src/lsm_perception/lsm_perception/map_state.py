"""What a camera's map says of itself: what one keyframe changed, and everything of one moment. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

from lsm_core.mapping import ScaleEstimate, TrajectoryArrays
from lsm_perception.products import Keyframe, PairReport, PlacedPair


@dataclass(frozen=True, eq=False)
class MapUpdate:
    """What one keyframe did to the map.

    Attributes:
        keyframe: as stored now.
        pair: the report on its pair, None when it had none.
        placed: the pair in the map, None when it was not accepted.
        scale: after it.
        cleared: the map before it holds no more.
        removed: keyframes pushed out of the store.
        other_pair: the report on a second pair of the same keyframe (rig), None without.
    """

    keyframe: Keyframe
    pair: PairReport | None
    placed: PlacedPair | None
    scale: ScaleEstimate
    cleared: bool
    removed: tuple[Keyframe, ...]
    other_pair: PairReport | None = None


@dataclass(frozen=True, eq=False)
class MapContents:
    """Everything a camera's map holds at one moment.

    Attributes:
        scale: of the segment.
        segment: the current one.
        keyframes: all that are kept and have maps of their own, oldest first.
        path: of the segment.
    """

    scale: ScaleEstimate
    segment: int
    keyframes: tuple[Keyframe, ...]
    path: TrajectoryArrays


class OutdatedError(Exception):
    """The map was reset after the keyframe's partner was chosen."""
