"""Camera paths through a scene: a turn-table, a flight between the input views, poses of one's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.geometry.camera_path import spline_path
from lsm_core.io.trajectories import Trajectory
from lsm_core.types import Camera
from lsm_core.views.framing import MAX_ANGLE_DEG, Framing, supported_angle, turned
from lsm_core.views.scene import Scene

BOB = 0.3  # the turn-table's camera also rises and sinks, by this share of its angle to the sides
FULL_TURN_DEG = 180.0  # from this angle on the table turns all the way round


def turntable(scene: Scene, framing: Framing, frames: int, angle_deg: float | None = None) -> list[Camera]:
    """Swing about the pivot and back, so that the film repeats without a jump.

    Args:
        scene: what is looked at.
        framing: its middle view.
        frames: how many.
        angle_deg: to each side; None takes what the views support on each side, at most `MAX_ANGLE_DEG`.
            180 and more turns all the way round.

    Returns:
        One camera per frame; the first is the middle view.

    Raises:
        InputError: an angle that is not between 0 and 360.
    """
    if angle_deg is not None and not 0 < angle_deg <= 360:
        raise InputError(f"The angle must be above 0 and at most 360 degrees, got {angle_deg:g}.")
    phase = 2 * np.pi * np.arange(frames) / frames
    if angle_deg is not None and angle_deg >= FULL_TURN_DEG:
        return [turned(framing, float(np.rad2deg(p))) for p in phase]
    if angle_deg is None:
        left = supported_angle(scene.gaussians, framing, lambda a: turned(framing, a), MAX_ANGLE_DEG)
        right = supported_angle(scene.gaussians, framing, lambda a: turned(framing, -a), MAX_ANGLE_DEG)
    else:
        left = right = angle_deg
    middle, swing = (left - right) / 2, (left + right) / 2
    start = np.arcsin(-middle / swing)  # begins at the middle view
    yaw = middle + swing * np.sin(phase + start)
    pitch = BOB * min(left, right) * 0.5 * (1 - np.cos(phase)) * np.sin(phase)
    return [turned(framing, float(y), float(p)) for y, p in zip(yaw, pitch, strict=True)]


def fly_through(scene: Scene, framing: Framing, frames: int) -> list[Camera]:
    """Fly through the input views in order, slowly at both ends.

    With two views the flight goes there and back, so that the film repeats without a jump.

    Raises:
        InputError: the scene has fewer than two cameras.
    """
    if len(scene.cameras) < 2:
        raise InputError(
            "A fly-through needs the cameras of at least two input views, and this scene has none saved with it.",
            "Render the folder that `lsm reconstruct` wrote, two images, or a turn-table (--path turntable).",
        )
    keys = np.stack([c.T_scene_cam.double().cpu().numpy() for c in scene.cameras])
    time = np.arange(frames) / frames if len(keys) == 2 else np.linspace(0, 1, frames) / 2
    return placed(spline_path(keys, 0.5 - 0.5 * np.cos(2 * np.pi * time)), framing)


def along(trajectory: Trajectory, framing: Framing, frames: int | None = None) -> list[Camera]:
    """Take the poses of a trajectory (T_scene_cam) as they are, or `frames` on a smooth path through them.

    Raises:
        InputError: the trajectory is empty.
    """
    if len(trajectory) == 0:
        raise InputError("The path has no poses.", "TUM format: seconds tx ty tz qx qy qz qw, one pose per line.")
    if frames is None:
        return placed(trajectory.poses, framing)
    return placed(spline_path(trajectory.poses, np.linspace(0, 1, frames)), framing)


def placed(poses: NDArray[np.float64], framing: Framing) -> list[Camera]:
    """Return the framing's camera at each of some poses [N, 4, 4]."""
    return [replace(framing.camera, T_scene_cam=torch.from_numpy(T).float()) for T in poses]
