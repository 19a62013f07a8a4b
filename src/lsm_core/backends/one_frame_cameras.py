"""Cameras of V views whose points are all in camera 0's frame: what a model without poses needs beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lsm_core.backends.pair_content import PairContent
from lsm_core.backends.pair_geometry import CameraOptions, PairGeometry, pose_figures, search_pose, support
from lsm_core.errors import GeometryError
from lsm_core.geometry.focal import focal_from_pointmap
from lsm_core.geometry.opencv_pnp import opencv_pose
from lsm_core.geometry.pair_cameras import MIN_INLIER_SHARE, MIN_INLIERS

FIELD_OF_VIEW_DEG = 60.0  # across the shorter side, where nothing is known of a camera
FOCAL_RANGE = (0.3, 4.0)  # times that of 60 degrees across the longer side: what is believed of points
Solver = Literal["poselib", "opencv"]


@dataclass(frozen=True, eq=False)
class SeenView:
    """One view: its points [h, w, 3] in camera 0's frame, the pixels [h, w] bool to trust, intrinsics [3, 3].

    `content` is what the image and that of view 0 can say of geometry. All on the CPU.
    """

    points: Tensor
    trusted: Tensor
    K: Tensor
    content: PairContent = "two views"


def one_frame_cameras(
    views: Sequence[SeenView], options: CameraOptions, solver: Solver = "poselib"
) -> PairGeometry:
    """Find the pose of each view but the first from its points and pixels.

    Args:
        views: V >= 2; the points of view 0 say how much of it the others see.
        options: thresholds.
        solver: "poselib", refined on all inliers; "opencv" is the search of the released code.

    Returns:
        V poses (NaN where none is found) and intrinsics; validity and stats of the view with the least support.
    """
    worst, stats = 1.0, dict[str, float]()
    poses, valid = [torch.eye(4)], [True]
    for view in views[1:]:
        pose, figures = _pose(views[0], view, options, solver)
        validity = 0.0 if pose is None or view.content == "one view" else support(figures, options)
        poses.append(torch.full((4, 4), torch.nan) if pose is None else pose)
        valid.append(pose is not None)
        if not stats or validity < worst:
            worst, stats = validity, figures
    return PairGeometry(poses, valid, [view.K for view in views], worst, stats)


def _pose(
    first: SeenView, view: SeenView, options: CameraOptions, solver: Solver
) -> tuple[Tensor | None, dict[str, float]]:
    """Return T_cam0_cam of a view, None where there is none, and its figures."""
    if view.content == "one view":
        return torch.eye(4), {"inliers": 0.0, "matches": 0.0, "overlap": 1.0, "parallax_deg": 0.0}
    used = int(view.trusted.sum())
    try:
        if view.content == "blank":
            raise GeometryError("The images show nothing.")
        if solver == "opencv":
            coarse = opencv_pose(view.points, view.K, view.trusted, options.max_error_px)
            if coarse.inlier_count < max(MIN_INLIERS, MIN_INLIER_SHARE * used):
                raise GeometryError(f"OpenCV's pose has {coarse.inlier_count} inliers of {used}.")
            pose, inliers, matches = coarse.T_scene_cam, coarse.inlier_count, used
        else:
            found = search_pose(view.points, view.K, view.trusted, options)
            pose, inliers, matches = found.T_scene_cam, found.inlier_count, len(found.inliers)
    except GeometryError:
        return None, {"inliers": 0.0, "matches": float(used), "overlap": 0.0, "parallax_deg": 0.0}
    figures = pose_figures(first.points, first.trusted, pose, (first.K, view.K))
    return pose, {"inliers": float(inliers), "matches": float(matches), **figures}


def assumed_focal(size: tuple[int, int]) -> float:
    """Return the focal length in pixels that an unknown camera of (height, width) is given."""
    return min(size) / (2 * math.tan(math.radians(FIELD_OF_VIEW_DEG) / 2))


def focal_of_points(points: Tensor, trusted: Tensor, stretch: float = 1.0) -> float | None:
    """Return the focal length in pixels of x that explains where view 0 sees its points, None where none does.

    Args:
        points: [h, w, 3] in the camera's own frame.
        trusted: [h, w] bool.
        stretch: focal length of y over that of x.
    """
    height, width = points.shape[:2]
    usable = points.where((trusted & (points[..., 2] > 0))[..., None], torch.nan) * points.new_tensor(
        [1, stretch, 1]
    )
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    found = float(focal_from_pointmap(usable, centre, "median", FOCAL_RANGE))
    return found if math.isfinite(found) else None
