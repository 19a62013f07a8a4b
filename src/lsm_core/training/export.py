"""The shipped form of the weights: fp16 safetensors and a JSON card that the loader checks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from lsm_core.io.atomic import atomic_path, write_text
from lsm_core.nn.tiny import TinyConfig


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
    data = save(tensors)
    card = {
        "format": "lsm-tiny/1",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "parameters": int(sum(value.numel() for value in tensors.values())),
        "dtype": str(torch.float16).removeprefix("torch."),
        "network": asdict(config),
        "training": dict(training),
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    card_path = path.with_suffix(".json")
    write_text(card_path, json.dumps(card, indent=2) + "\n")
    return card_path
