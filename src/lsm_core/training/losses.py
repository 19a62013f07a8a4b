"""The loss of lsm-tiny, term by term."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lsm_core.nn.tiny.epipolar import log_offsets
from lsm_core.nn.tiny.network import Encoded, Matched, Refined
from lsm_core.nn.tiny.semantics import TextHead
from lsm_core.training.batches import PairBatch
from lsm_core.training.config import LossWeights
from lsm_core.training.imagenet_dictionary import Dictionary
from lsm_core.training.pose_loss import pose_terms
from lsm_core.training.targets import Correspondences, bin_target, depth_at, pair_log_shift, soft_target


@dataclass(frozen=True)
class Outputs:
    """The three stages' results of one forward pass."""

    views: Encoded
    matched: Matched
    refined: Refined
    start_pose: Tensor | None = None  # [2B, 4, 4] the noisy pose that the refinement was given


def total_loss(
    out: Outputs,
    batch: PairBatch,
    targets: Correspondences,
    texts: Tensor,
    text_head: TextHead,
    weights: LossWeights,
    depth_bin_range: float,
    fine_bin_range: float,
    dictionary: Dictionary | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Weigh and add all terms.

    Args:
        out: the network's results.
        batch: true depth, labels, intrinsics.
        targets: cell correspondences.
        texts: [C, 384] embedding of one name per class, row 0 (void) unused.
        text_head: decoder of language features.
        weights: weight per term.
        depth_bin_range, fine_bin_range: the network's, hypotheses of the two searches along epipolar lines.
        dictionary: what the ImageNet classifier teaches, where the run uses it.

    Returns:
        The scalar loss, and every unweighted term as float for the log.
    """
    depth_2, depth_4, depth_8 = (depth_at(batch.depth, stride) for stride in (2, 4, 8))
    log_2 = out.refined.at_half(out.refined.log_depth)[:, 0]
    confidence_2 = out.refined.at_half(out.refined.log_confidence)[:, 0]
    features = out.refined.features.permute(0, 2, 3, 1)
    bins = out.refined.bin_logits.shape[1]
    offsets = log_offsets(bins, depth_bin_range, batch.depth)
    labels_4 = batch.label[:, 2::4, 2::4]
    terms = {
        "depth": confident_depth_loss(log_2, confidence_2, depth_2, weights.confidence_alpha),
        "first_depth": relative_depth_loss(out.matched.log_depth[:, 0], depth_8),
        "coarse_depth": relative_depth_loss(out.refined.log_depth_coarse[:, 0], depth_8),
        "bins": bin_loss(out.refined.bin_logits, out.matched.log_depth[:, 0].detach(), depth_8, offsets),
        "scale": scale_loss(out.matched.log_depth[:, 0], depth_8),
        "gradient": gradient_loss(log_2, depth_2) + gradient_loss(out.refined.log_depth[:, 0], depth_4),
        "matching": matching_loss(out.matched, targets),
        "matchability": matchability_loss(out.matched.matchability, targets),
        "language": language_loss(features, labels_4, texts, text_head),
        "cosine": cosine_loss(features, labels_4, texts, text_head),
        "focal": focal_loss(out.views.log_focal, batch.K, batch.depth.shape[-1]),
    }
    if out.refined.searched is not None:
        found = out.refined.searched
        fine = log_offsets(found.logits.shape[1], fine_bin_range, batch.depth)
        terms["fine_bins"] = bin_loss(found.logits, found.log_depth[:, 0].detach(), depth_4, fine)
    if dictionary is not None:
        terms["dictionary"] = dictionary.loss(batch.image, batch.label, out.refined.features, text_head)
    if weights.pose > 0 and out.start_pose is not None:
        pose = pose_terms(out.matched, out.views.intrinsics, batch, targets, out.start_pose)
        terms |= {"pose": pose.rotation + pose.direction, "composed": pose.composed}
    total = sum((getattr(weights, name) * term for name, term in terms.items()), torch.zeros(()))
    return total, {name: float(term.detach()) for name, term in terms.items()}


def _aligned_error(log_depth: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Return |ln predicted - ln true| after one shift per pair [2B, h, w] and the valid mask."""
    valid = depth > 0
    shift = pair_log_shift(log_depth, depth)
    shift = torch.cat((shift, shift)).view(-1, 1, 1)
    return (log_depth - depth.clamp_min(1e-3).log() - shift).abs(), valid


def relative_depth_loss(log_depth: Tensor, depth: Tensor) -> Tensor:
    """Mean absolute log-depth error, one free scale per pair (not per view: the views must agree)."""
    error, valid = _aligned_error(log_depth, depth)
    return (error * valid).sum() / valid.sum().clamp_min(1)


def bin_loss(logits: Tensor, first: Tensor, depth: Tensor, offsets: Tensor) -> Tensor:
    """Cross-entropy over depth hypotheses against the true residual, after one shift per pair.

    Args:
        logits: [2B, K, h, w].
        first: [2B, h, w] first guess of log depth.
        depth: [2B, h, w] true, 0 = none.
        offsets: [K].
    """
    valid = depth > 0
    shift = pair_log_shift(first, depth)
    residual = depth.clamp_min(1e-3).log() + torch.cat((shift, shift)).view(-1, 1, 1) - first
    lower, weight = bin_target(residual, offsets)
    scores = logits.log_softmax(dim=1)
    below = scores.gather(1, lower[:, None])[:, 0]
    above = scores.gather(1, lower[:, None] + 1)[:, 0]
    loss = -((1 - weight) * below + weight * above)
    return (loss * valid).sum() / valid.sum().clamp_min(1)


def confident_depth_loss(log_depth: Tensor, log_confidence: Tensor, depth: Tensor, alpha: float) -> Tensor:
    """Confidence-weighted error as in DUSt3R (eq. 4), on log depth: C |r| - alpha ln C, C = 1 + exp."""
    error, valid = _aligned_error(log_depth, depth)
    confidence = 1.0 + log_confidence.clamp(-10.0, 5.0).exp()
    loss = confidence * error.clamp(max=1.5) - alpha * confidence.log()
    return (loss * valid).sum() / valid.sum().clamp_min(1)


def scale_loss(log_depth: Tensor, depth: Tensor) -> Tensor:
    """Absolute log scale of each pair: rooms and cameras have typical sizes."""
    return F.smooth_l1_loss(pair_log_shift(log_depth, depth), torch.zeros(len(depth) // 2, device=depth.device))


def gradient_loss(log_depth: Tensor, depth: Tensor, scales: int = 3) -> Tensor:
    """Multi-scale gradient difference of log depth (MegaDepth, Li & Snavely 2018), jumps included."""
    valid = depth > 0
    residual = torch.where(valid, log_depth - depth.clamp_min(1e-3).log(), torch.zeros_like(log_depth))
    total = residual.new_zeros(())
    for scale in range(scales):
        step = 2**scale
        r, m = residual[:, ::step, ::step], valid[:, ::step, ::step]
        for axis in (1, 2):
            size = r.shape[axis]
            difference = (r.narrow(axis, 1, size - 1) - r.narrow(axis, 0, size - 1)).abs().clamp(max=1.0)
            both = m.narrow(axis, 1, size - 1) & m.narrow(axis, 0, size - 1)
            total = total + (difference * both).sum() / both.sum().clamp_min(1)
    return total / scales


def matching_loss(matched: Matched, targets: Correspondences) -> Tensor:
    """Cross-entropy of the row softmax against the sub-cell position spread over four cells."""
    height, width = matched.log_depth.shape[-2:]
    chosen = targets.visible
    if not bool(chosen.any()):
        return matched.similarity.sum() * 0.0
    rows = (matched.temperature * matched.similarity)[chosen]  # [M, N]
    index, weight = soft_target(targets.cell_xy[chosen], height, width)
    picked = rows.gather(1, index)
    return (rows.logsumexp(dim=1) - (weight * picked).sum(dim=1)).mean()


def matchability_loss(logits: Tensor, targets: Correspondences) -> Tensor:
    """Binary cross-entropy of "seen in the other view", over cells whose visibility is known."""
    loss = F.binary_cross_entropy_with_logits(logits.float().flatten(1), targets.visible.float(), reduction="none")
    return (loss * targets.known).sum() / targets.known.sum().clamp_min(1)


def language_loss(features: Tensor, labels: Tensor, texts: Tensor, head: TextHead) -> Tensor:
    """Cross-entropy over class names, pixels weighted by 1 / sqrt(class count in the batch)."""
    chosen = labels > 0
    if not bool(chosen.any()):
        return features.sum() * 0.0
    target = labels[chosen] - 1
    logits = head.scale() * head.similarity(features[chosen], texts[1:])
    loss = F.cross_entropy(logits, target, reduction="none")
    count = torch.bincount(target, minlength=len(texts) - 1).float()
    weight = count.clamp_min(1).rsqrt()[target]
    return (weight * loss).sum() / weight.sum()


def cosine_loss(features: Tensor, labels: Tensor, texts: Tensor, head: TextHead) -> Tensor:
    """Mean 1 - cosine to the pixel's own name, on every ninth pixel."""
    features, labels = features[:, 1::3, 1::3], labels[:, 1::3, 1::3]
    chosen = labels > 0
    if not bool(chosen.any()):
        return features.sum() * 0.0
    decoded = head(features[chosen])
    return (1 - (decoded * texts[labels[chosen]]).sum(-1)).mean()


def focal_loss(log_focal: Tensor, K: Tensor, width: int) -> Tensor:
    """Error of the focal head in ln(f / width)."""
    return F.smooth_l1_loss(log_focal, (K[:, 0, 0] / width).log(), beta=0.1)
