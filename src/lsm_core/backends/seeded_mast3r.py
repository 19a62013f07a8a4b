"""Checkpoints of random numbers in the file formats of MASt3R and Splatt3R, small or full size.

See `seeded_checkpoints`: what such a model says means nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from lsm_core.backends.mast3r_keys import HEADS, PREFIX
from lsm_core.backends.seeded_checkpoints import TrainingCallback, dpt_extras, dust3r_extras, fill
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.mast3r import DescriptorConfig, Mast3r, Mast3rConfig
from lsm_core.nn.splatt3r import Splatt3r, Splatt3rConfig

_CROCO = CrocoConfig(enc_dim=64, enc_depth=2, enc_heads=1, dec_dim=64, dec_depth=4, dec_heads=1)
_DIMS = (8, 8, 16, 16)
SMALL_MAST3R = Mast3rConfig(_CROCO, _DIMS, 16, 8, descriptor=DescriptorConfig(dim=6))
SMALL_SPLATT3R = Splatt3rConfig(
    _CROCO, _DIMS, 16, 8, descriptor=DescriptorConfig(dim=6, confidence_range=(1.0, float("inf")))
)


def mast3r_state(network: Mast3r) -> dict[str, Tensor]:
    """Return the tensors as MASt3R's file has them: with aliases and what is stored and never used."""
    return dust3r_extras(dict(network.state_dict()), network.config.dec_dim)


def splatt3r_state(network: Splatt3r) -> dict[str, Tensor]:
    """Return the tensors as Splatt3R's file has them, with some of the training loss's."""
    state = mast3r_state(network)
    for head in HEADS:
        state = dpt_extras(state, f"{head}gaussian_dpt.dpt.")
    own = {PREFIX + key: tensor for key, tensor in state.items()}
    return own | {"lpips_criterion.lin0.model.1.weight": torch.ones(1, 64, 1, 1)}


def write_mast3r(path: Path, config: Mast3rConfig = SMALL_MAST3R, seed: int = 0) -> Mast3r:
    """Write MASt3R's file with random numbers; return the network it holds."""
    network = Mast3r(config)
    fill(network, seed)
    arguments = argparse.Namespace(model="AsymmetricMASt3R(enc_depth=2)", lr=1e-4)
    torch.save({"args": arguments, "model": mast3r_state(network), "epoch": 1}, path)
    return network


def write_splatt3r(path: Path, config: Splatt3rConfig = SMALL_SPLATT3R, seed: int = 0) -> Splatt3r:
    """Write Splatt3R's file with random numbers; return the network it holds.

    The Gaussian heads end as when their training starts, so that a scene can be seen.
    """
    network = Splatt3r(config)
    fill(network, seed)
    network.start_gaussians(torch.Generator().manual_seed(seed))
    save_splatt3r(path, network)
    return network


def save_splatt3r(path: Path, network: Splatt3r) -> None:
    """Write a network as Splatt3R's file, with what Lightning leaves in it."""
    lightning = {
        "epoch": 19,
        "global_step": 1200,
        "pytorch-lightning_version": "2.2.1",
        "callbacks": {"ModelCheckpoint": TrainingCallback()},
        "hyper_parameters": {"config": TrainingCallback()},
    }
    torch.save({**lightning, "state_dict": splatt3r_state(network)}, path)
