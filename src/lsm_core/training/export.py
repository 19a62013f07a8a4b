"""The shipped form of the weights: fp16 safetensors and a JSON card that the loader checks."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lsm_core.nn.tiny import TinyConfig


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def export_weights(
    state: Mapping[str, Tensor], config: TinyConfig, path: Path, training: Mapping[str, Any]
) -> Path:
    """Write ``path`` (fp16 safetensors) and its card ``path.json``, each atomically, weights first.

    Args:
        state: state dict of a TinyNet.
        config: its shapes, kept in the card.
        path: the ``.safetensors`` to write.
        training: what the card says about the run (steps, seed, command ...).

    Returns:
        The card's path.
    """
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in state.items()
    }
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.chmod(0o644)
    card = {
        "format": "lsm-tiny/1",
        "sha256": sha256_of(partial),
        "bytes": partial.stat().st_size,
        "parameters": int(sum(value.numel() for value in tensors.values())),
        "dtype": str(torch.float16).removeprefix("torch."),
        "network": asdict(config),
        "training": dict(training),
    }
    os.replace(partial, path)
    card_path = path.with_suffix(".json")
    card_partial = card_path.with_suffix(".partial")
    card_partial.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    os.replace(card_partial, card_path)
    return card_path
