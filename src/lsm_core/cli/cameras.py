"""Cameras that stand in files: the `poses.json` of two images, the trajectory of a bag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_core.cli.render import pinhole
from lsm_core.errors import FileFormatError, InputError
from lsm_core.io import Trajectory, read_tum
from lsm_core.types import Camera

MAX_CAMERAS = 60
NAMES = ("poses.json", "trajectory.tum")
ANY_CAMERA = (640, 480)  # pixels, where a file says nothing of the camera


def scene_cameras(scene: Path, chosen: Path | None, fov_deg: float) -> list[Camera]:
    """Return the cameras that a scene was seen with.

    Args:
        scene: the file of Gaussians.
        chosen: `poses.json` or a TUM trajectory; by default one that lies beside the scene, and where there is none
            a single camera at the frame's origin.
        fov_deg: horizontal field of view where the file has none.

    Raises:
        InputError: a file of another kind.
        FileFormatError: missing or damaged.
    """
    beside = (scene.with_name(name) for name in NAMES)
    file = chosen or next((path for path in beside if path.is_file()), None)
    if file is None:
        return [pinhole(*ANY_CAMERA, fov_deg, torch.eye(4))]
    if file.suffix.lower() == ".json":
        return [camera for _, camera in read_pair_cameras(file)]
    if file.suffix.lower() != ".tum":
        raise InputError(f"'{file}' is neither poses.json nor a TUM trajectory.", "Pass one of these as --cameras.")
    poses = read_tum(file).poses
    kept = np.unique(np.linspace(0, len(poses) - 1, min(MAX_CAMERAS, len(poses))).round().astype(int))
    return [pinhole(*ANY_CAMERA, fov_deg, torch.from_numpy(poses[i]).float()) for i in kept]


def read_pair_cameras(path: Path) -> list[tuple[int, Camera]]:
    """Return index and camera of every placed image of a `poses.json`.

    Raises:
        FileFormatError: missing, or not written by `lsm reconstruct`.
    """
    if not path.is_file():
        raise FileFormatError(f"There is no file '{path}'.", "Check the path.")
    try:
        views = json.loads(path.read_text(encoding="utf-8"))["views"]
        return [(index, _camera(view)) for index, view in enumerate(views) if view["pose_valid"]]
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise FileFormatError(f"'{path}' is no poses.json of `lsm reconstruct`: {error}.") from error


def _camera(view: dict[str, Any]) -> Camera:
    """Return the camera of one entry."""
    width, height = (int(side) for side in view["size"])
    K, T = (torch.tensor(view[name], dtype=torch.float32) for name in ("K", "T_cam0_cam"))
    return Camera(K, width, height, T)


def pair_trajectory(path: Path) -> Trajectory:
    """Return the poses of a `poses.json`; an image's stamp is its number, in seconds.

    Raises:
        FileFormatError: missing, or not written by `lsm reconstruct`.
    """
    cameras = read_pair_cameras(path)
    stamps = np.array([index * 10**9 for index, _ in cameras], np.int64)
    poses = [camera.T_scene_cam.double().numpy() for _, camera in cameras]
    return Trajectory(stamps, np.stack(poses) if poses else np.empty((0, 4, 4)))
