"""Depth of both views corrected by the parallax that the images show, and the pose with it.

What a network knows of depth from one image carries over badly to real rooms; what it knows of matching carries
over well. So once the pose is good: match densely, refine the pose on these matches, triangulate them, and bend the
predicted depth of both views to fit. Without parallax depth stays as it was; where a part of the image has no
parallax or no texture, it follows the trend and the neighbourhood of what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.tiny_dense_matches import DenseMatches, GridView, match_densely
from lsm_core.backends.tiny_depth_field import DepthField, DepthFieldOptions, fit_depth_field
from lsm_core.backends.tiny_grid import OUTPUT_STRIDE, place_on_grid
from lsm_core.backends.tiny_pose import PairPose, estimate_pose
from lsm_core.backends.tiny_residuals import Array, MatchedPoints, PoseOptions
from lsm_core.backends.tiny_triangulation import (
    MeasuredDepth,
    TriangulationOptions,
    carry_to_other_view,
    triangulate,
)
from lsm_core.errors import GeometryError


@dataclass(frozen=True)
class ParallaxOptions:
    """How depth is corrected; pixels are those of the output grid.

    Attributes:
        triangulation: what a match is worth.
        field: how stiff the correction is.
        pose_matches: at most so many matches, evenly spread, refine the pose.
        pose_match_px: their standard deviation.
        pose_log_depth: standard deviation of the predicted log depth in that refinement.
        pose_min_share: of these matches that must support the pose; below, everything is left as it is.
        pose_round_trip_px, pose_texture: matches that return worse, or show less, do not take part.
        min_measured: with fewer measured pixels depth is left as it is.
        confidence: of a depth whose standard deviation is one unit of log depth; a measured depth has this times
            the root of its inverse variance, beside the network's own confidence (their squares add up).
    """

    triangulation: TriangulationOptions = field(default_factory=TriangulationOptions)
    field: DepthFieldOptions = field(default_factory=DepthFieldOptions)
    pose_matches: int = 300
    pose_match_px: float = 0.15
    pose_log_depth: float = 0.4
    pose_min_share: float = 0.5
    pose_round_trip_px: float = 0.5
    pose_texture: float = 4.0
    min_measured: int = 200
    confidence: float = 0.1


@dataclass(frozen=True)
class ParallaxDepth:
    """What parallax says about a pair.

    Attributes:
        pose: refined; its translation and `scale_1` belong to the corrected depths.
        log_shift: [2, h, w] to be added to the log depth of both views.
        confidence: [2, h, w] of what was measured, 0 where nothing was; the root of its square and the square of
            the prediction's own is that of the corrected depth.
    """

    pose: PairPose
    log_shift: Array
    confidence: Array


def grid_view(image: NDArray[np.uint8], K: Array, depth: Array) -> GridView:
    """Put an image [H, W, 3] of any size on the input grid that belongs to a depth map.

    Args:
        image: RGB as given.
        K: [3, 3] px of the output grid.
        depth: [h, w] predicted, on the output grid.
    """
    placed = place_on_grid(image, (OUTPUT_STRIDE * depth.shape[0], OUTPUT_STRIDE * depth.shape[1]))
    return GridView(np.asarray(cv2.cvtColor(placed.rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8), K, depth)


def depth_from_parallax(
    first: GridView, second: GridView, pose: PairPose, search: PoseOptions, options: ParallaxOptions
) -> ParallaxDepth:
    """Correct the depth of both views.

    Args:
        first, second: the views, grids of one size.
        pose: already good: depth and pose must put most pixels near their match. Its counts of support are kept,
            since they are of another kind.
        search: thresholds of the pose refinement; deviations and the share are replaced by those of ``options``.
        options: how depth is corrected.

    Raises:
        GeometryError: the images have too little to match, or the matches do not agree with one pose.
    """
    matches = match_densely(first, second, pose.T_1_0)
    pose = refine_on_dense_matches(matches, first, second, pose, search, options)
    measured, depth_1 = triangulate(matches, first, second, pose.T_1_0, options.triangulation)
    if measured.count < options.min_measured:
        none = np.zeros((2, *first.depth.shape))
        return ParallaxDepth(pose, none, none)
    carried = carry_to_other_view(measured, matches, depth_1, second, pose.scale_1)
    # the first view keeps its unit: what all its measurements share is the length of the translation
    unit, scale = measured.middle(), carried.middle()
    fields = [
        _fit(view, seen.less(common), options.field)
        for view, seen, common in ((first, measured, unit), (second, carried, scale))
    ]
    T_1_0 = pose.T_1_0.copy()
    T_1_0[:3, 3] *= np.exp(-unit)
    return ParallaxDepth(
        pose=replace(pose, T_1_0=T_1_0, scale_1=pose.scale_1 * float(np.exp(scale - unit))),
        log_shift=np.stack([f.log_shift for f in fields]),
        confidence=options.confidence * np.sqrt(np.stack([f.information for f in fields])),
    )


def refine_on_dense_matches(
    matches: DenseMatches,
    first: GridView,
    second: GridView,
    pose: PairPose,
    search: PoseOptions,
    options: ParallaxOptions,
) -> PairPose:
    """Refine a pose on dense matches.

    Raises:
        GeometryError: too few matches, or they do not agree with one pose.
    """
    texture = matches.gradients[..., :2].sum(-1)
    good = matches.inside & (matches.round_trip < options.pose_round_trip_px) & (texture > options.pose_texture)
    row, column = np.nonzero(good)
    if len(row) == 0:
        raise GeometryError("No pixel of the first view was found in the second.", "Use views with more texture.")
    chosen = np.linspace(0, len(row) - 1, min(options.pose_matches, len(row))).astype(np.int64)
    row, column = row[chosen], column[chosen]
    place = matches.place[row, column]
    x, y = place[:, :1].astype(np.float32), place[:, 1:].astype(np.float32)  # [N, 1]
    depth_1 = cv2.remap(second.depth.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    rays_1 = np.column_stack((place, np.ones(len(place)))) @ np.linalg.inv(second.K).T
    found = MatchedPoints(
        points_0=first.rays[row, column] * first.depth[row, column][:, None],
        points_1=rays_1 * depth_1.astype(np.float64),
        pixels_in_1=place,
        pixels_in_0=np.column_stack((column, row)).astype(np.float64),
        K_0=first.K,
        K_1=second.K,
    )
    worth = replace(
        search,
        match_px=options.pose_match_px,
        log_depth=options.pose_log_depth,
        min_inlier_share=options.pose_min_share,
    )
    result = estimate_pose(found, worth, pose)
    return replace(result, inliers=pose.inliers, inlier_count=pose.inlier_count, match_count=pose.match_count)


def _fit(view: GridView, measured: MeasuredDepth, options: DepthFieldOptions) -> DepthField:
    return fit_depth_field(np.log(view.depth), measured, options)
