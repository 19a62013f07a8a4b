"""From pointmaps in both orders to cameras: what every backend with a DUSt3R-like trunk does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lsm_core.backends.pair_content import PairContent
from lsm_core.errors import GeometryError
from lsm_core.geometry import invert, transform_points, view_overlap
from lsm_core.geometry.features import Matches
from lsm_core.geometry.focal import FocalMethod, focal_from_pointmap
from lsm_core.geometry.pair_cameras import MIN_CONFIDENCE, MIN_INLIER_SHARE, OrderedPrediction
from lsm_core.geometry.pnp import PnpOptions, PnpResult, pnp_from_pointmap, solve_pnp

MAX_CORRESPONDENCES = 5000


@dataclass(frozen=True)
class CameraOptions:
    """How cameras are recovered.

    Attributes:
        focal: "median" is robust to points near the camera plane; "weiszfeld" is the reference's.
        average_focal: one focal length for both views, their mean, where neither is known.
        reference: "first" finds the pose in camera 0's frame, the one of the Gaussians. "confidence" finds it in
            the frame of the order that is surer of itself, as in the reference's demo, and brings it to that unit.
        min_confidence: of a pixel that is used.
        max_error_px: reprojection error of an inlier.
        full_support: number of inliers from which more do not raise `validity`.
        full_share, full_overlap, full_parallax_deg: the same for the other figures.
    """

    focal: FocalMethod = "median"
    average_focal: bool = False
    reference: Literal["first", "confidence"] = "first"
    min_confidence: float = MIN_CONFIDENCE
    max_error_px: float = 5.0
    full_support: int = 120
    full_share: float = 0.6
    full_overlap: float = 0.25
    full_parallax_deg: float = 1.0


@dataclass(frozen=True, eq=False)
class PairGeometry:
    """Cameras of a pair on the model grid.

    Attributes:
        poses: two [4, 4] T_cam0_cam_i; NaN where none was found.
        pose_valid: whether each was found.
        intrinsics: two [3, 3].
        validity: in [0, 1], 0 without a pose.
        stats: "inliers", "matches", "overlap", "parallax_deg".
    """

    poses: list[Tensor]
    pose_valid: list[bool]
    intrinsics: list[Tensor]
    validity: float
    stats: dict[str, float]


def pair_geometry(
    orders: Sequence[OrderedPrediction],
    known: Sequence[Tensor | None],
    options: CameraOptions | None = None,
    content: PairContent = "two views",
    matches: Matches | None = None,
) -> PairGeometry:
    """Find focal lengths and the pose of camera 1.

    Args:
        orders: the prediction in the frame of image 0, and the one in the frame of image 1, which may be left out
            where view 1's intrinsics are known; float32 on the CPU.
        known: per view intrinsics [3, 3] on the model grid, or None.
        options: thresholds and choices.
        content: of the images. Blank ones give no pose; the same image twice gives the identity, which is its pose,
            and no validity.
        matches: pixels of the model grid that show the same point: view 1 is found from where it sees view 0's
            points. Without, from the points that the network gives its pixels.
    """
    limits = options or CameraOptions()
    K = intrinsics_of(orders, known, limits)
    if content == "one view":
        one = {"inliers": 0.0, "matches": 0.0, "overlap": 1.0, "parallax_deg": 0.0}
        return PairGeometry([torch.eye(4), torch.eye(4)], [True, True], K, 0.0, one)
    masks = _trusted(orders, limits)
    both = len(orders) == 2 and matches is None
    swapped = limits.reference == "confidence" and both and orders[0].score <= orders[1].score
    try:
        if content == "blank":
            raise GeometryError("The images show nothing.")
        if matches is None:
            view = 0 if swapped else 1
            found = search_pose(orders[1 - view].other, K[view], masks[view], limits)
        else:
            found = _pnp_of_matches(orders[0].own, K[1], matches, limits)
        T_0_1 = _in_first_unit(found, orders, masks[0]) if swapped else found.T_scene_cam
    except GeometryError:
        tried = float(masks[1].sum()) if matches is None else float(len(matches))
        stats = {"inliers": 0.0, "matches": tried, "overlap": 0.0, "parallax_deg": 0.0}
        return PairGeometry([torch.eye(4), torch.full((4, 4), torch.nan)], [True, False], K, 0.0, stats)
    stats = {"inliers": float(found.inlier_count), "matches": float(len(found.inliers))}
    stats |= pose_figures(orders[0].own, masks[0], T_0_1, K)
    return PairGeometry([torch.eye(4), T_0_1], [True, True], K, support(stats, limits), stats)


def support(stats: Mapping[str, float], limits: CameraOptions) -> float:
    """Return how far the figures of a pose support it, in [0, 1]."""
    share = stats["inliers"] / max(stats["matches"], 1.0)
    figures = (
        stats["inliers"] / limits.full_support,
        share / limits.full_share,
        stats["overlap"] / limits.full_overlap,
        stats["parallax_deg"] / limits.full_parallax_deg,
    )
    return math.prod(min(figure, 1.0) for figure in figures) ** (1 / len(figures))


def intrinsics_of(
    orders: Sequence[OrderedPrediction], known: Sequence[Tensor | None], options: CameraOptions
) -> list[Tensor]:
    """Return intrinsics [3, 3] per view: those known, else from each image's points in its own frame.

    Without the other order, view 1 has the focal length of view 0 where its own is not known.
    """
    focals = [float(focal_from_pointmap(order.own, method=options.focal)) for order in orders]
    focals += focals[: 2 - len(focals)]
    if options.average_focal and known[0] is None and known[1] is None:
        focals = [sum(focals) / 2] * 2
    found = []
    height, width = orders[0].own.shape[:2]
    for focal, given in zip(focals, known, strict=True):
        # A focal length that is no number or zero would spoil everything after it: a wide view instead.
        usable = focal if math.isfinite(focal) and focal > 1e-3 * width else float(max(height, width))
        K = torch.tensor([[usable, 0, width / 2], [0, usable, height / 2], [0, 0, 1]])
        found.append(K if given is None else given.float())
    return found


def _trusted(orders: Sequence[OrderedPrediction], options: CameraOptions) -> list[Tensor]:
    """Return [H, W] bool per view: pixels of which one order is sure enough."""
    sure = [[orders[0].own_confidence], [orders[0].other_confidence]]
    if len(orders) == 2:
        sure[0].append(orders[1].other_confidence)
        sure[1].append(orders[1].own_confidence)
    return [torch.stack(parts).amax(0) > options.min_confidence for parts in sure]


def _pnp_of_matches(points: Tensor, K: Tensor, matches: Matches, options: CameraOptions) -> PnpResult:
    """Find view 1 from pixels of it that show points [H, W, 3] of view 0's pixels, both on the model grid."""
    column, row = torch.from_numpy(matches.pixels0).long().unbind(1)
    enough = max(12, int(MIN_INLIER_SHARE * len(matches)))
    search = PnpOptions(max_error_px=options.max_error_px, min_inliers=enough)
    return solve_pnp(points[row, column], matches.pixels1, K, search)


def search_pose(points: Tensor, K: Tensor, mask: Tensor, options: CameraOptions) -> PnpResult:
    """Find the camera that saw points [H, W, 3] of another frame, on the pixels of a mask [H, W].

    Raises:
        GeometryError: no pose has enough inliers.
    """
    stride = max(1, math.ceil(math.sqrt(mask.numel() / MAX_CORRESPONDENCES)))
    used = int(mask[::stride, ::stride].sum())
    enough = max(12, int(MIN_INLIER_SHARE * used))
    search = PnpOptions(max_error_px=options.max_error_px, min_inliers=enough)
    return pnp_from_pointmap(points, K, mask, search, stride)


def _in_first_unit(found: PnpResult, orders: Sequence[OrderedPrediction], mask: Tensor) -> Tensor:
    """Turn the pose of camera 0 in camera 1 into that of camera 1 in camera 0, in the unit of the first order."""
    ours, theirs = orders[0].own[..., 2], transform_points(found.T_cam_scene, orders[1].other)[..., 2]
    usable = mask & (ours > 0) & (theirs > 0)
    if not bool(usable.any()):
        raise GeometryError("The two orders share no pixel in front of the camera.")
    T_0_1 = invert(found.T_scene_cam)
    T_0_1[:3, 3] *= float((ours[usable] / theirs[usable]).median())
    return T_0_1


def pose_figures(points: Tensor, mask: Tensor, T_0_1: Tensor, K: Sequence[Tensor]) -> dict[str, float]:
    """Return "overlap" and "parallax_deg" of a pose.

    Args:
        points: [H, W, 3] of view 0 in its own frame.
        mask: [H, W] bool, those that are trusted.
        T_0_1: [4, 4] pose of camera 1 in camera 0.
        K: [3, 3] of both views.

    Returns:
        Share of view 0's trusted points that view 1 sees, and the median angle between the rays to them.
    """
    depth = torch.where(mask, points[..., 2], 0.0)
    trusted = points[mask & (depth > 0)]
    overlap, parallax = 0.0, 0.0
    if len(trusted):
        overlap = view_overlap(depth, K[0], T_0_1, K[1], (points.shape[0], points.shape[1]))
        cosine = torch.cosine_similarity(trusted, trusted - T_0_1[:3, 3], dim=-1)
        parallax = math.degrees(float(cosine.clamp(-1, 1).acos().median()))
    return {"overlap": overlap, "parallax_deg": parallax}
