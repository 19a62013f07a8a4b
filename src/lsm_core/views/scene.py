"""What pictures are made of: Gaussians, the cameras that saw them, and what their unit is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lsm_core.errors import GeometryError, UnsupportedError
from lsm_core.render.finite import finite_gaussians
from lsm_core.types import Camera, Gaussians, Prediction, Unit

SHOWN = 4  # an input view is kept this much finer than the model's grid


@dataclass(frozen=True, eq=False)
class Scene:
    """Gaussians with what is known about them.

    Attributes:
        gaussians: in one frame; those that are not finite are left out here, with a warning that counts them.
        cameras: of the input views, in that frame, in order; none where they are not known.
        images: [h, w, 3] uint8 RGB, what those cameras saw, `SHOWN` times as fine; may be empty.
        unit: "metric" where a scene unit is a metre.
        backend: that made it, None if not known.
        title: for sheets.
    """

    gaussians: Gaussians
    cameras: tuple[Camera, ...] = ()
    images: tuple[NDArray[np.uint8], ...] = ()
    unit: Unit = "relative"
    backend: str | None = None
    title: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "gaussians", finite_gaussians(self.gaussians, features=True)[0])


def scene_of(prediction: Prediction, images: Sequence[NDArray[np.uint8]], title: str = "") -> Scene:
    """Return what a prediction of some images shows.

    Raises:
        UnsupportedError: its backend makes no Gaussians.
        GeometryError: no pose was found, so the views do not make one scene.
    """
    if prediction.gaussians is None:
        raise UnsupportedError(
            f"Backend '{prediction.backend}' makes no Gaussians, so nothing can be drawn.",
            "Use a backend that does (lsm-tiny, lsm, dust3r).",
        )
    if not all(prediction.pose_valid):
        raise GeometryError(
            "No relative pose could be found between the images, so they do not make one scene.",
            "Use images that share more of the scene and are not too far apart.",
        )
    cameras = tuple(prediction.camera(view) for view in range(prediction.views))
    shown = tuple(
        seen_part(image, prediction.grid_to_image[view], camera.width, camera.height)
        for view, (image, camera) in enumerate(zip(images, cameras, strict=True))
    )
    return Scene(prediction.gaussians, cameras, shown, prediction.unit, prediction.backend, title)


def seen_part(image: NDArray[np.uint8], grid_to_image: Tensor, width: int, height: int) -> NDArray[np.uint8]:
    """Return the part of an image that a model's grid covers, `SHOWN` times as fine as the grid.

    Args:
        image: [H, W, 3] uint8 RGB.
        grid_to_image: [3, 3] affine without rotation, grid pixel to image pixel.
        width, height: of the grid.
    """
    A = grid_to_image.detach().double().cpu().numpy()
    corners = np.array([[-0.5, -0.5, 1], [width - 0.5, height - 0.5, 1]]) @ A[:2].T + 0.5
    limits = np.array([image.shape[1], image.shape[0]], float)
    x0, y0, x1, y1 = np.clip(corners, 0, limits).ravel().tolist()
    picture = Image.fromarray(image).resize(
        (SHOWN * width, SHOWN * height), Image.Resampling.LANCZOS, box=(x0, y0, x1, y1)
    )
    return np.asarray(picture, np.uint8)
