"""Two decoders for V views of one size in as few calls as they allow.

Every view but the first goes through the second decoder, so these are one batch. Each of them attends to all other
views: the keys and values of a view are the same for all who read them, and are made once. `CrocoBackbone.decode`
is the readable twin, one view after the other; the results agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from lsm_core.nn.croco import CrocoBackbone, ViewTokens, others
from lsm_core.nn.rope import rope_tables
from lsm_core.nn.transformer import DecoderBlock, Rope


def decode_together(
    backbone: CrocoBackbone, views: Sequence[ViewTokens], embedded: Sequence[Tensor]
) -> list[list[Tensor]]:
    """Let views of one size attend to each other; see `CrocoBackbone.decode`.

    Args:
        backbone: the blocks.
        views: V >= 2 encoded views of equal batch size and equal positions.
        embedded: per view what enters the decoder, [B, N, dec_dim].

    Returns:
        Per view dec_depth + 1 token sets.
    """
    count, config = len(views), backbone.config
    rope = rope_tables(views[0].positions[:1], config.dec_dim // config.dec_heads, config.rope_base)
    memory_rope = (torch.cat((rope[0],) * (count - 1), 2), torch.cat((rope[1],) * (count - 1), 2))
    layers = [[view.tokens] for view in views]
    first, rest = embedded[0], torch.cat(list(embedded[1:]))
    for own, other in zip(backbone.dec_blocks, backbone.dec_blocks2, strict=True):
        memory = torch.cat(rest.chunk(count - 1), 1)
        first, rest = (
            own(first, memory, rope, memory_rope),
            _others_layer(cast(DecoderBlock, other), first, rest, count, rope),
        )
        for outputs, tokens in zip(layers, (first, *rest.chunk(count - 1)), strict=True):
            outputs.append(tokens)
    for outputs in layers:
        outputs[-1] = backbone.dec_norm(outputs[-1])
    return layers


def _others_layer(block: DecoderBlock, first: Tensor, rest: Tensor, count: int, rope: Rope) -> Tensor:
    """Run a layer of the second decoder on all views but the first, rest [(V - 1) B, N, dim], view by view."""
    cross = block.cross_attn
    sources = first if count == 2 else torch.cat((first, rest))  # of two views, only the first is read here
    keys, values = cross.keys_values(block.norm_y(sources), rope)
    if count > 2:
        keys, values = _of_all_others(keys, count), _of_all_others(values, count)
    rest = rest + block.attn(block.norm1(rest), rope)
    rest = rest + cross.attend(block.norm2(rest), keys, values, rope)
    return rest + block.mlp(block.norm3(rest))


def _of_all_others(heads: Tensor, count: int) -> Tensor:
    """Return [(V - 1) B, heads, (V - 1) N, d] for views 1 .. V - 1 of [V B, heads, N, d], sources in order."""
    parts = heads.chunk(count)
    return torch.cat([torch.cat(others(parts, view), 2) for view in range(1, count)])
