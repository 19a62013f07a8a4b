"""Hyper-parameters of the lsm-tiny network: the one place that fixes its shapes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TinyConfig:
    """Shapes of the network; stored beside the weights so that a checkpoint rebuilds itself."""

    image_height: int = 192  # px, model grid the network was trained at
    image_width: int = 256  # px
    token_dim: int = 192  # width of the 1/16 transformer
    token_heads: int = 6
    token_blocks: int = 4
    mlp_ratio: float = 2.5
    coarse_dim: int = 96  # channels at 1/8
    fine_dim: int = 64  # channels at 1/4
    descriptor_dim: int = 64  # matching descriptors at 1/8
    feature_dim: int = 64  # language features
    text_dim: int = 384  # all-MiniLM-L6-v2
    depth_bins: int = 24  # hypotheses along each epipolar line
    depth_bin_range: float = 0.8  # hypotheses span exp(-range) .. exp(+range) around the first guess
    fine_bins: int = 0  # hypotheses of the second search at 1/4; 0 = none (version 0)
    fine_bin_range: float = 0.2
    fine_descriptor_dim: int = 32
    gaussian_dim: int = 0  # width of the head that changes the computed Gaussians; 0 = none, they stay as computed
    min_log_depth: float = -2.5  # ln(0.08)
    max_log_depth: float = 4.0  # ln(55)
    default_log_focal: float = -0.1  # ln(f / image width) when neither K nor the head says more
