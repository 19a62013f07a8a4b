"""Training of Splatt3R (Smart et al. 2024, arXiv:2408.13912; specification, sections 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lsm_core.backends.mast3r_files import opened_state, rules_for
from lsm_core.backends.mast3r_keys import HEADS, MAST3R_RULES, PREFIX, SPLATT3R_RULES
from lsm_core.data.selection import Selection
from lsm_core.errors import InputError
from lsm_core.nn.dust3r import Pointmap
from lsm_core.nn.pixel_gaussians import joined
from lsm_core.nn.splatt3r import Splatt3r, Splatt3rConfig, Splatt3rHead
from lsm_core.sh import drawable
from lsm_core.training.drawing import DrawingOptions, draw_views
from lsm_core.training.dust3r_losses import confidence_loss
from lsm_core.training.masked_losses import LPIPS_WEIGHT, DepthView, loss_mask, masked_losses
from lsm_core.training.run_config import RunConfig
from lsm_core.training.systems.base import (
    TrainingSystem,
    camera_points,
    relative_poses,
    require_depth,
    spread_points,
)
from lsm_core.training.view_batch import CameraViews, Fitting, ViewBatch

GAUSSIANS = tuple(f"{head}gaussian_dpt." for head in HEADS)


@dataclass(frozen=True)
class Splatt3rTraining:
    """Everything that decides a run besides the data.

    Attributes:
        run, selection, fitting, drawing: see there.
        network: sizes; descriptors are not trained, so they are best left out.
        mse_weight, lpips_weight: of the terms on the pixels that the context has seen.
        average_over_mask: means are over those pixels, else over all.
        released_average: that mean as the released code takes it, see `masked_losses`; for 1 or 3 targets.
        pointmap_weight: of MASt3R's loss of points; above 0 the whole network is trained, else its Gaussian heads
            alone, as in the release.
        confidence_alpha: of that loss.
    """

    run: RunConfig = field(default_factory=RunConfig)
    selection: Selection = field(default_factory=Selection)
    fitting: Fitting = field(default_factory=Fitting)
    drawing: DrawingOptions = field(default_factory=DrawingOptions)
    network: Splatt3rConfig = field(default_factory=lambda: Splatt3rConfig(descriptor=None))
    mse_weight: float = 1.0
    lpips_weight: float = LPIPS_WEIGHT
    average_over_mask: bool = True
    released_average: bool = False
    pointmap_weight: float = 0.0
    confidence_alpha: float = 0.2


class Splatt3rSystem(TrainingSystem):
    """MASt3R's trunk, frozen, and two Gaussian heads that learn to draw what the context has seen.

    Args:
        config: of the training.
        generator: of the first values of what has no parent.
    """

    name = "splatt3r"
    weights_file = "splatt3r.ckpt"
    network: Splatt3r

    def __init__(self, config: Splatt3rTraining, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.run, self.selection, self.fitting = config, config.run, config.selection, config.fitting
        self.network = Splatt3r(config.network)
        self.network.start_gaussians(generator)
        for view in (0, 1):
            head = self.network.head_of(view)
            assert isinstance(head, Splatt3rHead)
            last = head.dpt.head[-1]
            assert isinstance(last, nn.Conv2d)
            spread_points(last, generator)

    def load_parents(self, place: Path) -> None:
        """Fill the trunk from MASt3R's file; the Gaussian heads keep their start values."""
        path, state = opened_state(place, "mast3r")
        rules = rules_for(MAST3R_RULES, self.config.network.descriptor is not None)
        self.load(state, replace(rules, optional=GAUSSIANS), str(path))

    def load_official(self, place: Path) -> None:
        """Fill the network from Splatt3R's file."""
        path, state = opened_state(place, "splatt3r")
        self.load(state, rules_for(SPLATT3R_RULES, self.config.network.descriptor is not None), str(path))

    def official(self) -> dict[str, Any]:
        """Return the document of a Splatt3R file."""
        return {"state_dict": {PREFIX + key: value for key, value in self.network.state_dict().items()}}

    def frozen(self) -> Sequence[nn.Module]:
        """Return everything but the Gaussian heads, unless points are trained, too."""
        if self.config.pointmap_weight:
            return ()
        heads = [self.network.head_of(view) for view in (0, 1)]
        inner = [m for head in heads for name, m in head.named_children() if name != "gaussian_dpt"]
        return [m for m in self.network.children() if m not in heads] + inner

    def terms(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return masked MSE and LPIPS of the targets, and the loss of points where it is weighed.

        Raises:
            InputError: a sample is not in metres, as the network is, or the batch has no depth.
        """
        require_depth(batch.context, self.name)
        if not bool(batch.metric.all()):
            raise InputError(
                "Splatt3R trains on metres; a sample's unit is arbitrary.", "Bring data with depth in metres."
            )
        context, targets = batch.context, batch.targets
        images = [2 * context.image[:, v] - 1 for v in range(2)]
        with self.numerics(context.image):
            with torch.set_grad_enabled(self.config.pointmap_weight > 0):
                layers = self.network.decode([self.network.encode(image) for image in images])
                pointmaps = [self.network.pointmap(self.network.head(v, layers[v], context.size)) for v in range(2)]
            scene = self.network.scene(layers, pointmaps, images)
        first = context.T_world_cam[:, 0]
        T = relative_poses(targets.T_world_cam, first)
        kept, options = drawable(self.config.network.sh_coefficients), self.config.drawing
        drawn = torch.stack(
            [
                draw_views(joined(scene, kept, b), targets.K[b], T[b], targets.size, options).rgb
                for b in range(len(T))
            ]
        )
        terms = self._drawn_terms(drawn, context, targets)
        if self.config.pointmap_weight:
            terms["points"] = self.config.pointmap_weight * self._points_loss(pointmaps, context, batch.metric)
        return terms

    def _drawn_terms(self, drawn: Tensor, context: CameraViews, targets: CameraViews) -> dict[str, Tensor]:
        config = self.config
        mask = loss_mask(depth_views(targets), depth_views(context)) & targets.usable
        lpips = self.lpips(config.lpips_weight)
        found = masked_losses(
            drawn,
            targets.image,
            mask,
            None if lpips is None else lpips.difference_map,
            average_over_mask=config.average_over_mask,
            released=config.released_average,
        )
        terms = {"mse": config.mse_weight * found.mse}
        return terms if lpips is None else terms | {"lpips": config.lpips_weight * found.lpips}

    def _points_loss(self, pointmaps: Sequence[Pointmap], context: CameraViews, metric: Tensor) -> Tensor:
        T = relative_poses(context.T_world_cam, context.T_world_cam[:, 0])
        truth, valid = camera_points(context.depth, context.K, T), context.depth > 0
        points, confidence = [p.points for p in pointmaps], [p.confidence for p in pointmaps]
        loss = confidence_loss(
            points, confidence, list(truth.unbind(1)), list(valid.unbind(1)), self.config.confidence_alpha, metric
        )
        return loss.total


def depth_views(views: CameraViews) -> list[DepthView]:
    """Return what the loss mask takes of each view."""
    return [
        DepthView(views.depth[:, v], views.K[:, v], views.T_world_cam[:, v]) for v in range(views.depth.shape[1])
    ]
