"""Begin a run from weights of an earlier network: what it has is taken over, what is new stays as it was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from lsm_core.backends.tiny_weights import load_network, read_card
from lsm_core.errors import WeightsError
from lsm_core.nn.tiny import TinyConfig, TinyNet


def with_shapes_of(config: TinyConfig, weights: Path) -> TinyConfig:
    """Return the shapes of a network that begins from a weights file: those of the file.

    A finer search that the settings ask for is kept where the file has none (the first architecture).

    Raises:
        WeightsError: the file's card cannot be read.
    """
    found = read_card(weights).network
    if found.fine_bins > 0:
        return found
    return replace(
        found,
        fine_bins=config.fine_bins,
        fine_bin_range=config.fine_bin_range,
        fine_descriptor_dim=config.fine_descriptor_dim,
    )


def start_from(net: TinyNet, weights: Path) -> list[str]:
    """Fill a network from a weights file of the same or an earlier architecture.

    Args:
        net: filled in place.
        weights: a ``.safetensors`` with its card.

    Returns:
        Names of the tensors that the file lacks, which keep their values.

    Raises:
        WeightsError: the file cannot be read, or has tensors that this network does not, or of other shapes.
    """
    source = load_network(weights, torch.device("cpu"))[0].state_dict()
    own = net.state_dict()
    unknown = [name for name, value in source.items() if name not in own or own[name].shape != value.shape]
    if unknown:
        raise WeightsError(
            f"{weights.name} has tensors that this network does not take: {unknown[:4]}.",
            "Start from weights of this network or an earlier one.",
        )
    net.load_state_dict(source, strict=False)
    return [name for name in own if name not in source]
