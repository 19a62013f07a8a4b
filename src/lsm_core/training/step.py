"""One forward pass of the network on a training batch."""

from __future__ import annotations

import torch

from lsm_core.nn.tiny import TinyNet
from lsm_core.training.batches import PairBatch
from lsm_core.training.config import PoseNoise
from lsm_core.training.losses import Outputs
from lsm_core.training.targets import depth_at, noisy_pose, pair_log_shift


def forward(
    net: TinyNet, batch: PairBatch, noise: PoseNoise, generator: torch.Generator, autocast: bool
) -> Outputs:
    """Run encode, match and refine, the last with the true pose brought to the network's unit and disturbed.

    Args:
        net: the network.
        batch: images, intrinsics, poses.
        noise: disturbance of the pose.
        generator: source of the disturbance (CPU).
        autocast: run convolutions and products in bfloat16.
    """
    with torch.autocast(batch.image.device.type, torch.bfloat16, enabled=autocast):
        views = net.encode(batch.image, batch.K, batch.known)
        matched = net.match(views)
        shift = pair_log_shift(matched.log_depth[:, 0].detach(), depth_at(batch.depth, 8))
        T_other_self, has_pose = noisy_pose(batch.T_other_self, shift, noise, generator)
        refined = net.refine(views, matched, T_other_self, has_pose)
    return Outputs(views, matched, refined)
