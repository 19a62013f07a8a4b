"""Where the cameras of some images stood, for backends that must be told: from a file, or from another backend."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends import Backend, load_backend
from lsm_core.cli.console import err
from lsm_core.errors import FileFormatError, GeometryError, InputError
from lsm_core.types import Prediction, Unit

ESTIMATOR = "lsm-tiny"
Matrix = NDArray[np.float64]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class KnownCameras:
    """What `predict` is told of the cameras.

    Attributes:
        poses: per image [4, 4] camera to a frame they share, None to leave them to the backend.
        intrinsics: per image [3, 3] in its pixels, None to leave them to the backend.
        sources: "poses_from" and "intrinsics_from", where they are known: a file, a backend, or "given".
        unit: of the poses, "metric" where their source says so.
        validity: in [0, 1], of the poses, as their source has it; 1 where it has none.
    """

    poses: list[Matrix] | None
    intrinsics: list[Matrix] | None
    sources: dict[str, str] = field(default_factory=dict)
    unit: Unit = "relative"
    validity: float = 1.0

    def judged(self, prediction: Prediction) -> Prediction:
        """Return a prediction that was told these poses: in their unit, and no more valid than they are."""
        if self.poses is None:
            return prediction
        return replace(prediction, unit=self.unit, validity=min(prediction.validity, self.validity))


@dataclass(frozen=True, eq=False)
class CameraSource:
    """Cameras as a file or a backend has them; intrinsics None where it has none."""

    poses: list[Matrix]
    intrinsics: list[Matrix] | None = None
    unit: Unit = "relative"
    validity: float = 1.0


def known_cameras(
    model: Backend,
    images: Sequence[Rgb],
    K: Matrix | None = None,
    file: Path | None = None,
    estimator: str | None = None,
    estimator_weights: Path | None = None,
) -> KnownCameras:
    """Find the cameras that a backend must be told; others get only what the user gave.

    Args:
        model: that will predict.
        images: [H, W, 3] uint8 each.
        K: given by the user for all images.
        file: of poses, see `read_cameras`.
        estimator: backend that estimates what is missing; lsm-tiny by default.
        estimator_weights: its file or folder; None for weights shipped in the package.

    Raises:
        InputError: both a file and an estimator, or more images than the estimator takes.
        GeometryError: the estimator finds no pose.
        FileFormatError: the file holds no poses of these images.
    """
    if file is not None and estimator is not None:
        raise InputError("--poses and --poses-from exclude each other.", "Leave one out.")
    given = None if K is None else [K] * len(images)
    sources = {} if K is None else {"intrinsics_from": "given"}
    placed: CameraSource | None = None
    if file is not None:
        placed = read_cameras(file, len(images))
        sources["poses_from"] = file.name
        if given is None and placed.intrinsics is not None:
            given, sources["intrinsics_from"] = placed.intrinsics, file.name
    wanted = (model.needs_poses or estimator is not None) and placed is None
    if wanted or (model.needs_intrinsics and given is None):
        name = estimator or ESTIMATOR
        estimated = _estimated(name, estimator_weights, images, given, str(model.device), wanted)
        if wanted:
            placed, sources["poses_from"] = estimated, name
        if given is None:
            given, sources["intrinsics_from"] = estimated.intrinsics, name
    if placed is None:
        return KnownCameras(None, given, sources)
    return KnownCameras(placed.poses, given, sources, placed.unit, placed.validity)


def read_cameras(path: Path, count: int) -> CameraSource:
    """Read the poses of some images, in their order, and what else the file says of them.

    Args:
        path: poses.json of `lsm reconstruct`, a JSON list of 4x4 matrices (camera to a frame they share), or a TUM
            file with one line per image.
        count: of the images.

    Raises:
        FileFormatError: it is none of these, or holds another number of poses.
    """
    if path.suffix.lower() == ".json":
        found = _read_json(path)
    else:
        from lsm_core.io import read_tum

        found = CameraSource(list(read_tum(path).poses))
    if len(found.poses) != count:
        raise FileFormatError(
            f"{path} holds {len(found.poses)} poses for {count} images.",
            "Give one per image, in the order of the images.",
        )
    return found


def _read_json(path: Path) -> CameraSource:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        views = document["views"] if isinstance(document, dict) else None
        if views is None:
            return CameraSource([_matrix(pose, 4) for pose in document])
        poses = [_matrix(view["T_cam0_cam"], 4) for view in views]
        known = all(view.get("K") is not None for view in views)
        unit: Unit = "metric" if document.get("unit") == "metre" else "relative"
        intrinsics = [_matrix(view["K"], 3) for view in views] if known else None
        return CameraSource(poses, intrinsics, unit, float(document.get("validity", 1.0)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(
            f"{path} holds no poses: {error}.",
            "Give the poses.json of lsm reconstruct, a JSON list of 4x4 matrices (camera to a frame they share), "
            "or a TUM file with a line per image.",
        ) from error


def _matrix(value: Any, side: int) -> Matrix:
    matrix = np.asarray(value, dtype=np.float64)
    if matrix.shape != (side, side):
        raise ValueError(f"a matrix has the shape {matrix.shape}, not {side}x{side}")
    return matrix


def _estimated(
    name: str, weights: Path | None, images: Sequence[Rgb], K: list[Matrix] | None, device: str, posed: bool
) -> CameraSource:
    """Return what another backend finds; with `posed`, all poses are found."""
    with err.status(f"Estimating cameras with {name} ..."):
        model = load_backend(name, device, weights)
        if model.needs_poses:
            raise InputError(f"'{name}' needs poses itself.", f"Use --poses-from {ESTIMATOR}, or --poses FILE.")
        if len(images) > model.max_views:
            raise InputError(
                f"{name} takes {model.max_views} images, so it cannot place {len(images)}.", "Give --poses FILE."
            )
        found = model.predict(list(images), K)
        model.close()
    if posed and not all(found.pose_valid):
        raise GeometryError(
            f"{name} finds no relative pose of these images.",
            "Give --poses FILE, or images that share more of the scene and are not too far apart.",
        )
    lenses = zip(found.grid_to_image, found.intrinsics, strict=True)
    intrinsics = [(to_image.double().cpu() @ lens.double().cpu()).numpy() for to_image, lens in lenses]
    return CameraSource([T.double().cpu().numpy() for T in found.poses], intrinsics, found.unit, found.validity)
