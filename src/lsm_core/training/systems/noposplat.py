"""Training of NoPoSplat (Ye et al. 2024, arXiv:2410.24207; specification, sections 2, 5 and 9)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lsm_core.backends.lsm_files import file_in
from lsm_core.backends.mast3r_files import opened_state
from lsm_core.backends.mast3r_keys import DESCRIPTORS
from lsm_core.backends.noposplat_files import NAME, PREFIX, RULES, network_state
from lsm_core.data.selection import Selection
from lsm_core.nn.intrinsics_embedding import normalised_intrinsics
from lsm_core.nn.noposplat import Noposplat, NoposplatConfig, PointHead
from lsm_core.nn.pixel_gaussians import joined
from lsm_core.sh import drawable
from lsm_core.training.drawing import DrawingOptions, draw_views
from lsm_core.training.photometric_terms import PhotometricWeights, photometric_terms
from lsm_core.training.run_config import RunConfig
from lsm_core.training.systems.base import TrainingSystem, relative_poses, spread_points
from lsm_core.training.view_batch import Fitting, ViewBatch
from lsm_core.weights.files import read_checkpoint

NEW_PARTS = ("gaussian_param_head", "intrinsic_encoder")  # in the names of what MASt3R does not have
POINT_HEADS = ("downstream_head1.", "downstream_head2.")
LAST = "dpt.head.4."
SMALLEST_BASELINE = 1e-3
NEAR, SCALED_NEAR = 0.2, 0.02  # of the rasterizer, in scene units and in units of the baseline before scaling


@dataclass(frozen=True)
class NoposplatTraining:
    """Everything that decides a run besides the data.

    Attributes:
        run, selection, fitting: see there.
        network: sizes.
        photometric: what drawn targets are compared by.
        old_rate: share of the learning rate of what MASt3R has, too.
        scale_invariant: the nearest distance that is drawn follows the unit of the data, as in the release's
            RE10K and ACID models; else it is 0.2 baselines.
    """

    run: RunConfig = field(default_factory=RunConfig)
    selection: Selection = field(default_factory=Selection)
    fitting: Fitting = field(default_factory=Fitting)
    network: NoposplatConfig = field(default_factory=NoposplatConfig)
    photometric: PhotometricWeights = field(default_factory=PhotometricWeights)
    old_rate: float = 0.1
    scale_invariant: bool = True


class NoposplatSystem(TrainingSystem):
    """All of the network learns from pictures alone; poses only say where targets are drawn.

    Args:
        config: of the training.
        generator: of the first values of what has no parent.
    """

    name = NAME
    weights_file = "noposplat.ckpt"
    network: Noposplat

    def __init__(self, config: NoposplatTraining, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.run, self.selection, self.fitting = config, config.run, config.selection, config.fitting
        self.network = Noposplat(config.network)
        for head in (self.network.downstream_head1, self.network.downstream_head2):
            assert isinstance(head, PointHead)
            last = head.dpt.head[-1]
            assert isinstance(last, nn.Conv2d)
            spread_points(last, generator)

    def load_parents(self, place: Path) -> None:
        """Fill backbone and centre heads from MASt3R's file; its confidence and local features are left out."""
        path, state = opened_state(place, "mast3r")
        own: dict[str, Tensor] = {}
        for key, value in state.items():
            if not key.startswith(POINT_HEADS):
                own[f"backbone.{key}"] = value
            elif not key.startswith(DESCRIPTORS):
                own[key] = value[:3] if key.endswith((f"{LAST}weight", f"{LAST}bias")) else value
        optional = tuple(k for k in self.network.state_dict() if any(part in k for part in NEW_PARTS))
        self.load(own, replace(RULES, optional=optional), str(path))

    def load_official(self, place: Path) -> None:
        """Fill the network from one of NoPoSplat's files."""
        path = file_in(place, NAME)
        self.load(network_state(read_checkpoint(path)), RULES, str(path))

    def official(self) -> dict[str, Any]:
        """Return the document of a NoPoSplat file."""
        return {"state_dict": {PREFIX + key: value for key, value in self.network.state_dict().items()}}

    def rate_share(self, name: str) -> float:
        """Return 1 for what is new, `old_rate` for what came from MASt3R."""
        return 1.0 if any(part in name for part in NEW_PARTS) else self.config.old_rate

    def terms(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the photometric terms of the targets."""
        context, targets = batch.context, batch.targets
        count = context.image.shape[1]
        K = normalised_intrinsics(context.K, context.size)
        with self.numerics(context.image):
            views = [self.network.encode(2 * context.image[:, v] - 1, K[:, v]) for v in range(count)]
            scene = self.network.gaussians(views, self.network.decode(views), step)
        baseline = (context.T_world_cam[:, 0, :3, 3] - context.T_world_cam[:, -1, :3, 3]).norm(dim=-1)
        baseline = baseline.clamp(min=SMALLEST_BASELINE)
        T = relative_poses(targets.T_world_cam, context.T_world_cam[:, 0])
        T[..., :3, 3] /= baseline[:, None, None]
        kept = drawable((self.config.network.sh_degree + 1) ** 2)
        drawn = []
        for b, unit in enumerate(baseline.tolist()):
            options = DrawingOptions(SCALED_NEAR / unit if self.config.scale_invariant else NEAR)
            drawn.append(draw_views(joined(scene, kept, b), targets.K[b], T[b], targets.size, options).rgb)
        weights = self.config.photometric
        lpips = self.lpips(weights.lpips)
        true, usable = targets.image.flatten(0, 1), targets.usable.flatten(0, 1)
        return photometric_terms(torch.cat(drawn), true, usable, weights, step, lpips)
