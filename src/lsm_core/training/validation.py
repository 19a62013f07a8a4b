"""Quick figures on held-out rooms while training runs (the full evaluation is `lsm eval`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lsm_core.nn.tiny import TinyNet
from lsm_core.nn.tiny.matching import local_expectation
from lsm_core.training.augment import fit
from lsm_core.training.batches import PairBatch, collate, frame_view
from lsm_core.training.config import PoseNoise, Stage
from lsm_core.training.shard_pool import ShardPool
from lsm_core.training.step import forward
from lsm_core.training.targets import correspondences, depth_at


def validation_batches(pool: ShardPool, stage: Stage, pairs: int, seed: int, size: int = 8) -> list[PairBatch]:
    """Draw fixed unaugmented pairs of held-out rooms, with true intrinsics."""
    rng = np.random.default_rng((seed, 2**31))
    grid = stage.grids[0]
    views = []
    for _ in range(pairs):
        shard, first, second = pool.draw(rng, stage.min_overlap)
        views.append(tuple(fit(frame_view(shard, i), grid.height, grid.width) for i in (first, second)))
    chunks = [views[i : i + size] for i in range(0, len(views), size)]
    return [collate([(a, b) for a, b in chunk], [True] * len(chunk)) for chunk in chunks]


@torch.no_grad()
def validate(net: TinyNet, batches: list[PairBatch], texts: Tensor, autocast: bool) -> dict[str, float]:
    """Return absrel of the first and the refined depth, matching accuracy, pixel accuracy and mIoU."""
    first, coarse, refined, single, matched, near = [], [], [], [], [], []
    classes = len(texts) - 1
    confusion = np.zeros((classes, classes), dtype=np.int64)
    generator = torch.Generator().manual_seed(0)
    for batch in batches:
        targets = correspondences(batch)
        out = forward(net, batch, targets, PoseNoise(dropped=0.0), generator, autocast)
        first += _absrel(out.matched.log_depth[:, 0], depth_at(batch.depth, 8))
        half = out.refined.at_half(out.refined.log_depth)[:, 0]
        coarse += _absrel(out.refined.log_depth_coarse[:, 0], depth_at(batch.depth, 8))
        refined += _absrel(half, depth_at(batch.depth, 2))
        single += _absrel(torch.zeros_like(half), depth_at(batch.depth, 2))
        height, width = out.matched.log_depth.shape[-2:]
        rows = (out.matched.temperature * out.matched.similarity).softmax(-1)
        error = (local_expectation(rows, height, width) - targets.cell_xy).norm(dim=-1)[targets.visible]
        matched.append(error)
        near.append((out.matched.matchability.flatten(1) > 0)[targets.known] == targets.visible[targets.known])
        scores = net.text_head.similarity(out.refined.features.permute(0, 2, 3, 1), texts[1:])
        labels = batch.label[:, 2::4, 2::4]
        chosen = labels > 0
        pairs = (labels[chosen] - 1) * classes + scores.argmax(-1)[chosen]
        confusion += np.bincount(pairs.numpy(), minlength=classes**2).reshape(classes, classes)
    errors = torch.cat(matched)
    return {
        "absrel": float(np.mean(refined)),
        "absrel_coarse": float(np.mean(coarse)),
        "absrel_first": float(np.mean(first)),
        "absrel_constant": float(np.mean(single)),
        "match_within_half_cell": float((errors < 0.5).float().mean()),
        "match_within_1_cell": float((errors < 1).float().mean()),
        "matchability_accuracy": float(torch.cat(near).float().mean()),
        **_segmentation_figures(confusion),
    }


def _absrel(log_depth: Tensor, depth: Tensor) -> list[float]:
    """Median-aligned mean |d - t| / t per image."""
    values = []
    for predicted, true in zip(log_depth.float().exp(), depth, strict=True):
        valid = true > 0
        if int(valid.sum()) < 50:
            continue
        p, t = predicted[valid], true[valid]
        p = p * (t.median() / p.median())
        values.append(float(((p - t).abs() / t).mean()))
    return values


def _segmentation_figures(confusion: np.ndarray) -> dict[str, float]:
    hit = np.diag(confusion).astype(np.float64)
    union = confusion.sum(0) + confusion.sum(1) - hit
    present = confusion.sum(1) > 0
    iou = hit[present] / np.maximum(union[present], 1)
    return {"pixel_accuracy": float(hit.sum() / max(confusion.sum(), 1)), "miou": float(iou.mean())}
