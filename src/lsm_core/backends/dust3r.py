"""DUSt3R on its own behind the common API: geometry without language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Image, free_memory
from lsm_core.backends.checkpoint_kinds import check_kind
from lsm_core.backends.lsm_files import file_in, with_second_decoder
from lsm_core.backends.lsm_keys import DUST3R_RULES
from lsm_core.backends.lsm_sizes import dust3r_sizes
from lsm_core.backends.pair_backend import Crop, PairBackend, both_orders
from lsm_core.backends.pair_geometry import CameraOptions
from lsm_core.nn.dust3r import Dust3r
from lsm_core.nn.gaussian_head import point_spacing
from lsm_core.sh import C0
from lsm_core.types import Gaussians, Prediction, ViewFeatures
from lsm_core.weights import load_strict
from lsm_core.weights.files import read_checkpoint

OPACITY_GAIN = 4.0  # a pixel of confidence 1, the lowest, still hides most of what is behind it
MULTIPLE = 16


@dataclass(frozen=True)
class Dust3rOptions:
    """How the backend works: size and kind of the crop (see `PairBackend`), and how cameras are recovered."""

    size: int = 512
    crop: Crop = "middle"
    cameras: CameraOptions = field(default_factory=CameraOptions)


OPTIONS = Dust3rOptions


class Dust3rBackend(PairBackend):
    """Two views to pointmaps, confidence and cameras; Gaussians are balls as wide as the points are apart.

    Args:
        network: filled, in eval mode, on `device`.
        device: where it runs.
        options: how it works.
    """

    name = "dust3r"

    def __init__(self, network: Dust3r, device: torch.device, options: Dust3rOptions | None = None) -> None:
        self.options = options or Dust3rOptions()
        super().__init__(device, self.options.size, MULTIPLE, self.options.crop)
        self.network = network

    def _view_tensors(self, image: Tensor) -> Mapping[str, Tensor]:
        view = self.network.encode(image)
        return {"tokens": view.tokens, "positions": view.positions}

    @torch.inference_mode()
    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct two views in the frame of camera 0; see `Backend.predict`."""
        first, second = self._two_views(views, intrinsics, poses)
        pointmaps, orders = both_orders(self.network, first, second)
        cameras = self._cameras(orders, (first, second), self.options.cameras)
        colors = [view.tensors["colors"] for view in (first, second)]
        points, confidence = [p.points[0] for p in pointmaps], [p.confidence[0] for p in pointmaps]
        gaussians = balls(points, confidence, colors)
        return self._prediction((first, second), pointmaps, cameras, gaussians)

    def close(self) -> None:
        """Give back device memory."""
        free_memory(self.network)


def balls(points: Sequence[Tensor], confidence: Sequence[Tensor], colors: Sequence[Tensor]) -> Gaussians:
    """Return one round Gaussian per pixel, its radius half the distance to its neighbours.

    Args:
        points: [h, w, 3] per view, one frame.
        confidence: [h, w] >= 1 per view.
        colors: [h, w, 3] uint8 per view.
    """
    means = torch.cat([p.flatten(0, 1) for p in points])
    rgb = torch.cat([c.flatten(0, 1) for c in colors]).to(means) / 255
    radius = 0.5 * point_spacing(means[None])[0]
    sure = torch.cat([c.flatten() for c in confidence])
    quats = means.new_tensor([1.0, 0, 0, 0]).expand(len(means), 4)
    opacity = 1 - 1 / (1 + OPACITY_GAIN * sure)
    return Gaussians(means, quats, radius[:, None].expand(-1, 3), opacity, ((rgb - 0.5) / C0)[:, None])


def load(device: torch.device, weights: Path | None, options: Dust3rOptions | None = None) -> Dust3rBackend:
    """Load DUSt3R's file, named itself or by its folder.

    Raises:
        WeightsError: no file was named, or it is missing, damaged, or of another model.
    """
    path = file_in(weights, "dust3r")
    file = read_checkpoint(path)
    check_kind(file, "dust3r")
    state = with_second_decoder(file.tensors)
    with torch.device("meta"):
        network = Dust3r(dust3r_sizes(state, str(path))).eval()
    load_strict(network, state, DUST3R_RULES, str(path))
    return Dust3rBackend(network.requires_grad_(False).to(device), device, options)
