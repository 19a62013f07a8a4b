"""Alignment of target views before they are scored: where the Gaussians show the image best, not where it was.

A model without poses has its own idea of the scene's scale and shape, and a view drawn from the true pose is then
beside the image however good it looks. NoPoSplat's evaluation therefore moves the target cameras first.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lsm_core.geometry.pose_refinement import ALIGN, RefineOptions, refine_cameras
from lsm_core.nn.lpips import Lpips
from lsm_core.types import Camera, Gaussians
from lsm_core.weights.lpips_package import available_lpips


def released_alignment(
    device: torch.device, options: RefineOptions = ALIGN, lpips: Lpips | None = None
) -> Callable[[Gaussians, Camera, Tensor], Camera]:
    """Return the released alignment: 100 steps of Adam on squared error and, where installed, LPIPS.

    Args:
        device: of the Gaussians.
        options: steps, rates and loss.
        lpips: where it is loaded already.

    Returns:
        (Gaussians, camera to start from, image [H, W, 3] float in [0, 1]) -> camera.
    """
    network = available_lpips(device) if lpips is None else lpips

    def align(gaussians: Gaussians, camera: Camera, image: Tensor) -> Camera:
        return refine_cameras(gaussians, [camera], [image], options, network).cameras[0]

    return align
