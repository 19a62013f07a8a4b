"""Each loss term is zero, or smallest, where it should be, and blind to what it must not see."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lsm_core.nn.tiny.epipolar import log_offsets
from lsm_core.nn.tiny.semantics import TextHead
from lsm_core.training.losses import (
    bin_loss,
    confident_depth_loss,
    gradient_loss,
    language_loss,
    relative_depth_loss,
    scale_loss,
)


def true_depth() -> torch.Tensor:
    torch.manual_seed(0)
    depth = 1 + 2 * torch.rand(4, 8, 8)
    depth[:, :2] = 0.0
    return depth


def test_depth_loss_ignores_one_scale_per_pair_but_not_per_view() -> None:
    depth = true_depth()
    log_depth = depth.clamp_min(1e-3).log()
    pair_scale = torch.tensor([0.3, -0.2, 0.3, -0.2]).view(4, 1, 1)
    assert float(relative_depth_loss(log_depth + pair_scale, depth)) < 1e-5
    view_scale = torch.tensor([0.3, 0.0, -0.3, 0.0]).view(4, 1, 1)
    assert float(relative_depth_loss(log_depth + view_scale, depth)) > 0.1


def test_depth_loss_does_not_look_where_there_is_no_depth() -> None:
    depth = true_depth()
    log_depth = depth.clamp_min(1e-3).log()
    log_depth[:, :2] = 50.0
    assert float(relative_depth_loss(log_depth, depth)) < 1e-5
    assert float(gradient_loss(log_depth, depth)) < 1e-5


def test_scale_loss_sees_the_absolute_scale() -> None:
    depth = true_depth()
    log_depth = depth.clamp_min(1e-3).log()
    assert float(scale_loss(log_depth, depth)) < 1e-6
    assert float(scale_loss(log_depth + 0.5, depth)) > 0.1


def test_confidence_pays_only_where_the_error_is_small() -> None:
    depth = torch.full((2, 4, 4), 2.0)
    log_depth = depth.log()
    log_depth[:, 0] += 0.8
    high_where_wrong, high_where_right = torch.full((2, 4, 4), -4.0), torch.full((2, 4, 4), -4.0)
    high_where_wrong[:, 0], high_where_right[:, 1:] = 2.0, 2.0
    right = confident_depth_loss(log_depth, high_where_right, depth, 0.1)
    wrong = confident_depth_loss(log_depth, high_where_wrong, depth, 0.1)
    assert float(right) < float(wrong)


def test_gradient_loss_sees_a_wrong_slope_and_not_a_wrong_scale() -> None:
    depth = torch.full((1, 8, 8), 2.0)
    assert float(gradient_loss(depth.log() + 1.0, depth)) < 1e-5
    assert float(gradient_loss(depth.log() + 0.1 * torch.arange(8.0), depth)) > 0.04


def test_bin_loss_is_smallest_at_the_true_residual() -> None:
    depth = torch.full((2, 4, 4), 2.0)
    offsets = log_offsets(9, 0.8, depth)
    first = depth.log()
    first[:, 0] -= 0.4  # these cells are too near; the median is right
    logits = torch.zeros(2, 9, 4, 4)
    right, wrong = logits.clone(), logits.clone()
    right[:, 4, 1:], right[:, 6, 0] = 9.0, 9.0
    wrong[:, 4] = 9.0
    assert float(bin_loss(right, first, depth, offsets)) < float(bin_loss(wrong, first, depth, offsets)) - 1


def test_language_loss_weighs_rare_classes_up_and_skips_void() -> None:
    torch.manual_seed(0)
    head = TextHead(8, 16)
    texts = F.normalize(torch.randn(3, 16), dim=-1)
    labels = torch.ones(1, 10, 10, dtype=torch.int64)
    labels[0, 0, 0] = 2  # one rare pixel among 100
    features = torch.randn(1, 10, 10, 8, requires_grad=True)
    language_loss(features, labels, texts, head).backward()
    assert features.grad is not None
    rare = features.grad[0, 0, 0].norm()
    common = features.grad[0, 1:].norm(dim=-1).mean()
    assert float(rare) > 3 * float(common)
    labels[:] = 0
    assert float(language_loss(features, labels, texts, head).detach()) == 0.0
