"""Scenes from disk: what `lsm reconstruct` leaves, or a file of Gaussians by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lsm_core.errors import FileFormatError
from lsm_core.io import read_image, read_scene, read_tum
from lsm_core.io.encoded_pictures import check_picture_size
from lsm_core.io.file_bytes import file_bytes
from lsm_core.types import Camera, Gaussians, Unit
from lsm_core.views.lens import pinhole
from lsm_core.views.scene import Scene, seen_part

_FIX = "Name a folder that `lsm reconstruct` wrote, a file of Gaussians, or two images."
ANY_FOV_DEG = 60.0  # where nothing is known of the lens


def open_scene(path: str | Path) -> Scene:
    """Read a scene.

    Args:
        path: the folder of `lsm reconstruct`, or a file of Gaussians of any format that is read. Its gaussians.ply
            brings the folder's cameras with it.

    Raises:
        FileFormatError: nothing there, or nothing that can be drawn.
    """
    given = Path(path)
    if not given.exists():
        raise FileFormatError(f"There is no '{given}'.", _FIX)
    folder = given if given.is_dir() else given.parent
    file = folder / "gaussians.ply" if given.is_dir() else given
    if not file.is_file():
        raise FileFormatError(f"The folder '{folder}' has no gaussians.ply.", _FIX)
    gaussians = read_scene(file)
    beside = file.name == "gaussians.ply"
    if beside and (folder / "poses.json").is_file():
        return _pair(folder, gaussians)
    if beside and (folder / "summary.json").is_file():
        return _map(folder, gaussians)
    return Scene(gaussians, title=file.name)


def _pair(folder: Path, gaussians: Gaussians) -> Scene:
    """Add the cameras of poses.json, each on the grid that its depth image has."""
    record = _json(folder / "poses.json")
    try:
        views = [view for view in record["views"] if view["pose_valid"]]
        placed = [_view(folder, view) for view in views]
        names = [Path(view["image"]).name for view in views]
        unit: Unit = "metric" if record["unit"] == "metre" else "relative"
        backend = str(record["backend"])
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"'{folder / 'poses.json'}' lacks {error}.", "Reconstruct the scene again."
        ) from error
    cameras, images = [camera for camera, _ in placed], [image for _, image in placed]
    kept = tuple(image for image in images if image is not None)
    return Scene(
        gaussians, tuple(cameras), kept if len(kept) == len(images) else (), unit, backend, " + ".join(names)
    )


def _view(folder: Path, view: dict[str, Any]) -> tuple[Camera, Any]:
    """Return the camera of a view on the model's grid, and its image there if the file is still in place."""
    depth = folder / Path(view["depth"]).name  # beside the record, whatever path a foreign one names
    width, height = check_picture_size(file_bytes(depth), f"'{depth}'")
    grid_to_image = torch.tensor(view["depth_pixel_to_image_pixel"], dtype=torch.float64)
    K = (torch.linalg.inv(grid_to_image) @ torch.tensor(view["K"], dtype=torch.float64)).float()
    camera = Camera(K, width, height, torch.tensor(view["T_cam0_cam"], dtype=torch.float32))
    source = Path(view["image"])
    if not source.is_file():
        return camera, None
    try:
        image = read_image(source)
    except FileFormatError:
        return camera, None
    return camera, seen_part(image, grid_to_image, width, height)


def _map(folder: Path, gaussians: Gaussians) -> Scene:
    """Add the keyframes' poses of a mapped bag, with the lens of its summary (a usual one where there is none)."""
    record = _json(folder / "summary.json")
    try:
        lens = _lens(record.get("lens"))
        segments = record.get("segments") or [{}]
        unit: Unit = "metric" if segments[0].get("metres_per_unit") is not None else "relative"
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"'{folder / 'summary.json'}' lacks {error}.", "Map the bag again.") from error
    cameras: list[Camera] = []
    if (folder / "trajectory.tum").is_file():
        poses = read_tum(folder / "trajectory.tum").poses
        cameras = [replace(lens, T_scene_cam=torch.from_numpy(T).float()) for T in poses]
    return Scene(gaussians, tuple(cameras), (), unit, record.get("backend"), folder.name)


def _lens(record: dict[str, Any] | None) -> Camera:
    """Return the camera, at the origin, that a summary speaks of."""
    if record is None:
        return pinhole(640, 480, ANY_FOV_DEG, torch.eye(4))
    width, height = (int(side) for side in record["size"])
    return Camera(torch.tensor(record["K"], dtype=torch.float32), width, height)


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"'{file}' cannot be read: {error}.", "Reconstruct the scene again.") from error
    if not isinstance(data, dict):
        raise FileFormatError(f"'{file}' is no record of a scene.", "Reconstruct the scene again.")
    return data
