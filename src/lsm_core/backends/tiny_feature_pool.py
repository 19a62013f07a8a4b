"""A second search for the pose, where the network's matches support the first one weakly.

The network matches cells of eight pixels by what they mean; classical features match corners and blobs by what
they look like. Each fails where the other often does not. Features of the images as given are matched, lifted with
the network's first depth and pooled with the network's matches; start values come from either kind and from both,
each is refined on the whole pool, and the one that explains the pool best, against chance, is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.tiny_pose import PairPose, parallax_deg, refine_jointly
from lsm_core.backends.tiny_pose_search import depth_ratio, pose_candidates, two_view_candidate
from lsm_core.backends.tiny_residuals import Array, MatchedPoints, PoseOptions, deviations, log_likelihood_ratios
from lsm_core.errors import GeometryError
from lsm_core.geometry.features import Features, find_features, match_found

Start = tuple[Array, float]  # T_1_0 [4, 4], scale_1
REACHES = (4.0, 1.0)  # of the two refinements of a start value, in largest supporting deviations


@dataclass(frozen=True)
class FeaturePoolOptions:
    """When the pose is searched again, and how.

    Attributes:
        enough_support, enough_share: a pose with so many supporting matches of the network, and so large a share of
            them, is not searched again.
        longer_side_px: features are found on images reduced to this, which bounds their cost.
        features: of an image, at most.
        ratio: of the best to the second best distance of a feature match.
        match_px: standard deviation of a feature match, px of those images.
        network_weight: what a match of the network counts against one of features; its errors are those of its
            neighbours, too.
        own_margin: another pose must explain the pool so many times as well as the network's own.
        min_gain, min_gain_per_match: a pose that explains the pool only so much better than chance (nats, and nats
            per match of the pool, since among more matches chance finds more) is none.
        min_matches: of a kind, to search start values among them.
    """

    enough_support: int = 120
    enough_share: float = 0.5
    longer_side_px: int = 640
    features: int = 2000
    ratio: float = 0.8
    match_px: float = 1.0
    network_weight: float = 0.3
    own_margin: float = 1.1
    min_gain: float = 40.0
    min_gain_per_match: float = 0.1
    min_matches: int = 12


@dataclass(frozen=True)
class PoolView:
    """A view as the search needs it."""

    image: NDArray[np.uint8]  # [H, W, 3] RGB as given
    K: Array  # [3, 3] px of the input grid
    grid_to_image: Array  # [3, 3] pixel of the input grid -> pixel of the image
    depth: NDArray[np.float32]  # [h, w] at the network's cells, in the view's own unit
    cell_px: int  # px of the input grid per cell

    def lift(self, pixels: Array) -> Array:
        """Return points [N, 3] in the camera for pixels [N, 2] of the input grid, at the depth there."""
        if not len(pixels):
            return np.zeros((0, 3))
        cells = ((pixels - (self.cell_px - 1) / 2.0) / self.cell_px).astype(np.float32)
        edge = cv2.BORDER_REPLICATE
        depth = cv2.remap(self.depth, cells[:, None, 0], cells[:, None, 1], cv2.INTER_LINEAR, borderMode=edge)
        rays = np.column_stack((pixels, np.ones(len(pixels)))) @ np.linalg.inv(self.K).T
        return np.asarray(rays * depth.astype(np.float64), np.float64)


@dataclass(frozen=True)
class FeaturePool:
    """Matches of both kinds on the input grids, the network's first."""

    found: MatchedPoints
    of_network: int
    feature_px: float  # standard deviation of a feature match, px of the input grid
    area_px: float  # of an image on its grid

    def part(self, of_network: bool) -> slice:
        """Return the rows of one kind."""
        return slice(0, self.of_network) if of_network else slice(self.of_network, None)


def is_weak(pose: PairPose | None, options: FeaturePoolOptions) -> bool:
    """Tell whether a pose from the network's matches is worth another search."""
    if pose is None:
        return True
    return pose.inlier_count < max(options.enough_support, options.enough_share * pose.match_count)


def search_with_features(
    views: tuple[PoolView, PoolView],
    own: MatchedPoints,
    first: PairPose | None,
    search: PoseOptions,
    options: FeaturePoolOptions,
) -> PairPose:
    """Search the pose with the network's matches and those of classical features.

    Args:
        views: both.
        own: the network's matches, px of the input grids.
        first: the pose they gave, one of the start values; None where they gave none.
        search: thresholds of the network's matches.
        options: thresholds of this search.

    Returns:
        The pose; its support is that of the network's matches, of the features' or of both, whichever says most.

    Raises:
        GeometryError: no start value, or the best is not much better than chance.
    """
    pool = pool_matches(views, own, search, options)
    found: list[tuple[float, Start]] = []
    if first is not None:
        gain, pose = _refined(pool, (first.T_1_0, first.scale_1), search, options)
        found.append((options.own_margin * gain, pose))
    found += [_refined(pool, start, search, options) for start in _starts(pool, search, options)]
    if not found:
        raise GeometryError("Neither matches nor features give a pose.", "Use views that overlap more.")
    best = max(found, key=lambda item: item[0])[1]
    gain, needed = _gain(pool, best, search, options), _needed_gain(pool, options)
    if gain < needed:
        raise GeometryError(
            f"The best pose explains the matches {gain:.0f} nats better than chance, {needed:.0f} are needed.",
            "Use views that overlap more; moving objects and repeated patterns also cause this.",
        )
    return _with_support(pool, best, search)


def pool_matches(
    views: tuple[PoolView, PoolView], own: MatchedPoints, search: PoseOptions, options: FeaturePoolOptions
) -> FeaturePool:
    """Match features of both images and put them behind the network's matches, on the input grids."""
    found, sizes = zip(*(_features_on_grid(view, options) for view in views), strict=True)
    matches = match_found(found[0], found[1], options.ratio)
    feature_px = options.match_px * max(sizes)
    count = len(own.points_0)
    both = np.concatenate
    joined = MatchedPoints(
        points_0=both((own.points_0, views[0].lift(matches.pixels0))),
        points_1=both((own.points_1, views[1].lift(matches.pixels1))),
        pixels_in_1=both((own.pixels_in_1, matches.pixels1)),
        pixels_in_0=both((own.pixels_in_0, matches.pixels0)),
        K_0=own.K_0,
        K_1=own.K_1,
        spread=np.concatenate((np.ones(count), np.full(len(matches), feature_px / search.match_px))),
    )
    cells = views[1].depth.shape
    return FeaturePool(joined, count, feature_px, float(cells[0] * cells[1] * views[1].cell_px ** 2))


def _features_on_grid(view: PoolView, options: FeaturePoolOptions) -> tuple[Features, float]:
    """Find features of a view; return them at pixels of its input grid, and a feature pixel's size there."""
    height, width = view.image.shape[:2]
    shrink = min(1.0, options.longer_side_px / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    image = view.image if shrink == 1.0 else cv2.resize(view.image, size, interpolation=cv2.INTER_AREA)
    found = find_features(np.ascontiguousarray(image, np.uint8), "sift", options.features)
    per_pixel = np.array([width / size[0], height / size[1]])
    on_image = (found.points + 0.5) * per_pixel - 0.5
    to_grid = np.linalg.inv(view.grid_to_image)
    on_grid = on_image @ to_grid[:2, :2].T + to_grid[:2, 2]
    return replace(found, points=on_grid), float(np.max(per_pixel * np.diag(to_grid)[:2]))


def _starts(pool: FeaturePool, search: PoseOptions, options: FeaturePoolOptions) -> list[Start]:
    """Return start values of either kind of match alone, and of both together."""
    out: list[Start] = []
    finer = replace(search, epipolar_error_px=pool.feature_px)
    for of_network, how in ((True, search), (False, finer)):
        kind = pool.found.rows(pool.part(of_network))
        if len(kind.points_0) >= options.min_matches:
            out += pose_candidates(kind, how)
    both = two_view_candidate(pool.found, search) if len(pool.found.points_0) >= options.min_matches else None
    return out if both is None else [*out, both]


def _refined(
    pool: FeaturePool, start: Start, search: PoseOptions, options: FeaturePoolOptions
) -> tuple[float, Start]:
    """Return the best of a start value and what it becomes on the matches around it and on those that agree."""
    poses = (start, *(refine_jointly(pool.found, *start, search, reach) for reach in REACHES))
    gains = [_gain(pool, pose, search, options) for pose in poses]
    best = int(np.argmax(gains))
    return gains[best], poses[best]


def _gain(pool: FeaturePool, pose: Start, search: PoseOptions, options: FeaturePoolOptions) -> float:
    """Return how much better than chance a pose explains the pool, in nats."""
    gain = log_likelihood_ratios(pool.found, *pose, search, pool.area_px)
    return float(options.network_weight * gain[pool.part(True)].sum() + gain[pool.part(False)].sum())


def _needed_gain(pool: FeaturePool, options: FeaturePoolOptions) -> float:
    return options.min_gain + options.min_gain_per_match * len(pool.found.points_0)


def _with_support(pool: FeaturePool, pose: Start, search: PoseOptions) -> PairPose:
    """Return the pose with the support, of either kind of match or of both, that says most."""
    (T_1_0, scale_1), found = pose, pool.found
    inliers = deviations(found, T_1_0, scale_1, search) < search.max_deviation
    kinds = [inliers[pool.part(True)], inliers[pool.part(False)], inliers]
    support = max((kind for kind in kinds if len(kind)), key=lambda kind: kind.sum() ** 2 / len(kind))
    scale_1 = depth_ratio(found.points_0, T_1_0, found.points_1[:, 2], inliers)
    parallax = parallax_deg(found, T_1_0, inliers)
    return PairPose(T_1_0, scale_1, inliers, int(support.sum()), parallax, len(support))
