"""Checkpoints of random numbers in NoPoSplat's file format, small or full size; see `seeded_checkpoints`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lsm_core.backends.noposplat_files import HEADS, PREFIX
from lsm_core.backends.seeded_checkpoints import TrainingCallback, fill
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dpt import ALIASES, UNUSED_PREFIX
from lsm_core.nn.noposplat import Noposplat, NoposplatConfig

SMALL = NoposplatConfig(
    CrocoConfig(enc_dim=64, enc_depth=2, enc_heads=1, dec_dim=64, dec_depth=4, dec_heads=1), (8, 8, 16, 16), 16, 8
)


def noposplat_state(network: Noposplat) -> dict[str, Tensor]:
    """Return the tensors as the files have them: with aliases and what is stored and never used."""
    state = dict(network.state_dict())
    for head in HEADS:
        prefix = f"{head}dpt."
        state |= {prefix + alias: state[prefix + key] for alias, key in ALIASES.items()}
        used = f"{prefix}{UNUSED_PREFIX.replace('Unit1', 'Unit2')}"
        state |= {k.replace("Unit2", "Unit1"): v.clone() for k, v in state.items() if k.startswith(used)}
    state["backbone.mask_token"] = torch.zeros(1, 1, network.config.croco.dec_dim)
    return {PREFIX + key: tensor for key, tensor in state.items()}


def write_network(path: Path, network: Noposplat) -> None:
    """Write a network as Lightning does, with what a training program leaves beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "epoch": 0,
        "global_step": 18751,
        "pytorch-lightning_version": "2.3.0",
        "state_dict": noposplat_state(network),
        "callbacks": {"checkpoint": TrainingCallback()},
    }
    torch.save(document, path)


def write_noposplat(path: Path, config: NoposplatConfig = SMALL, seed: int = 0) -> Noposplat:
    """Write a file with random numbers; return the network it holds."""
    network = Noposplat(config)
    fill(network, seed)
    write_network(path, network)
    return network
