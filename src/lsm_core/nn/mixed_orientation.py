"""Batches that mix landscape and portrait images, all stored landscape (DUSt3R's training layout).

A portrait sample is stored transposed, with its true (H, W) beside it. It is embedded and decoded upright, and what
comes out is transposed back to the stored layout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lsm_core.nn.croco import PatchEmbed


def embed_mixed(patch_embed: PatchEmbed, image: Tensor, true_shape: Tensor) -> tuple[Tensor, Tensor]:
    """Embed images [B, C, H, W] stored landscape.

    Args:
        patch_embed: of the model.
        image: H <= W.
        true_shape: [B, 2] (height, width) of each image as it really is.

    Returns:
        tokens [B, N, dim] and positions [B, N, 2], those of portrait samples on the upright grid.
    """
    portrait = is_portrait(true_shape)
    tokens, positions = patch_embed(image)
    tokens, positions = tokens.clone(), positions.clone()
    if bool(portrait.any()):
        tokens[portrait], positions[portrait] = patch_embed(image[portrait].transpose(2, 3))
    return tokens, positions


def decode_mixed(
    head: Callable[[Sequence[Tensor], tuple[int, int]], Tensor],
    layers: Sequence[Tensor],
    true_shape: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Run a dense head on each orientation apart, and store the results landscape.

    Args:
        head: (token sets, (H, W)) -> [B, C, H, W].
        layers: token sets [B, N, dim].
        true_shape: [B, 2] (height, width) of each image as it really is.
        size: stored (H, W), H <= W.

    Returns:
        [B, C, H, W].
    """
    portrait = is_portrait(true_shape)
    parts: dict[bool, Tensor] = {}
    for upright in (False, True):
        chosen = portrait == upright
        if bool(chosen.any()):
            out = head([t[chosen] for t in layers], size[::-1] if upright else size)
            parts[upright] = out.transpose(2, 3) if upright else out
    first = next(iter(parts.values()))
    merged = first.new_empty(len(portrait), *first.shape[1:])
    for upright, part in parts.items():
        merged[portrait == upright] = part
    return merged


def is_portrait(true_shape: Tensor) -> Tensor:
    """Return [B] bool: higher than wide."""
    return torch.as_tensor(true_shape[:, 0] > true_shape[:, 1])
