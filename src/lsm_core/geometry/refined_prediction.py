"""Poses of any model's prediction, made to fit its own Gaussians: what these show from there is the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from lsm_core.errors import GeometryError, InputError, UnsupportedError
from lsm_core.geometry.gaussian_pnp import pose_from_centres
from lsm_core.geometry.pose_gauss_newton import align_camera
from lsm_core.geometry.pose_refinement import RefineOptions, refine_cameras, view_loss
from lsm_core.nn.lpips import Lpips
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians, Prediction

RefineMethod = Literal["adam", "gauss-newton"]
METHODS: tuple[RefineMethod, ...] = ("adam", "gauss-newton")
EXTRA = "pose_refinement"  # where a prediction keeps how its poses were refined
LEAST_UNIT = 0.02  # of the median depth: a baseline this short is no unit to step in


@dataclass(frozen=True, eq=False)
class PoseRefinement:
    """How the pose of one view was refined.

    Attributes:
        view: which.
        method: "adam" or "gauss-newton".
        coarse: where it started: "given", the model's own pose, or "pnp", from the centres of the view's Gaussians.
        start, pose: [4, 4] T_cam0_cam before and after.
        psnr_before, psnr_after: dB of the drawn view against the image.
        steps: of Adam, or views drawn by Gauss-Newton.
        lpips: whether LPIPS was part of the loss; False where its weights are not installed.
    """

    view: int
    method: RefineMethod
    coarse: Literal["given", "pnp"]
    start: Tensor
    pose: Tensor
    psnr_before: float
    psnr_after: float
    steps: int
    lpips: bool


def refine_method(name: str) -> RefineMethod:
    """Return the method of a name.

    Raises:
        InputError: there is none.
    """
    found = next((method for method in METHODS if method == name), None)
    if found is None:
        raise InputError(f"There is no way to refine poses called '{name}'.", f"Use {' or '.join(METHODS)}.")
    return found


def refine_prediction(
    prediction: Prediction,
    method: RefineMethod = "adam",
    options: RefineOptions | None = None,
    lpips: Lpips | None = None,
) -> Prediction:
    """Return a prediction whose poses of views 1 and on are refined; how is in `extras["pose_refinement"]`.

    Each view starts at the model's own pose or at the one that PnP finds from its Gaussians' centres, whichever
    shows its image better. A pose that was not valid and is found here becomes valid. One that gets no better
    stays, and so does everything that is not a pose.

    Args:
        prediction: with Gaussians.
        method: "adam", as NoPoSplat does it, or "gauss-newton", which is much faster and has no LPIPS.
        options: of Adam; the unit is set by the start's baseline.
        lpips: on the prediction's device; None leaves the term out.

    Raises:
        UnsupportedError: the prediction has no Gaussians.
        InputError: there is no such method.
    """
    refine_method(method)
    if prediction.gaussians is None:
        raise UnsupportedError(
            f"'{prediction.backend}' gave no Gaussians, so no view can be drawn to compare.", "Do not refine poses."
        )
    opts = options or RefineOptions()
    poses, valid, records = list(prediction.poses), list(prediction.pose_valid), list[PoseRefinement]()
    for view in range(1, prediction.views):
        found = _refined_view(prediction, prediction.gaussians, view, method, opts, lpips)
        if found is not None:
            poses[view], valid[view] = found.pose.to(poses[view]), True
            records.append(found)
    extras = {**prediction.extras, EXTRA: records}
    return replace(prediction, poses=poses, pose_valid=valid, extras=extras)


def _refined_view(
    prediction: Prediction,
    scene: Gaussians,
    view: int,
    method: RefineMethod,
    options: RefineOptions,
    lpips: Lpips | None,
) -> PoseRefinement | None:
    """Refine one view; None where no start is known."""
    image = torch.from_numpy(prediction.colors[view]).to(scene.means) / 255
    scene = replace(scene, features=None)
    plain = replace(options, weights=replace(options.weights, lpips=0.0))
    starts = _starts(prediction, view)
    if not starts:
        return None
    coarse, camera = min(starts, key=lambda named: view_loss(scene, named[1], image, plain))
    before = drawn_psnr(scene, camera, image)
    if method == "adam":
        descent = refine_cameras(scene, [camera], [image], replace(options, unit=_unit(camera, prediction)), lpips)
        moved, steps, with_lpips = descent.cameras[0], descent.steps, descent.lpips
        better = descent.losses[-1] < descent.losses[0] or options.patience is not None
    else:
        aligned = align_camera(scene, camera, image)
        moved, steps, with_lpips = aligned.camera, len(aligned.losses), False
        better = True  # or where it started
    end = moved if better else camera
    after = drawn_psnr(scene, end, image)
    start = camera.T_scene_cam.detach().clone()
    return PoseRefinement(view, method, coarse, start, end.T_scene_cam.detach(), before, after, steps, with_lpips)


def _starts(prediction: Prediction, view: int) -> Sequence[tuple[Literal["given", "pnp"], Camera]]:
    """Return the poses to start from: the model's own where it is valid, and PnP's where it finds one."""
    found: list[tuple[Literal["given", "pnp"], Camera]] = []
    camera = prediction.camera(view)
    if prediction.pose_valid[view]:
        found.append(("given", camera))
    try:
        coarse = pose_from_centres(prediction, view).T_scene_cam
    except GeometryError:
        return found
    return [*found, ("pnp", replace(camera, T_scene_cam=coarse.to(camera.T_scene_cam)))]


def _unit(camera: Camera, prediction: Prediction) -> float:
    """Return the length that the translation's rate is counted in: the baseline, if it is not too short."""
    depth = prediction.depth(0)
    depth = depth[torch.isfinite(depth) & (depth > 0)]
    least = LEAST_UNIT * float(depth.median()) if depth.numel() else 0.0
    return max(float(camera.T_scene_cam[:3, 3].norm()), least, 1e-6)


def drawn_psnr(scene: Gaussians, camera: Camera, image: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of a drawn view against its image [H, W, 3] in [0, 1]."""
    drawn = render(replace(scene, features=None), camera, picks=False).rgb
    return float(-10 * torch.log10(((drawn - image) ** 2).mean().clamp(min=1e-10)))
