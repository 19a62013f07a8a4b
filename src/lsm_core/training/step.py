"""One forward pass of the network on a training batch."""

from __future__ import annotations

import torch

from lsm_core.nn.tiny import TinyNet
from lsm_core.training.batches import PairBatch
from lsm_core.training.config import PoseNoise
from lsm_core.training.losses import Outputs
from lsm_core.training.pose_error import estimated_pose
from lsm_core.training.targets import CELL, Correspondences, depth_at, pair_log_shift


def forward(
    net: TinyNet,
    batch: PairBatch,
    targets: Correspondences,
    noise: PoseNoise,
    generator: torch.Generator,
    autocast: bool,
) -> Outputs:
    """Run encode, match and refine, the last with a pose as it would be estimated.

    Args:
        net: the network.
        batch: images, intrinsics, poses.
        targets: true correspondences of the batch.
        noise: error of the pose.
        generator: source of the error (CPU).
        autocast: run convolutions and products in bfloat16.
    """
    device = batch.image.device.type
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        views = net.encode(batch.image, batch.K, batch.known)
        matched = net.match(views)
    with torch.no_grad():
        shift = pair_log_shift(matched.log_depth[:, 0], depth_at(batch.depth, CELL))
        points = (matched.rays * matched.log_depth[:, 0, ..., None].exp()).flatten(1, 2)
        pose = (batch.T_other_self, points, views.intrinsics, targets, shift, noise, CELL, generator)
        T_other_self, has_pose = estimated_pose(*pose)
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        refined = net.refine(views, matched, T_other_self, has_pose)
    return Outputs(views, matched, refined, T_other_self)
