"""pixelSplat checkpoints of random numbers in the released format, small or full size; see `seeded_checkpoints`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lsm_core.backends.pixelsplat_keys import PREFIX
from lsm_core.backends.seeded_checkpoints import TrainingCallback, fill
from lsm_core.nn.epipolar import EpipolarConfig
from lsm_core.nn.image_attention import ImageAttentionConfig
from lsm_core.nn.pixelsplat import Pixelsplat, PixelsplatConfig
from lsm_core.nn.resnet import EXPANSION, Bottleneck, ResNetConfig
from lsm_core.nn.vit import VitConfig

SMALL = PixelsplatConfig(
    VitConfig(64, 2, 1, 4, 8),
    ResNetConfig(8, (4, 6, 8), (2, 1, 1)),
    16,
    EpipolarConfig(
        32,
        octaves=4,
        heads=1,
        image_attention=ImageAttentionConfig(octaves=3, layers=1, heads=1, token_dim=16, mlp_dim=24),
    ),
    buckets=16,
)
LAST_STAGE_BLOCKS, LAST_STAGE_STRIDE = 3, 2


def pixelsplat_state(network: Pixelsplat) -> dict[str, Tensor]:
    """Return a network's tensors as the file has them: with the prefix, and the stage that is never run."""
    planes = 2 * network.config.resnet.planes[-1]
    first = Bottleneck(planes * EXPANSION // 2, planes, LAST_STAGE_STRIDE)
    rest = (Bottleneck(planes * EXPANSION, planes, 1) for _ in range(LAST_STAGE_BLOCKS - 1))
    unused = nn.Sequential(first, *rest).state_dict()
    state = network.state_dict() | {f"backbone.resnet_backbone.model.layer4.{k}": v for k, v in unused.items()}
    return {PREFIX + key: tensor for key, tensor in state.items()}


def write_pixelsplat(path: Path, config: PixelsplatConfig = SMALL, seed: int = 0) -> Pixelsplat:
    """Write a file with random numbers as Lightning leaves it.

    Args:
        path: of the file.
        config: sizes.
        seed: of the numbers.

    Returns:
        The network it holds, in eval mode, nothing folded.
    """
    network = Pixelsplat(config)
    fill(network, seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "epoch": 0,
        "global_step": 300_001,
        "pytorch-lightning_version": "2.2.0",
        "state_dict": pixelsplat_state(network),
        "callbacks": {"ModelCheckpoint": TrainingCallback()},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
    }
    torch.save(document, path)
    return network
