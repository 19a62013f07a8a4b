"""Training of the Large Spatial Model (Fan et al. 2024, arXiv:2410.18956; specification, section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lsm_core.backends import lseg_keys, lsm_keys
from lsm_core.backends.checkpoint_kinds import check_kind
from lsm_core.backends.lsm_files import FILES, with_second_decoder
from lsm_core.backends.seeded_checkpoints import lsm_state
from lsm_core.data.selection import Selection
from lsm_core.nn.croco import ViewTokens
from lsm_core.nn.dust3r import DptHead
from lsm_core.nn.lsm import EncodedView, Lsm, LsmConfig, LsmOutput
from lsm_core.nn.pixel_gaussians import joined
from lsm_core.training.drawing import DrawingOptions, draw_views
from lsm_core.training.dust3r_losses import confidence_loss, optimal_scale
from lsm_core.training.lsm_loss import TargetView, feature_loss
from lsm_core.training.photometric_terms import PhotometricWeights, photometric_terms
from lsm_core.training.run_config import RunConfig
from lsm_core.training.systems.base import (
    TrainingSystem,
    camera_points,
    relative_poses,
    require_depth,
    spread_points,
)
from lsm_core.training.view_batch import CameraViews, Fitting, ViewBatch
from lsm_core.weights import Part, load_parts, renamed
from lsm_core.weights.files import read_checkpoint

DRAWN_COEFFICIENTS = 1  # the reference draws colours without direction


@dataclass(frozen=True)
class LsmTraining:
    """Everything that decides a run besides the data.

    Attributes:
        run, selection, fitting, drawing: see there.
        network: sizes.
        photometric: what drawn views, context and targets, are compared by.
        feature_weight: of 1 - cosine to LSeg's features of the true picture.
        pointmap_weight, confidence_alpha: of DUSt3R's loss of points.
        symmetric: each pair is also trained in the other order.
    """

    run: RunConfig = field(default_factory=RunConfig)
    selection: Selection = field(default_factory=Selection)
    fitting: Fitting = field(default_factory=Fitting)
    drawing: DrawingOptions = field(default_factory=lambda: DrawingOptions(near=0.2))
    network: LsmConfig = field(default_factory=LsmConfig)
    photometric: PhotometricWeights = field(default_factory=PhotometricWeights)
    feature_weight: float = 0.2
    pointmap_weight: float = 1.0
    confidence_alpha: float = 0.2
    symmetric: bool = True


class LsmSystem(TrainingSystem):
    """DUSt3R's decoders and heads, the point transformer and the heads learn; DUSt3R's encoder and LSeg do not.

    Unlike in the released code, LSeg's batch statistics stay those of its file: there they drift, and inference
    reloads the file.

    Args:
        config: of the training.
        generator: of the first values of what has no parent.
    """

    name = "lsm"
    weights_file = FILES["lsm"]
    network: Lsm

    def __init__(self, config: LsmTraining, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.run, self.selection, self.fitting = config, config.run, config.selection, config.fitting
        self.network = Lsm(config.network)
        for view in (0, 1):
            head = self.network.dust3r.head_of(view)
            if isinstance(head, DptHead):
                last = head.dpt.head[-1]
                assert isinstance(last, nn.Conv2d)
                spread_points(last, generator)

    def load_parents(self, place: Path) -> None:
        """Fill DUSt3R and LSeg from their two files in a folder."""
        dust3r, lseg = (read_checkpoint(place / FILES[part]) for part in ("dust3r", "lseg"))
        check_kind(dust3r, "dust3r")
        check_kind(lseg, "lseg")
        language = renamed(lseg.under(lseg_keys.PREFIX), lseg_keys.IMAGE_PREFIXES)
        load_parts(
            [
                Part(
                    self.network.dust3r,
                    with_second_decoder(dust3r.tensors),
                    str(dust3r.path),
                    lsm_keys.DUST3R_RULES,
                ),
                Part(self.network.lseg, language, str(lseg.path), lseg_keys.IMAGE_RULES),
            ]
        )

    def load_official(self, place: Path) -> None:
        """Fill the network from the LSM checkpoint, its finetuned DUSt3R and LSeg included."""
        file = read_checkpoint(place / FILES["lsm"] if place.is_dir() else place)
        check_kind(file, "lsm")
        self.load(renamed(file.tensors, lsm_keys.PREFIXES), lsm_keys.RULES, str(file.path))

    def official(self) -> dict[str, Any]:
        """Return the document of an LSM checkpoint."""
        return {"model": lsm_state(self.network)}

    def frozen(self) -> Sequence[nn.Module]:
        """Return DUSt3R's encoder (its last norm excepted) and LSeg."""
        dust3r = self.network.dust3r
        return [dust3r.patch_embed, dust3r.enc_blocks, self.network.lseg]

    def terms(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the terms of colours, language features and points.

        Raises:
            InputError: the batch has no depth.
        """
        require_depth(batch.context, self.name)
        batch = symmetrised(batch) if self.config.symmetric else batch
        context, config = batch.context, self.config
        out = self._predict(context, generator)
        T = relative_poses(context.T_world_cam, context.T_world_cam[:, 0])
        truth, valid = (list(t.unbind(1)) for t in (camera_points(context.depth, context.K, T), context.depth > 0))
        points = [p.points for p in out.pointmaps]
        scale = optimal_scale(points, truth, valid)
        terms = self._drawn_terms(out, batch, scale, step)
        if config.pointmap_weight:
            confidence = [p.confidence for p in out.pointmaps]
            loss = confidence_loss(points, confidence, truth, valid, config.confidence_alpha)
            terms["points"] = config.pointmap_weight * loss.total
        return terms

    def _predict(self, context: CameraViews, generator: torch.Generator) -> LsmOutput:
        """Run the network; a symmetric batch holds every picture twice, which is encoded once."""
        images = [2 * context.image[:, v] - 1 for v in range(2)]
        half = len(images[0]) // 2
        with self.numerics(context.image):
            if self.config.symmetric:
                first, second = (self.network.encode(image[:half]) for image in images)
                views = [doubled(first, second), doubled(second, first)]
            else:
                views = [self.network.encode(image) for image in images]
            pointmaps = self.network.dust3r.pointmaps([view.geometry for view in views], context.size)
        return self.network.fuse(views, pointmaps, self.network.point_transformer.permutations(generator))

    def _drawn_terms(self, out: LsmOutput, batch: ViewBatch, scale: Tensor, step: int) -> dict[str, Tensor]:
        config, context, targets = self.config, batch.context, batch.targets
        K, image, usable = (
            torch.cat((getattr(context, name), getattr(targets, name)), 1) for name in ("K", "image", "usable")
        )
        T = relative_poses(torch.cat((context.T_world_cam, targets.T_world_cam), 1), context.T_world_cam[:, 0])
        T[..., :3, 3] *= scale[:, None, None]
        drawn, views = [], []
        for b in range(len(T)):
            scene = joined(out.gaussians, DRAWN_COEFFICIENTS, b)
            found = draw_views(scene, K[b], T[b], context.size, config.drawing, features=True)
            assert found.features is not None
            drawn.append(found.rgb)
            views += [TargetView(*view) for view in zip(found.rgb, found.features, image[b], strict=True)]
        weights = config.photometric
        lpips = self.lpips(weights.lpips)
        terms = photometric_terms(torch.cat(drawn), image.flatten(0, 1), usable.flatten(0, 1), weights, step, lpips)
        if config.feature_weight:
            terms["features"] = config.feature_weight * feature_loss(views, self.network.expand, self.network.lseg)
        return terms


def symmetrised(batch: ViewBatch) -> ViewBatch:
    """Return a batch of twice the size: its samples, then the same with their two context views exchanged."""
    context = CameraViews(**{k: torch.cat((t, t.flip(1))) for k, t in vars(batch.context).items()})
    targets = CameraViews(**{k: torch.cat((t, t)) for k, t in vars(batch.targets).items()})
    return ViewBatch(context, targets, torch.cat((batch.metric, batch.metric)))


def doubled(first: EncodedView, second: EncodedView) -> EncodedView:
    """Join two encoded batches to one."""
    tokens = torch.cat((first.geometry.tokens, second.geometry.tokens))
    positions = torch.cat((first.geometry.positions, second.geometry.positions))
    return EncodedView(
        torch.cat((first.image, second.image)),
        ViewTokens(tokens, positions, first.geometry.grid),
        torch.cat((first.language, second.language)),
        torch.cat((first.residual, second.residual)),
    )
