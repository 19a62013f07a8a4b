"""A sharper pair pose: corners of the full-size images, tracked from where the network's pose and depth put them.

The network matches cells of eight pixels on a reduced image, good to a pixel or two. Here the second image is
warped onto the first one by the predicted depth and pose, which undoes most of the motion, turn and change of size;
what is left is small and a pyramidal Lucas-Kanade tracker finds it to a fraction of a pixel of the images given.
The same joint refinement as for the network's matches then runs on these. A second pass starts from the better
pose, so its patches can be smaller and more of them are found.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.tiny_feature_pool import FeaturePoolOptions
from lsm_core.backends.tiny_parallax import ParallaxOptions
from lsm_core.backends.tiny_pose import PairPose, estimate_pose
from lsm_core.backends.tiny_residuals import Array, MatchedPoints, PoseOptions, project_points
from lsm_core.errors import GeometryError

MIN_CORNERS = 8


@dataclass(frozen=True)
class CornerOptions:
    """How corners are found and tracked; pixels are those of the images given.

    Attributes:
        corners: at most this many.
        corner_quality: weakest corner against the strongest.
        corner_distance_px: least distance of two corners.
        window_px: side of the tracked patch.
        levels: of the image pyramid above full size.
        max_shift_px: corners found farther than this from where they were expected are dropped.
        round_trip_px: a corner tracked there and back must return this near.
        match_px: standard deviation of a tracked corner; with several, one refinement with each in turn, since a
            start that is off by more than a few deviations would be held by few corners.
    """

    corners: int = 500
    corner_quality: float = 0.005
    corner_distance_px: float = 7.0
    window_px: int = 21
    levels: int = 3
    max_shift_px: float = 32.0
    round_trip_px: float = 1.0
    match_px: tuple[float, ...] = (1.8, 0.3)


SECOND_PASS = CornerOptions(
    corners=1000, corner_quality=0.003, corner_distance_px=5.0, window_px=13, levels=2, match_px=(0.3,)
)


@dataclass(frozen=True)
class FullResolutionOptions:
    """What is done with the images as given.

    Attributes:
        pool: a second search for the pose where the network's matches support it weakly; None: no second search.
        passes: tracking and refinement, one after the other.
        parallax: how depth is then corrected by the parallax seen; None: leave it as the network gives it.
    """

    pool: FeaturePoolOptions | None = field(default_factory=FeaturePoolOptions)
    passes: tuple[CornerOptions, ...] = (CornerOptions(), SECOND_PASS)
    parallax: ParallaxOptions | None = field(default_factory=ParallaxOptions)


@dataclass(frozen=True)
class FullView:
    """A view at full size beside its predicted depth."""

    image: NDArray[np.uint8]  # [H, W, 3] RGB as given
    K: Array  # [3, 3] px of that image
    depth: NDArray[np.float32]  # [h, w] on the output grid, in the view's own unit
    grid_to_image: Array  # [3, 3] pixel of the output grid -> pixel of the image

    @property
    def grey(self) -> NDArray[np.uint8]:
        """[H, W]."""
        return np.asarray(cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    def points(self, pixels: Array) -> Array:
        """Lift image pixels [N, 2] with the predicted depth there, to [N, 3] in the camera."""
        on_grid = _apply(_inverse(self.grid_to_image), pixels).astype(np.float32)
        depth = _read(self.depth, on_grid[:, None]).astype(np.float64)
        return np.asarray(_rays(self.K, pixels) * depth, np.float64)


def refine_at_full_resolution(
    first: FullView, second: FullView, pose: PairPose, search: PoseOptions, options: FullResolutionOptions
) -> PairPose:
    """Refine a pose on corners of the full-size images.

    Args:
        first, second: the views.
        pose: what the network's matches gave; its counts of support are kept, since they are of another kind.
        search: thresholds of the joint refinement; the pixel ones are replaced by those of ``options``.
        options: how corners are tracked.

    Raises:
        GeometryError: the first pass finds too few corners, or they do not agree with one pose.
    """
    result = pose
    for number, corners in enumerate(options.passes):
        try:
            found = track_corners(first, second, result, corners)
            for match_px in corners.match_px:
                result = estimate_pose(found, replace(search, match_px=match_px), result)
        except GeometryError:
            if number == 0:
                raise
    return replace(result, inliers=pose.inliers, inlier_count=pose.inlier_count, match_count=pose.match_count)


def track_corners(first: FullView, second: FullView, pose: PairPose, options: CornerOptions) -> MatchedPoints:
    """Find corners of the first image in the second one.

    Raises:
        GeometryError: the image has no corners, or hardly one is found again.
    """
    grey_0, grey_1 = first.grey, second.grey
    corners = cv2.goodFeaturesToTrack(
        grey_0, options.corners, options.corner_quality, options.corner_distance_px, blockSize=5
    )
    if corners is None:
        raise GeometryError("The image shows no corners.", "Use images with more texture.")
    expected = _expected_place(first, second, pose)
    warped = cv2.remap(
        grey_1, expected[..., 0], expected[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    flow = {"winSize": (options.window_px, options.window_px), "maxLevel": options.levels}
    there, ok, _ = cv2.calcOpticalFlowPyrLK(grey_0, warped, corners, None, **flow)  # type: ignore[call-overload]
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(warped, grey_0, there, None, **flow)  # type: ignore[call-overload]
    shift = np.linalg.norm((there - corners)[:, 0], axis=1)
    returned = np.linalg.norm((back - corners)[:, 0], axis=1)
    pixels_1 = _read(expected, there)[:, 0].astype(np.float64)
    height, width = grey_1.shape
    inside = (pixels_1 > 1).all(1) & (pixels_1[:, 0] < width - 2) & (pixels_1[:, 1] < height - 2)
    keep = inside & (ok[:, 0] > 0) & (ok_back[:, 0] > 0)
    keep &= (shift < options.max_shift_px) & (returned < options.round_trip_px)
    if keep.sum() < MIN_CORNERS:
        raise GeometryError(f"Only {keep.sum()} corners could be tracked.", "Use views that overlap more.")
    pixels_0, pixels_1 = corners[keep, 0].astype(np.float64), pixels_1[keep]
    return MatchedPoints(
        points_0=first.points(pixels_0),
        points_1=second.points(pixels_1),
        pixels_in_1=pixels_1,
        pixels_in_0=pixels_0,
        K_0=first.K,
        K_1=second.K,
    )


def _expected_place(first: FullView, second: FullView, pose: PairPose) -> NDArray[np.float32]:
    """Return [H, W, 2]: where depth and pose put each pixel of the first image in the second one."""
    h, w = first.depth.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    pixels = _apply(first.grid_to_image, np.stack([x.ravel(), y.ravel()], 1))
    moved = (_rays(first.K, pixels) * first.depth.reshape(-1, 1)) @ pose.T_1_0[:3, :3].T + pose.T_1_0[:3, 3]
    place = project_points(moved, second.K).astype(np.float32).reshape(h, w, 2)
    size, edge = (first.image.shape[1], first.image.shape[0]), cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(place, first.grid_to_image[:2], size, borderMode=edge), np.float32)


def _read(image: NDArray[Any], place: NDArray[np.float32]) -> NDArray[Any]:
    """Read an image [H, W, ...] at pixels [..., 2] between its own."""
    edge = cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(image, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=edge))


def _inverse(matrix: Array) -> Array:
    return np.asarray(np.linalg.inv(matrix), np.float64)


def _rays(K: Array, pixels: Array) -> Array:
    """Return rays [N, 3] with z = 1 of pixels [N, 2]."""
    return np.column_stack((_apply(_inverse(K), pixels), np.ones(len(pixels))))


def _apply(affine: Array, points: Array) -> Array:
    """Map points [N, 2] with a [3, 3] affine."""
    return np.asarray(points @ affine[:2, :2].T + affine[:2, 2], np.float64)
