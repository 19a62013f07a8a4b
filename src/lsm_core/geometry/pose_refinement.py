"""Camera poses by descent on the difference of drawn views and images, as NoPoSplat's evaluation does it.

Per step the pose is T_cam_scene <- Exp(rho, theta) T_cam_scene: Adam moves a twist that starts at zero in every
step, and keeps its moments from step to step. The gradient comes through the rasterizer and is the true one; the
released code leaves out a rotation in the part that colours have by the direction they are seen from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.geometry.photometric import ALIGN_WEIGHTS, POSE_WEIGHTS, PhotometricTarget, PhotometricWeights
from lsm_core.geometry.se3 import invert, se3_exp
from lsm_core.nn.lpips import Lpips
from lsm_core.render import choose_rasterizer, get_rasterizer
from lsm_core.render.finite import finite_gaussians
from lsm_core.types import Camera, Gaussians

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RefineOptions:
    """How poses are refined; the defaults are those of NoPoSplat's pose search.

    Attributes:
        steps: of Adam, at most.
        rotation_rate: radians that a first step turns.
        translation_rate: units that a first step moves.
        unit: what the translation's rate is counted in, in units of the scene; NoPoSplat's scenes have a baseline
            of about 1.
        weights: of the terms of the loss.
        patience: stop after this many steps that did not lower the loss; None goes on to the end, as the release.
        min_gain: share of the loss that counts as lower.
        background: RGB behind the Gaussians.
    """

    steps: int = 200
    rotation_rate: float = 0.005
    translation_rate: float = 0.005
    unit: float = 1.0
    weights: PhotometricWeights = POSE_WEIGHTS
    patience: int | None = None
    min_gain: float = 1e-3
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)


ALIGN = RefineOptions(steps=100, weights=ALIGN_WEIGHTS)


@dataclass(frozen=True, eq=False)
class RefinedCameras:
    """What the descent found.

    Attributes:
        cameras: as given, but for their poses: the last ones, or with `patience` those of the lowest loss.
        losses: mean over the cameras before each step, and at the end.
        steps: taken.
        lpips: whether LPIPS was part of the loss.
    """

    cameras: list[Camera]
    losses: list[float]
    steps: int
    lpips: bool


def refine_cameras(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    images: Sequence[Tensor],
    options: RefineOptions | None = None,
    lpips: Lpips | None = None,
    progress: Progress | None = None,
) -> RefinedCameras:
    """Move cameras until what they see of the Gaussians looks like their images.

    With `ALIGN` this is the alignment of target views before they are scored; the cameras are moved together, which
    is as if each was moved alone: Adam does not see a factor.

    Args:
        gaussians: the scene; it is not changed.
        cameras: where to start.
        images: per camera [H, W, 3] float in [0, 1] of its size.
        options: steps, rates, loss.
        lpips: on the Gaussians' device; without it that term is off, and the result says so.
        progress: told of (steps done, steps at most).

    Raises:
        InputError: not one image of the right size per camera, or options out of range.
    """
    opts = options or RefineOptions()
    _check(cameras, images, opts)
    # What a model made in inference mode cannot be part of a gradient's path; copies can.
    with torch.inference_mode(False), torch.enable_grad():
        scene = _copied(gaussians)
        own = [replace(c, K=c.K.clone(), T_scene_cam=c.T_scene_cam.clone()) for c in cameras]
        return _descend(scene, own, [image.clone() for image in images], opts, lpips, progress)


def _descend(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    images: Sequence[Tensor],
    opts: RefineOptions,
    lpips: Lpips | None,
    progress: Progress | None,
) -> RefinedCameras:
    """Do the work of `refine_cameras` on tensors of its own."""
    scene, _ = finite_gaussians(gaussians, False)
    targets = [PhotometricTarget(image.to(scene.means), opts.weights, lpips) for image in images]
    motion = _Motion(cameras, opts)
    losses: list[float] = []
    best, best_poses, since = math.inf, motion.poses, 0
    for step in range(opts.steps + 1):
        with torch.set_grad_enabled(step < opts.steps):
            loss = _loss(scene, cameras, targets, motion.moved(), opts)
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(step, opts.steps)
        since = 0 if losses[-1] < best * (1 - opts.min_gain) else since + 1
        if losses[-1] < best:
            best, best_poses = losses[-1], motion.poses
        if step == opts.steps or (opts.patience is not None and since >= opts.patience):
            break
        motion.descend(loss)
    found = motion.poses if opts.patience is None else best_poses
    moved = [replace(c, T_scene_cam=invert(T).to(c.T_scene_cam)) for c, T in zip(cameras, found, strict=True)]
    return RefinedCameras(moved, losses, len(losses) - 1, any(target.uses_lpips for target in targets))


def view_loss(
    gaussians: Gaussians, camera: Camera, image: Tensor, options: RefineOptions, lpips: Lpips | None = None
) -> float:
    """Return the loss of one camera as it stands."""
    with torch.no_grad():
        target = PhotometricTarget(image.to(gaussians.means), options.weights, lpips)
        return float(_loss(gaussians, [camera], [target], camera.T_cam_scene[None], options))


class _Motion:
    """Poses T_cam_scene [V, 4, 4], and the twists that Adam moves them by."""

    def __init__(self, cameras: Sequence[Camera], options: RefineOptions) -> None:
        self.poses = torch.stack([camera.T_cam_scene.detach().float().cpu() for camera in cameras])
        self._unit = options.unit
        self._shifts, self._turns = (torch.zeros(len(cameras), 3, requires_grad=True) for _ in range(2))
        groups = [(self._turns, options.rotation_rate), (self._shifts, options.translation_rate)]
        self._adam = torch.optim.Adam([{"params": [twist], "lr": rate} for twist, rate in groups])

    def moved(self) -> Tensor:
        """Return the poses, moved by twists of zero: what gradients go through."""
        return se3_exp(torch.cat([self._unit * self._shifts, self._turns], 1)) @ self.poses

    def descend(self, loss: Tensor) -> None:
        """Take one step, and start from zero again where it led."""
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        with torch.no_grad():
            self.poses = self.moved()
            self._shifts.zero_()
            self._turns.zero_()


def _loss(
    scene: Gaussians,
    cameras: Sequence[Camera],
    targets: Sequence[PhotometricTarget],
    T_cam_scene: Tensor,
    options: RefineOptions,
) -> Tensor:
    """Return the mean loss of the cameras at poses [V, 4, 4]."""
    at = invert(T_cam_scene)
    views = [replace(c, T_scene_cam=T) for c, T in zip(cameras, at, strict=True)]
    background = scene.means.new_tensor(options.background)
    drawn = get_rasterizer(choose_rasterizer(scene))(scene, views, background, False, False)
    return torch.stack([target.loss(view.rgb) for target, view in zip(targets, drawn, strict=True)]).mean()


def _copied(gaussians: Gaussians) -> Gaussians:
    """Return a copy without language features and without gradients."""
    parts = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh)
    return Gaussians(*(part.detach().clone() for part in parts))


def _check(cameras: Sequence[Camera], images: Sequence[Tensor], options: RefineOptions) -> None:
    if not cameras or len(images) != len(cameras):
        raise InputError(f"{len(images)} images for {len(cameras)} cameras.", "Pass one image per camera.")
    for camera, image in zip(cameras, images, strict=True):
        if tuple(image.shape) != (camera.height, camera.width, 3):
            raise InputError(
                f"An image is {tuple(image.shape)}, and its camera {camera.height}x{camera.width}.",
                "Resize the image, or use Camera.resized.",
            )
    if options.steps < 1 or not options.unit > 0 or (options.patience is not None and options.patience < 1):
        raise InputError("Refinement needs steps and patience of 1 or more and a unit above 0.")
