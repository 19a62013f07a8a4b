"""Where to look at a scene from, what to turn about, and how far one may turn before there is nothing to see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.geometry.camera_path import spline_path
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians, RenderResult
from lsm_core.views.lens import fitted, pinhole
from lsm_core.views.scene import Scene

PROBE_WIDTH = 96  # pixels of the small pictures that judge a view
NEAR_SHARE = 0.04  # of the distance to the pivot: what is nearer is not drawn
MAX_ANGLE_DEG = 20.0  # to each side, where nobody asked for more
STEP_DEG = 2.5
KEPT_COVERAGE = 0.85  # of the cover at the middle: less, and the view shows more hole than scene
CLEARANCE = 0.25  # of the distance to the pivot: a surface this near in front of the camera ends the turn
DEFAULT_FOV_DEG = 60.0


@dataclass(frozen=True)
class Framing:
    """A place to look from.

    Attributes:
        camera: in the middle of the input views (or before the cloud); its size and lens are those of the pictures.
        pivot: [3] float64, the confident surface in the middle of that view; a turn-table turns about it.
        distance: from the camera to the pivot, scene units.
    """

    camera: Camera
    pivot: NDArray[np.float64]
    distance: float


@dataclass(frozen=True)
class Probe:
    """What a small picture says of a view: its covered share, and its nearest surface (1 %; inf if empty)."""

    coverage: float
    nearest: float


def frame_scene(scene: Scene, width: int, height: int, fov_deg: float | None = None) -> Framing:
    """Choose the middle view of a scene and what it looks at.

    Args:
        scene: with at least one Gaussian.
        width, height: of the pictures, pixels.
        fov_deg: horizontal; None takes that of the input views.

    Raises:
        InputError: there are no Gaussians.
    """
    if len(scene.gaussians) == 0:
        raise InputError("The scene has no Gaussians, so there is nothing to draw.")
    means = confident_means(scene.gaussians)
    if scene.cameras:
        keys = np.stack([c.T_scene_cam.double().cpu().numpy() for c in scene.cameras])
        pose = spline_path(keys, np.array([0.5]))[0]
        lens = fitted(scene.cameras[0], width, height)
    else:
        pose, lens = _before(means), pinhole(width, height, DEFAULT_FOV_DEG, torch.eye(4))
    if fov_deg is not None:
        lens = pinhole(width, height, fov_deg, torch.eye(4))
    seen = (means - pose[:3, 3]) @ pose[:3, :3]
    K = lens.K.double().cpu().numpy()
    z = np.where(seen[:, 2] > 1e-6, seen[:, 2], np.nan)
    across, down = np.abs(K[0, 0] * seen[:, 0] / z) / (width / 2), np.abs(K[1, 1] * seen[:, 1] / z) / (height / 2)
    for share in (0.5, 1.0, np.inf):
        inside = np.nan_to_num(across, nan=np.inf) < share
        inside &= np.nan_to_num(down, nan=np.inf) < share
        if inside.sum() >= min(50, len(means)):
            break
    distance = float(np.median(z[inside])) if inside.any() else float(np.linalg.norm(seen, axis=1).mean() or 1.0)
    camera = replace(lens, T_scene_cam=torch.from_numpy(pose).float(), near=NEAR_SHARE * distance)
    return Framing(camera, pose[:3, 3] + distance * pose[:3, 2], distance)


def confident_means(gaussians: Gaussians) -> NDArray[np.float64]:
    """Return the means [M, 3] of the more opaque half of the Gaussians, without the 1 % farthest out."""
    keep = torch.isfinite(gaussians.means).all(1) & (gaussians.opacities >= gaussians.opacities.median())
    means = gaussians.means[keep].detach().double().cpu().numpy()
    low, high = np.percentile(means, (1, 99), axis=0)
    inner = ((means >= low) & (means <= high)).all(1)
    return means[inner] if inner.sum() >= 10 else means


def turned(framing: Framing, yaw_deg: float, pitch_deg: float = 0.0) -> Camera:
    """Return the camera swung about the pivot: positive yaw moves it to the left, positive pitch up."""
    T = framing.camera.T_scene_cam.double()
    yaw, pitch = np.deg2rad(yaw_deg), np.deg2rad(pitch_deg)
    about_y = torch.tensor(
        [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]], dtype=torch.float64
    )
    about_x = torch.tensor(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]], dtype=torch.float64
    )
    R = T[:3, :3] @ about_y @ about_x
    out = torch.eye(4, dtype=torch.float64)
    out[:3, :3] = R
    out[:3, 3] = torch.from_numpy(framing.pivot) - framing.distance * R[:, 2]
    return replace(framing.camera, T_scene_cam=out.float())


def probe(gaussians: Gaussians, camera: Camera) -> Probe:
    """Judge a view by a small picture of it."""
    seen = render_small(gaussians, camera)
    covered: Tensor = seen.alpha > 0.5
    depth = seen.depth[covered]
    nearest = float(torch.quantile(depth.float(), 0.01)) if len(depth) else float("inf")
    return Probe(float(covered.float().mean()), nearest)


def render_small(gaussians: Gaussians, camera: Camera) -> RenderResult:
    """Draw a view without features, at most `PROBE_WIDTH` wide."""
    width = min(PROBE_WIDTH, camera.width)
    small = camera.resized(width, max(1, round(camera.height * width / camera.width)))
    return render(replace(gaussians, features=None), small)


def supported_angle(
    gaussians: Gaussians, framing: Framing, view: Callable[[float], Camera], limit_deg: float = MAX_ANGLE_DEG
) -> float:
    """Return how far one may turn to one side, degrees in steps of `STEP_DEG`, at least one step.

    The turn ends where the picture loses too much of its cover or a surface comes too near the camera.

    Args:
        gaussians: the scene.
        framing: its middle view.
        view: camera for an angle of that side.
        limit_deg: never more than this.
    """
    middle = probe(gaussians, framing.camera)
    angle = STEP_DEG
    while angle + STEP_DEG <= limit_deg:
        found = probe(gaussians, view(angle + STEP_DEG))
        closest = min(CLEARANCE * framing.distance, 0.5 * middle.nearest)
        if found.coverage < KEPT_COVERAGE * middle.coverage or found.nearest < closest:
            break
        angle += STEP_DEG
    return angle


def _before(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a pose for a scene without cameras: the origin if the scene lies before it, else a step back from it.

    `lsm reconstruct` puts the origin into the first camera, looking along z.
    """
    pose = np.eye(4)
    in_front = means[:, 2] > 0
    inside = in_front & (np.abs(means[:, :2]) < np.tan(np.deg2rad(DEFAULT_FOV_DEG / 2)) * means[:, 2:]).all(1)
    if inside.mean() < 0.6:
        middle, size = (
            np.median(means, 0),
            float(np.percentile(np.linalg.norm(means - np.median(means, 0), axis=1), 95)),
        )
        pose[:3, 3] = middle - [0, 0, 1.1 * max(size, 1e-3) / np.sin(np.deg2rad(DEFAULT_FOV_DEG / 2))]
    return pose
