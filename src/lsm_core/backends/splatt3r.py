"""Splatt3R behind the common API: metric geometry and Gaussians, without language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Image
from lsm_core.backends.mast3r_files import open_splatt3r
from lsm_core.backends.mast3r_trunk import Mast3rTrunkBackend, TrunkOptions
from lsm_core.backends.numerics import half_dtype
from lsm_core.nn.pixel_gaussians import joined
from lsm_core.nn.precision import GAUSSIANS, TRUNK, store_half
from lsm_core.nn.splatt3r import Splatt3r
from lsm_core.sh import drawable
from lsm_core.types import Prediction, ViewFeatures


@dataclass(frozen=True)
class Splatt3rOptions(TrunkOptions):
    """See `TrunkOptions`; `size` is the side of the square that is cut from the middle of each image."""


OPTIONS = Splatt3rOptions


class Splatt3rBackend(Mast3rTrunkBackend):
    """Two views to pointmaps and Gaussians in metres, and cameras.

    Args:
        network: filled, in eval mode, on `device`.
        device: where it runs.
        options: how it works.
    """

    name = "splatt3r"

    def __init__(self, network: Splatt3r, device: torch.device, options: Splatt3rOptions | None = None) -> None:
        self.options = options or Splatt3rOptions()
        super().__init__(network, device, self.options, square=True)
        self.network = network

    @torch.inference_mode()
    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct two views in the frame of camera 0, in metres; see `Backend.predict`."""
        first, second = self._two_views(views, intrinsics, poses)
        images = [view.tensors["image"] for view in (first, second)]
        with self.numerics():
            found = self._decode(first, second)
            scene = self.network.scene(found.layers, found.pointmaps, images)
            matches = self._pose_matches(found, first)
        cameras = self._cameras(found.orders, (first, second), self.options.cameras, matches)
        gaussians = joined(scene, drawable(self.network.sizes.sh_coefficients))
        return self._prediction((first, second), found.pointmaps, cameras, gaussians)


def load(device: torch.device, weights: Path | None, options: Splatt3rOptions | None = None) -> Splatt3rBackend:
    """Load Splatt3R's file, named itself or by its folder.

    Raises:
        WeightsError: no file was named, or it is missing, damaged, or of another model.
        InputError: no such precision.
    """
    chosen = options or Splatt3rOptions()
    half = half_dtype(chosen.precision, chosen.reference)
    network = open_splatt3r(weights, chosen.descriptors, chosen.reference)
    if half is not None:
        store_half(network, (*TRUNK, *GAUSSIANS), half)
    return Splatt3rBackend(network.requires_grad_(False).to(device), device, chosen)
