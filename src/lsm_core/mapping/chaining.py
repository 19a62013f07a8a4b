"""Chain pairs that share a keyframe into one trajectory with one unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.types import Prediction, Sim3

FloatMap = NDArray[np.float32]


@dataclass(frozen=True)
class ChainConfig:
    """Limits of the chaining.

    Attributes:
        max_spread: robust standard deviation of log depth ratios above which two pairs are not joined.
        min_shared_pixels: pixels with depth in both predictions of the shared keyframe that are needed.
        memory: keyframes of the segment that a new pair may start from (the last ones).
    """

    max_spread: float = 0.25
    min_shared_pixels: int = 100
    memory: int = 4


@dataclass(frozen=True)
class PairGeometry:
    """What chaining needs of one accepted pair, in the pair's own unit.

    Attributes:
        older_id, newer_id: keyframe ids.
        T_older_newer: [4, 4] float64 rigid.
        depth_older, depth_newer: [h, w] float32 z-depth of each view in its own camera, model grid; not finite or
            <= 0 where there is none.
        confidence_older, confidence_newer: [h, w] float32 >= 0.
    """

    older_id: int
    newer_id: int
    T_older_newer: NDArray[np.float64]
    depth_older: FloatMap
    depth_newer: FloatMap
    confidence_older: FloatMap
    confidence_newer: FloatMap

    @staticmethod
    def from_prediction(
        prediction: Prediction, older_id: int, newer_id: int, older_view: int = 0, newer_view: int = 1
    ) -> PairGeometry:
        """Take the maps and the relative pose of two views of a prediction."""
        raise NotImplementedError


@dataclass(frozen=True)
class ChainStep:
    """Where a pair sits in its segment. Map frame of a segment: optical frame of its first keyframe.

    Attributes:
        scale: segment units per unit of the pair, > 0.
        spread: robust standard deviation of the log depth ratio on the shared keyframe, 0 for a segment's first.
        shared_pixels: pixels behind it.
        segment: number of the segment, from 1.
        new_segment: whether this pair began it.
        reason: why it began: "first", "gap" (no shared keyframe), "spread", "no_shared_depth"; empty otherwise.
        T_map_older, T_map_newer: [4, 4] float64 rigid, segment unit.
    """

    scale: float
    spread: float
    shared_pixels: int
    segment: int
    new_segment: bool
    reason: str
    T_map_older: NDArray[np.float64]
    T_map_newer: NDArray[np.float64]

    @property
    def map_from_pair(self) -> Sim3:
        """Similarity from the older camera's frame in the pair's unit to the map: for `Prediction.transform`."""
        return Sim3(
            self.scale, torch.from_numpy(self.T_map_older[:3, :3].copy()), torch.from_numpy(self.T_map_older[:3, 3].copy())
        )


class PairChain:
    """Rescale each pair to the unit of its segment through the keyframe it shares with an earlier pair.

    Pair k is rescaled by the confidence-weighted median of depth (segment unit) / depth (pair unit) over the
    pixels of the shared keyframe. If those ratios scatter by more than `max_spread`, or no keyframe is shared,
    a new segment with the pair's own unit begins.
    """

    def __init__(self, config: ChainConfig | None = None) -> None:
        raise NotImplementedError

    @property
    def segment(self) -> int:
        """Number of the current segment, 0 before the first pair."""
        raise NotImplementedError

    def add(self, pair: PairGeometry) -> ChainStep:
        """Join an accepted pair to the chain.

        Raises:
            InputError: maps of different shapes, a pose that is not rigid and finite.
        """
        raise NotImplementedError

    def start_segment(self) -> None:
        """Let the next pair begin a new segment (new scale epoch, reset)."""
        raise NotImplementedError


def depth_ratio(
    target: FloatMap, source: FloatMap, weight: NDArray[Any], min_pixels: int = 1
) -> tuple[float, float, int]:
    """Return the weighted median of target / source, the robust spread of its logarithm, and the pixels used.

    Args:
        target, source: [h, w] depths; pixels where either is not finite or <= 0 are left out.
        weight: [h, w] >= 0.
        min_pixels: with fewer pixels the ratio and spread are NaN.
    """
    raise NotImplementedError
