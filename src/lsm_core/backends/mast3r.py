"""MASt3R behind the common API: metric geometry and matches, without language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Image
from lsm_core.backends.dust3r import balls
from lsm_core.backends.mast3r_files import open_mast3r
from lsm_core.backends.mast3r_trunk import Mast3rTrunkBackend, PoseSource, TrunkOptions
from lsm_core.backends.numerics import half_dtype
from lsm_core.nn.mast3r import Mast3r
from lsm_core.nn.precision import TRUNK, store_half
from lsm_core.types import Prediction, ViewFeatures


@dataclass(frozen=True)
class Mast3rOptions(TrunkOptions):
    """See `TrunkOptions`; `size` is the long edge, or 224 or 256 for a square. The pose comes from matches."""

    descriptors: bool = True
    pose: PoseSource = "descriptors"


OPTIONS = Mast3rOptions


class Mast3rBackend(Mast3rTrunkBackend):
    """Two views to pointmaps in metres, confidence, cameras; Gaussians are balls, see `dust3r.balls`.

    Args:
        network: filled, in eval mode, on `device`.
        device: where it runs.
        options: how it works.
    """

    name = "mast3r"

    def __init__(self, network: Mast3r, device: torch.device, options: Mast3rOptions | None = None) -> None:
        self.options = options or Mast3rOptions()
        super().__init__(network, device, self.options)

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
        with self.numerics():
            found = self._decode(first, second)
            matches = self._pose_matches(found, first)
        cameras = self._cameras(found.orders, (first, second), self.options.cameras, matches)
        colors = [view.tensors["colors"] for view in (first, second)]
        points, confidence = zip(*((p.points[0], p.confidence[0]) for p in found.pointmaps), strict=True)
        gaussians = balls(points, confidence, colors)
        return self._prediction((first, second), found.pointmaps, cameras, gaussians)


def load(device: torch.device, weights: Path | None, options: Mast3rOptions | None = None) -> Mast3rBackend:
    """Load MASt3R's file, named itself or by its folder.

    Raises:
        WeightsError: no file was named, or it is missing, damaged, or of another model.
        InputError: no such precision.
    """
    chosen = options or Mast3rOptions()
    half = half_dtype(chosen.precision, chosen.reference)
    network = open_mast3r(weights, chosen.descriptors, chosen.reference)
    if half is not None:
        store_half(network, TRUNK, half)
    return Mast3rBackend(network.requires_grad_(False).to(device), device, chosen)
