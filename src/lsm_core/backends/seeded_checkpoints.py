"""Checkpoints of random numbers in the three official file formats of the Large Spatial Model, small or full size.

They let everything be run and timed where the real files are not at hand; what such a model says means nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lsm_core.backends.lseg_keys import IMAGE_PREFIXES
from lsm_core.backends.lsm_files import FILES, HEADS, POINTS
from lsm_core.backends.lsm_keys import DUST3R_PREFIX, LSEG_PREFIX
from lsm_core.nn.clip_text import ClipText, ClipTextConfig
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dpt import ALIASES
from lsm_core.nn.dust3r import Dust3rConfig
from lsm_core.nn.lseg import LsegConfig
from lsm_core.nn.lsm import Lsm, LsmConfig
from lsm_core.nn.vit import VitConfig
from lsm_core.points.ptv3 import FusionConfig, PointTransformerConfig

SMALL = LsmConfig(
    Dust3rConfig(
        CrocoConfig(enc_dim=64, enc_depth=2, enc_heads=1, dec_dim=64, dec_depth=4, dec_heads=1),
        (8, 8, 16, 16),
        16,
        8,
    ),
    LsegConfig(VitConfig(64, 4, 1, 6), (0, 1, 2, 3), (8, 8, 16, 16), 16, 512),
    PointTransformerConfig(
        enc_depths=(1, 1, 1),
        enc_channels=(16, 32, 64),
        enc_heads=(1, 2, 4),
        enc_patches=(1024,) * 3,
        dec_depths=(1, 1),
        dec_channels=(16, 64),
        dec_heads=(1, 4),
        dec_patches=(1024,) * 2,
        fusion=FusionConfig(64, 512, 1, 1),
    ),
)
SMALL_TEXT = ClipTextConfig(width=64, heads=1, layers=2)


class TrainingCallback:
    """Stands for what a training program leaves in its checkpoint, and a loader must not need."""

    def __init__(self) -> None:
        self.monitor = "loss"


def fill(module: nn.Module, seed: int) -> None:
    """Fill a module with random numbers of the usual spread, one over the root of the inputs."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.dtype.is_floating_point:
            spread = 0.1 if tensor.ndim < 2 else (tensor.numel() / len(tensor)) ** -0.5
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * spread)
            if name.endswith(("norm.weight", "running_var")) or ("norm" in name and name.endswith("weight")):
                tensor.fill_(1.0)
    module.eval()


def dust3r_state(network: Lsm) -> dict[str, Tensor]:
    """Return DUSt3R's tensors as its file has them: with aliases and what is stored and never used."""
    return dust3r_extras(dict(network.dust3r.state_dict()), network.dust3r.config.dec_dim)


def dust3r_extras(state: dict[str, Tensor], dec_dim: int) -> dict[str, Tensor]:
    """Return DUSt3R's tensors and those that its file has beside: aliases, and what is never used."""
    for place in ("downstream_head1.dpt.", "downstream_head2.dpt."):
        state = dpt_extras(state, place)
    return state | {"mask_token": torch.zeros(1, 1, dec_dim)}


def dpt_extras(state: dict[str, Tensor], place: str) -> dict[str, Tensor]:
    """Return tensors and those that a file has beside them of the DPT under a prefix."""
    aliases = {place + alias: state[place + key] for alias, key in ALIASES.items()}
    unit = f"{place}scratch.refinenet4.resConfUnit2."
    unused = {k.replace("Unit2", "Unit1"): v.clone() for k, v in state.items() if k.startswith(unit)}
    return state | aliases | unused


def lseg_state(network: Lsm, texts: ClipText | None) -> dict[str, Tensor]:
    """Return LSeg's tensors under the released keys, with the text tower where it is stored with them."""
    state = lseg_image_state(network.lseg.state_dict())
    if texts is not None:
        state |= {f"clip_pretrained.{k}": v for k, v in texts.state_dict().items()}
        state |= {"clip_pretrained.visual.proj": torch.ones(2, 2), "clip_pretrained.logit_scale": torch.ones(())}
    return state


def lsm_state(network: Lsm) -> dict[str, Tensor]:
    """Return all of a network's tensors as the LSM checkpoint has them, backbone included."""
    state = {DUST3R_PREFIX + k: v for k, v in dust3r_state(network).items()}
    state |= {LSEG_PREFIX + k: v for k, v in lseg_state(network, None).items()}
    state |= {POINTS + k: v for k, v in network.point_transformer.state_dict().items()}
    for part, prefix in HEADS.items():
        state |= {prefix + k: v for k, v in getattr(network, part).state_dict().items()}
    return state


def lseg_image_state(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of LSeg's image side under the released keys, with some that are never used."""
    backwards = {new: old for old, new in IMAGE_PREFIXES.items()}
    state = {}
    for key, tensor in own.items():
        prefix = max((p for p in backwards if key.startswith(p)), key=len)
        state[backwards[prefix] + key[len(prefix) :]] = tensor
    return state | {"pretrained.model.norm.weight": torch.ones(4), "pretrained.model.head.weight": torch.ones(4, 4)}


def write_checkpoints(
    folder: Path, config: LsmConfig = SMALL, text: ClipTextConfig = SMALL_TEXT, seed: int = 0
) -> tuple[Lsm, ClipText]:
    """Write the three files with random numbers.

    Args:
        folder: gets them, under their official names.
        config, text: sizes.
        seed: of the numbers.

    Returns:
        The network (with the original backbone) and the text tower they hold.
    """
    network, texts = Lsm(config), ClipText(text)
    fill(network, seed)
    fill(texts, seed + 1)
    write_networks(folder, network, texts)
    return network, texts


def write_networks(folder: Path, network: Lsm, texts: ClipText) -> None:
    """Write a network and a text tower as the three official files; the finetuned backbone is another one."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = argparse.Namespace(model="AsymmetricCroCo3DStereo(enc_depth=2)", lr=1e-4)
    torch.save({"args": arguments, "model": dust3r_state(network)}, folder / FILES["dust3r"])
    lseg = {f"net.{k}": v for k, v in lseg_state(network, texts).items()}
    torch.save({"state_dict": lseg, "epoch": 200, "callbacks": [TrainingCallback()]}, folder / FILES["lseg"])
    own = lsm_state(network)
    own |= {k: v + 0.001 for k, v in own.items() if k.startswith(DUST3R_PREFIX) and v.ndim > 1}
    torch.save(
        {"args": argparse.Namespace(model="LSM_Dust3R(config={})"), "model": own, "epoch": 3}, folder / FILES["lsm"]
    )
