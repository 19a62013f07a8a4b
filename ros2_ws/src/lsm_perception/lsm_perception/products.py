"""What the pipeline makes of one keyframe: plain data, no messages. `outputs` turns it into topics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping import KeyframeDecision, KeyframeRecord, ScaleEstimate, single_view
from lsm_core.types import Prediction, Sim3
from lsm_perception.calibration import Calibration
from lsm_perception.dynamic_pixels import DynamicPixels
from lsm_perception.source_image import Rgb, SourceImage

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Keyframe(KeyframeRecord):
    """A kept keyframe with what the node needs of it beside the library's record.

    Attributes:
        calibration: of its images; masks go back to the source's pixels through it.
        T_odom_cam: [4, 4] camera pose by odometry at its stamp, metres, None without odometry.
        depth_m: [H, W] float32 metres on the undistorted image, NaN for none; None without a depth image, and
            once it was used.
        floor: [h, w] on the model grid, where it may show the floor; None when nobody asks, and once it was used.
        in_map: whether its points belong into ~/map_points; False for one that only looks again from the place
            of another.
        dynamic: what moves in its undistorted image, None when no mask came.
        thumbnail: JPEG of its undistorted image where that is not kept (a loaded map), empty otherwise.
    """

    calibration: Calibration = field(default_factory=lambda: Calibration(1, 1))
    T_odom_cam: Matrix | None = None
    depth_m: NDArray[np.float32] | None = None
    floor: NDArray[np.bool_] | None = None
    in_map: bool = True
    dynamic: DynamicPixels | None = None
    thumbnail: bytes = b""


@dataclass(frozen=True)
class Candidate:
    """A keyframe to be: what the gate hands to the worker.

    Attributes:
        image: the image, not yet decoded.
        calibration: the camera's at that time.
        decision: why it was chosen.
        reference_ns: stamp of the keyframe it was compared with, None for a first one.
    """

    image: SourceImage
    calibration: Calibration
    decision: KeyframeDecision
    reference_ns: int | None


@dataclass(frozen=True, eq=False)
class PlacedPair:
    """A pair's prediction and its place in the map; it is moved there where that is asked for.

    Attributes:
        prediction: in its own frame and unit.
        map_from_pair: to the map frame and the segment's unit.
    """

    prediction: Prediction
    map_from_pair: Sim3

    @cached_property
    def in_map(self) -> Prediction:
        """Both views and all Gaussians in the map frame and the segment's unit."""
        return self.prediction.transform(self.map_from_pair)

    def view(self, view: int) -> Prediction:
        """Return one view with its Gaussians in the map frame and the segment's unit: what a keyframe keeps."""
        return single_view(self.prediction, view, keep_gaussians=True).transform(self.map_from_pair)


@dataclass(frozen=True, eq=False)
class PairReport:
    """The relative pose of two keyframes, accepted or not.

    Attributes:
        older, newer: the keyframes.
        T_older_newer: [4, 4] rigid, translation in `unit_is_segment`'s unit.
        unit_is_segment: True: the segment's unit (accepted); False: the pair's own (rejected).
        find_covariance: gives `covariance`; called when that is first asked for, which no cloud waits for.
        accepted, reason: the verdict.
        validity, inliers, inlier_ratio, overlap, parallax_deg: figures behind it, NaN when unknown.
        segment: chain segment it is part of, 0 when rejected.
    """

    older: Keyframe
    newer: Keyframe
    T_older_newer: Matrix
    unit_is_segment: bool
    find_covariance: Callable[[], Matrix]
    accepted: bool
    reason: str
    validity: float
    inliers: int
    inlier_ratio: float
    overlap: float
    parallax_deg: float
    segment: int

    @cached_property
    def covariance(self) -> Matrix:
        """[6, 6] in the unit of the pose; -1 in the first element when unknown."""
        return self.find_covariance()


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The standing queries on the pixels of a keyframe's source image.

    Attributes:
        texts: what was asked.
        labels: [H, W] int32 index of the best text, -1 for none.
        scores: [H, W] float32 score of that text, 0 for none.
        presence: per text, 0 to 1.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    presence: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class NamedPoints:
    """The standing queries on one keyframe: its points at once, its pixels where they are asked for.

    Attributes:
        texts: what was asked.
        labels: [h, w] int32 index of each point's best text, -1 for none; on the model's grid.
        scores: [h, w] float32 score of that text, 0 for none.
        find_segmentation: gives `segmentation`; no cloud waits for it.
    """

    texts: tuple[str, ...]
    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    find_segmentation: Callable[[], Segmentation]

    @cached_property
    def segmentation(self) -> Segmentation:
        """The answer on the source image's pixels."""
        return self.find_segmentation()


@dataclass(frozen=True, eq=False)
class Products:
    """Everything known after one keyframe.

    Attributes:
        keyframe: as stored; its T_map_cam is None when it is in no segment.
        image: the source image (header, size).
        rgb: [H, W, 3] uint8, the source image decoded, not undistorted.
        decision: why it became a keyframe.
        refreshed: it serves masks only.
        pair: its pose relative to an older keyframe, None for a first one or a refresh.
        placed: the pair, view 1 is this keyframe; None where `pair` is not accepted.
        scale: the scale now.
        cleared: the map and path before it hold no more (new segment or epoch).
        named: the standing queries on the keyframe, None when nobody listens or there are none.
        removed: keyframes that left the store.
        other_pair: a second pair of this keyframe, of which only the report is published: a rig's pair beside one
            over time, or the other way about.
        generation: of the map it was made in; a reset of the map makes it void.
    """

    keyframe: Keyframe
    image: SourceImage
    rgb: Rgb
    decision: KeyframeDecision
    refreshed: bool
    pair: PairReport | None
    placed: PlacedPair | None
    scale: ScaleEstimate
    cleared: bool
    named: NamedPoints | None
    removed: tuple[Keyframe, ...] = ()
    other_pair: PairReport | None = None
    generation: int = 0

    @property
    def segmentation(self) -> Segmentation | None:
        """The standing queries on the source image's pixels; made when first asked for."""
        return None if self.named is None else self.named.segmentation
