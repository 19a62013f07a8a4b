"""Chain pairs that share a keyframe into one trajectory with one unit."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.mapping.robust import depth_ratio
from lsm_core.types import Prediction, Sim3

FloatMap = NDArray[np.float32]
Pose = NDArray[np.float64]


@dataclass(frozen=True)
class ChainConfig:
    """Limits of the chaining.

    Attributes:
        max_spread: robust standard deviation of log depth ratios above which two pairs are not joined.
        min_shared_pixels: pixels with depth in both predictions of the shared keyframe that are needed.
        memory: keyframes of the segment that a new pair may start from (the last ones).
    """

    max_spread: float = 0.2
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

        def array(tensor: torch.Tensor) -> FloatMap:
            return tensor.detach().to("cpu", torch.float32).numpy()

        T_map_older, T_map_newer = (
            prediction.poses[v].detach().to("cpu", torch.float64).numpy() for v in (older_view, newer_view)
        )
        return PairGeometry(
            older_id,
            newer_id,
            np.linalg.inv(T_map_older) @ T_map_newer,
            array(prediction.depth(older_view)),
            array(prediction.depth(newer_view)),
            array(prediction.confidence[older_view]),
            array(prediction.confidence[newer_view]),
        )


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
        T = torch.from_numpy(self.T_map_older.copy())
        return Sim3(self.scale, T[:3, :3], T[:3, 3])


@dataclass(frozen=True)
class _PlacedView:
    """A keyframe in the segment: pose and depth [h, w] in segment units, confidence [h, w]."""

    T_map_cam: Pose
    depth: FloatMap
    confidence: FloatMap


class PairChain:
    """Rescale each pair to the unit of its segment through the keyframe it shares with an earlier pair.

    Pair k is rescaled by the confidence-weighted median of depth (segment unit) / depth (pair unit) over the
    pixels of the shared keyframe. If those ratios scatter by more than `max_spread`, or no keyframe is shared,
    a new segment with the pair's own unit begins.
    """

    def __init__(self, config: ChainConfig | None = None) -> None:
        self._config = config or ChainConfig()
        self._segment = 0
        self._start = True
        self._placed: OrderedDict[int, _PlacedView] = OrderedDict()
        self._unit_known = False

    @property
    def segment(self) -> int:
        """Number of the current segment, 0 before the first pair."""
        return self._segment

    def add(self, pair: PairGeometry, known_scale: float | None = None) -> ChainStep:
        """Join an accepted pair to the chain.

        Args:
            pair: of two keyframes.
            known_scale: segment units per unit of the pair, where it need not be found: 1 for models that are told
                poses of one unit. Depths that scatter then begin no new segment. Without effect in a segment that
                began with a pair of unknown scale, whose unit is another one.

        Raises:
            InputError: maps of different shapes, a pose that is not rigid and finite, one id twice.
        """
        _check_pair(pair)
        shared = self._placed.get(pair.older_id)
        ratio, spread, pixels = 1.0, 0.0, 0
        if self._start:
            reason = "first"
        elif shared is None:
            reason = "gap"
        else:
            ratio, spread, pixels = self._compare(shared, pair)
            too_wide = "spread" if spread > self._config.max_spread else ""
            reason = "no_shared_depth" if math.isnan(ratio) else too_wide
            if known_scale is not None and self._unit_known:
                ratio, reason = known_scale, ""
        if reason or shared is None:
            self._unit_known = known_scale is not None
            return self._begin(pair, reason, spread, pixels)
        return self._place(pair, ratio, spread, pixels, shared.T_map_cam, "")

    def _compare(self, shared: _PlacedView, pair: PairGeometry) -> tuple[float, float, int]:
        if shared.depth.shape != pair.depth_older.shape:
            raise InputError(
                f"Keyframe {pair.older_id} has depth maps of two sizes: {shared.depth.shape} and "
                f"{pair.depth_older.shape}.",
                "Start a new segment when the image size or the backend changes.",
            )
        first, second = np.maximum(shared.confidence, 0), np.maximum(pair.confidence_older, 0)
        weight = first * second / np.maximum(first + second, 1e-12)  # the less certain of the two rules
        return depth_ratio(shared.depth, pair.depth_older, weight, self._config.min_shared_pixels)

    def _begin(self, pair: PairGeometry, reason: str, spread: float, pixels: int) -> ChainStep:
        """Open a segment whose map is the pair's older camera, in the pair's unit."""
        self._segment += 1
        self._start = False
        self._placed.clear()
        return self._place(pair, 1.0, spread, pixels, np.eye(4), reason)

    def _place(
        self, pair: PairGeometry, scale: float, spread: float, pixels: int, T_map_older: Pose, reason: str
    ) -> ChainStep:
        T_older_newer = pair.T_older_newer.astype(np.float64).copy()
        T_older_newer[:3, 3] *= scale
        T_map_newer = orthonormal(T_map_older @ T_older_newer)
        if reason:
            self._remember(pair.older_id, _PlacedView(T_map_older, scale * pair.depth_older, pair.confidence_older))
        self._remember(pair.newer_id, _PlacedView(T_map_newer, scale * pair.depth_newer, pair.confidence_newer))
        return ChainStep(scale, spread, pixels, self._segment, bool(reason), reason, T_map_older, T_map_newer)

    def _remember(self, keyframe_id: int, view: _PlacedView) -> None:
        self._placed[keyframe_id] = view
        self._placed.move_to_end(keyframe_id)
        while len(self._placed) > max(2, self._config.memory):
            self._placed.popitem(last=False)

    def start_segment(self) -> None:
        """Let the next pair begin a new segment (new scale epoch, reset)."""
        self._start = True

    def skip_segment(self) -> int:
        """Give a segment number away, to a map that comes from elsewhere; the next pair begins another one."""
        self._segment += 1
        self._start = True
        self._placed.clear()
        return self._segment


def orthonormal(T: Pose) -> Pose:
    """Return the pose with its rotation block projected to the nearest rotation, so that errors do not pile up."""
    u, _, vt = np.linalg.svd(T[:3, :3])
    out = T.copy()
    out[:3, :3] = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return out


def _check_pair(pair: PairGeometry) -> None:
    T = np.asarray(pair.T_older_newer, dtype=np.float64)
    finite = T.shape == (4, 4) and bool(np.isfinite(T).all())
    if not finite or not np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-3):
        raise InputError("The pose of a pair must be a finite rigid 4x4 matrix.", "Let the pose gate reject it.")
    maps = ((pair.depth_older, pair.confidence_older), (pair.depth_newer, pair.confidence_newer))
    if any(depth.shape != confidence.shape for depth, confidence in maps):
        raise InputError("Depth and confidence of a view differ in shape.")
    if pair.older_id == pair.newer_id:
        raise InputError(f"A pair needs two keyframes, got {pair.older_id} twice.")
