"""Training of pixelSplat (Charatan et al. 2024, arXiv:2312.12337; specification, sections 2 and 7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lsm_core.backends.pixelsplat import FAR_DISPARITY_PX, NEAR_DISPARITY, standard_gaussians
from lsm_core.backends.pixelsplat_files import NAME, file_in, network_state
from lsm_core.backends.pixelsplat_keys import PREFIX, RULES
from lsm_core.data.selection import Selection
from lsm_core.errors import WeightsError
from lsm_core.geometry.disparity_bounds import SMALLEST_BASELINE, depth_of_disparity, largest_baseline
from lsm_core.nn.epipolar import RayCameras
from lsm_core.nn.intrinsics_embedding import normalised_intrinsics
from lsm_core.nn.pixelsplat import Pixelsplat, PixelsplatConfig
from lsm_core.training.drawing import DrawingOptions, draw_views
from lsm_core.training.photometric_terms import PhotometricWeights, photometric_terms
from lsm_core.training.render_losses import depth_smoothness_loss
from lsm_core.training.run_config import RunConfig
from lsm_core.training.systems.base import TrainingSystem
from lsm_core.training.view_batch import CameraViews, Fitting, ViewBatch
from lsm_core.weights import KeyRules, load_strict
from lsm_core.weights.files import read_checkpoint

DINO_FILES = {"dino": "dino_vitbase8_pretrain.pth", "resnet": "dino_resnet50_pretrain.pth"}
DINO_RULES = KeyRules(unused=("layer4.", "fc.", "head."))
NEAR_SHARE = 0.2  # of the near bound: the rasterizer's own limit in a world scaled by 1 / near


@dataclass(frozen=True)
class PixelsplatTraining:
    """Everything that decides a run besides the data.

    Attributes:
        run, selection, fitting: see there.
        network: sizes.
        photometric: what drawn targets are compared by.
        depth_smoothness: weight of the drawn depth's second differences, off in the release.
        depth_sigma: how much less they count at edges of colour.
    """

    run: RunConfig = field(default_factory=RunConfig)
    selection: Selection = field(default_factory=Selection)
    fitting: Fitting = field(default_factory=Fitting)
    network: PixelsplatConfig = field(default_factory=PixelsplatConfig)
    photometric: PhotometricWeights = field(default_factory=PhotometricWeights)
    depth_smoothness: float = 0.0
    depth_sigma: float = 12.0


class PixelsplatSystem(TrainingSystem):
    """All of the network learns from pictures with known cameras; depths are drawn from its distributions.

    Args:
        config: of the training.
        generator: not used: PyTorch's own start values serve.
    """

    name = NAME
    weights_file = "pixelsplat.ckpt"
    network: Pixelsplat

    def __init__(self, config: PixelsplatTraining, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.run, self.selection, self.fitting = config, config.run, config.selection, config.fitting
        self.network = Pixelsplat(config.network)

    def load_parents(self, place: Path) -> None:
        """Fill DINO's ViT-B/8 and ResNet-50 from their two files in a folder."""
        backbone = self.network.backbone
        parts: dict[str, nn.Module] = {"dino": backbone.dino, "resnet": backbone.resnet_backbone.model}
        for part, module in parts.items():
            path = place / DINO_FILES[part]
            if not path.is_file():
                raise WeightsError(
                    f"{place} lacks {path.name}.",
                    f"pixelSplat begins from DINO's {' and '.join(DINO_FILES.values())} "
                    "(github.com/facebookresearch/dino).",
                )
            load_strict(module, read_checkpoint(path).tensors, DINO_RULES, str(path))

    def load_official(self, place: Path) -> None:
        """Fill the network from one of pixelSplat's files."""
        path = file_in(place)
        self.load(network_state(read_checkpoint(path)), RULES, str(path))

    def official(self) -> dict[str, Any]:
        """Return the document of a pixelSplat file."""
        return {"state_dict": {PREFIX + key: value for key, value in self.network.state_dict().items()}}

    def terms(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the photometric terms of the targets, and the smoothness of their depth where it is weighed."""
        context, targets = batch.context, batch.targets
        cameras, T_targets = unit_cameras(context, targets)
        views = context.image.shape[1]
        with self.numerics(context.image):
            encoded = self.network.encode(context.image.flatten(0, 1))
        features = encoded.float().unflatten(0, context.image.shape[:2])
        pixels = self.network.match(features, context.image, cameras, self._permutation(views, generator))
        config = self.config.network
        shape = (*pixels.shape[:3], config.surfaces, config.gaussians_per_pixel)
        uniform = torch.rand(shape, generator=generator).to(pixels.device)
        output = self.network.decode(pixels, cameras, context.size, uniform)
        drawn, depths = [], []
        for b, near in enumerate(cameras.near[:, 0].tolist()):
            scene = standard_gaussians(output, cameras.T_world_cam, 1.0, b)
            found = draw_views(scene, targets.K[b], T_targets[b], targets.size, DrawingOptions(NEAR_SHARE * near))
            drawn.append(found.rgb)
            depths.append(found.depth)
        weights = self.config.photometric
        true, usable = targets.image.flatten(0, 1), targets.usable.flatten(0, 1)
        terms = photometric_terms(torch.cat(drawn), true, usable, weights, step, self.lpips(weights.lpips))
        if self.config.depth_smoothness:
            near, far = (t[:, :1].expand(-1, targets.image.shape[1]) for t in (cameras.near, cameras.far))
            terms["smoothness"] = depth_smoothness_loss(
                torch.stack(depths),
                near,
                far,
                targets.image,
                self.config.depth_sigma,
                True,
                self.config.depth_smoothness,
            )
        return terms

    def _permutation(self, views: int, generator: torch.Generator) -> Tensor | None:
        """Draw which embedding marks which other view."""
        if views < 3 or not self.config.network.epipolar.view_embeddings:
            return None
        return torch.randperm(views - 1, generator=generator)


def unit_cameras(context: CameraViews, targets: CameraViews) -> tuple[RayCameras, Tensor]:
    """Return the network's cameras and the targets' poses [B, V, 4, 4], with bounds of depth.

    The baseline of two context views is made 1; the unit of more is kept.
    """
    T_context, T_targets = context.T_world_cam.clone(), targets.T_world_cam.clone()
    views = T_context.shape[1]
    if views == 2:
        unit = largest_baseline(T_context).clamp(min=SMALLEST_BASELINE)[:, None, None]
        T_context[..., :3, 3] /= unit
        T_targets[..., :3, 3] /= unit
    K = normalised_intrinsics(context.K, context.size)
    baseline = largest_baseline(T_context).clamp(min=SMALLEST_BASELINE)
    near, far = (
        depth_of_disparity(baseline, K, context.size, disparity)[:, None].expand(-1, views)
        for disparity in (NEAR_DISPARITY * min(context.size), FAR_DISPARITY_PX)
    )
    return RayCameras(T_context, K, near, far), T_targets
