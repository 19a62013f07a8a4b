"""lsm-tiny's weights file: card, hash, strict loading."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from lsm_core.errors import WeightsError
from lsm_core.nn.tiny import TinyConfig, TinyNet

PACKAGED = Path(__file__).resolve().parent.parent / "assets" / "lsm_tiny.safetensors"
FORMAT = "lsm-tiny/1"
ONNX_MANIFEST = "onnx.json"  # beside the weights where `lsm weights onnx` wrote graphs of them


@dataclass(frozen=True)
class WeightsCard:
    """What the JSON beside a weights file says; `size` is the file's, bytes, 0 when the card has none."""

    sha256: str
    size: int
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
            raise WeightsError(
                f"{path} has format {card['format']}, this version reads {FORMAT}.", restore(weights)
            )
        return WeightsCard(
            card["sha256"], int(card.get("bytes", 0)), TinyConfig(**card["network"]), card["training"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"The card {path} of the weights cannot be read: {error}.",
            f"Keep the .json that `lsm train tiny` writes beside the .safetensors. {restore(weights)}",
        ) from error


def weights_file(weights: Path | None) -> Path:
    """Return the ``.safetensors`` that is meant by a file, a folder that holds one, or None for the packaged one.

    Raises:
        WeightsError: it is not there.
    """
    path = PACKAGED if weights is None else weights
    if path.is_dir():
        path = path / PACKAGED.name
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.", restore(path))
    return path


def load_network(weights: Path | None, device: torch.device) -> tuple[TinyNet, WeightsCard]:
    """Build the network and fill it, strictly.

    Args:
        weights: a ``.safetensors`` file or a folder with ``lsm_tiny.safetensors``; None for the packaged one.
        device: where it runs.

    Raises:
        WeightsError: missing, unreadable, damaged (size, hash) or not of this network.
    """
    path = weights_file(weights)
    card = read_card(path)
    try:
        state = {name: value.float() for name, value in load(checked(path, card)).items()}
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}.", restore(path)) from error
    network = TinyNet(card.network)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit the network: {error}.", restore(path)) from error
    network = network.eval().requires_grad_(False).to(device)
    return network.to(memory_format=torch.channels_last), card  # type: ignore[call-overload]


def checked(path: Path, card: WeightsCard) -> bytes:
    """Return the content of a weights file once it is what its card says; the size tells most damage at once.

    Raises:
        WeightsError: unreadable, truncated, or with another hash.
    """
    try:
        size = path.stat().st_size
        if card.size and size != card.size:
            raise WeightsError(
                f"{path} has {size} bytes, its card says {card.size}: truncated or mixed up.", restore(path)
            )
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.", restore(path)) from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"{path} has SHA-256 {found[:12]}..., its card says {card.sha256[:12]}...: damaged or mixed up.",
            restore(path),
        )
    return content


def restore(path: Path) -> str:
    """Return what to do about a weights file that cannot be used, with the command."""
    if path == PACKAGED:
        return "Restore it and its .json: git checkout -- src/lsm_core/assets, or reinstall the package."
    return (
        f"Copy it and its .json there again and compare `sha256sum {path}` with the .json, "
        "or leave weights empty for those shipped."
    )
