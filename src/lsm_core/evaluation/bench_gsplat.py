"""What our one call costs beside gsplat's own, on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from lsm_core.evaluation.bench_render import on_device, timed
from lsm_core.evaluation.render_scene import middle_camera, pixel_aligned_scene
from lsm_core.render import render
from lsm_core.render.gsplat import Rasterization, call_arguments
from lsm_core.types import Camera, Gaussians


@dataclass(frozen=True)
class GsplatTimes:
    """Median seconds at 2 size^2 Gaussians and size x size pixels: gsplat's own call and ours.

    Attributes:
        size: pixels.
        plain_rgb_s: `gsplat.rasterization` of colours that are given.
        rgb_s: `render` without picks: spherical harmonics, colour, depth.
        features_s: the same with 64 features, in one call.
        picks_s: and with median depth and the strongest Gaussian.
    """

    size: int
    plain_rgb_s: float
    rgb_s: float
    features_s: float
    picks_s: float


def bench_gsplat(
    rasterization: Rasterization, size: int, repeats: int, seed: int, device: torch.device
) -> GsplatTimes:
    """Time both on the scene of `lsm bench render`."""
    scene, camera = on_device(pixel_aligned_scene(size, 64, seed), device), middle_camera(size)

    def median_s(run: Callable[[], object]) -> float:
        return float(np.median(timed(run, repeats, device)[0]))

    with torch.no_grad():
        return GsplatTimes(
            size,
            median_s(_plain(rasterization, scene, camera)),
            median_s(lambda: render(scene, camera, picks=False)),
            median_s(lambda: render(scene, camera, features=True, picks=False)),
            median_s(lambda: render(scene, camera, features=True)),
        )


def _plain(rasterization: Rasterization, scene: Gaussians, camera: Camera) -> Callable[[], object]:
    """Return gsplat's own call for colours, with everything prepared before."""
    black = torch.zeros(3).to(scene.means)
    arguments = call_arguments(scene, [camera], black, features=False) | {"render_mode": "RGB"}
    return lambda: rasterization(**arguments)
