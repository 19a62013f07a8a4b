"""lsm-tiny's weights file: card, hash, strict loading."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lsm_core.errors import WeightsError
from lsm_core.nn.tiny import TinyConfig, TinyNet

PACKAGED = Path(__file__).resolve().parent.parent / "assets" / "lsm_tiny.safetensors"
FORMAT = "lsm-tiny/1"


@dataclass(frozen=True)
class WeightsCard:
    """What the JSON beside a weights file says."""

    sha256: str
    network: TinyConfig
    training: dict[str, Any]


def read_card(weights: Path) -> WeightsCard:
    """Read the card of a weights file.

    Raises:
        WeightsError: the card is missing or of another format.
    """
    path = weights.with_suffix(".json")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        if card["format"] != FORMAT:
            raise WeightsError(f"{path.name} has format {card['format']}, this version reads {FORMAT}.")
        return WeightsCard(card["sha256"], TinyConfig(**card["network"]), card["training"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"The card {path.name} of the weights cannot be read: {error}.",
            "Keep the .json that `lsm train tiny` writes beside the .safetensors.",
        ) from error


def load_network(weights: Path | None, device: torch.device) -> tuple[TinyNet, WeightsCard]:
    """Build the network and fill it, strictly.

    Args:
        weights: a ``.safetensors`` file or a folder with ``lsm_tiny.safetensors``; None for the packaged one.
        device: where it runs.

    Raises:
        WeightsError: missing, damaged (hash) or not of this network.
    """
    path = PACKAGED if weights is None else weights
    if path.is_dir():
        path = path / PACKAGED.name
    if not path.is_file():
        raise WeightsError(
            f"There is no weights file {path.name}.", "Reinstall the package, or pass weights=FILE.safetensors."
        )
    card = read_card(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"{path.name} has SHA-256 {found[:12]}..., its card says {card.sha256[:12]}...: damaged or mixed up.",
            "Restore both files together (git checkout, or reinstall).",
        )
    try:
        state = {name: value.float() for name, value in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path.name} is not a safetensors file: {error}.") from error
    network = TinyNet(card.network)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path.name} does not fit the network: {error}.") from error
    network = network.eval().requires_grad_(False).to(device)
    return network.to(memory_format=torch.channels_last), card  # type: ignore[call-overload]
