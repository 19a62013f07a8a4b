"""Write fixtures as the recorded ones are: NAME.json, NAME.io.safetensors, NAME.weights.safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def write_fixture(
    folder: Path,
    name: str,
    spec: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    weights: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write the files; numbers are stored in float32 as the reference has them."""
    files = {"io": f"{name}.io.safetensors"}
    save_file({k: _stored(v) for k, v in tensors.items()}, folder / files["io"])
    if weights is not None:
        files["weights"] = f"{name}.weights.safetensors"
        save_file({k: _stored(v) for k, v in weights.items()}, folder / files["weights"])
    shapes = {k: [list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in tensors.items()}
    document = {"name": name, "files": files, "tensors": shapes, **spec}
    (folder / f"{name}.json").write_text(json.dumps(document))
    return folder / f"{name}.json"


def random_state(module: nn.Module, seed: int) -> dict[str, Tensor]:
    """Return float64 numbers for each key of a module; norms and running statistics are no identities."""
    generator = torch.Generator().manual_seed(seed)
    out: dict[str, Tensor] = {}
    for key, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            out[key] = torch.tensor(7)
            continue
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if key.endswith("running_var"):
            out[key] = 0.5 + noise.abs()
        elif tensor.ndim < 2:
            out[key] = 0.2 * noise + (1.0 if key.endswith("weight") else 0.0)
        else:
            out[key] = noise * (tensor.numel() / len(tensor)) ** -0.5
    return {k: v.float().to(v.dtype) for k, v in out.items()}  # what float32 files can hold


def _stored(tensor: Tensor) -> Tensor:
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous().clone()
