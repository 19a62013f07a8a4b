"""Sizes of a model from the shapes of its tensors, so that smaller checkpoints in the official formats load, too.

Numbers of heads leave no trace in the shapes; the released models have heads of 64 (16 in the point transformer).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lsm_core.errors import WeightsError
from lsm_core.nn.clip_text import ClipTextConfig
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dust3r import Dust3rConfig
from lsm_core.nn.lseg import LsegConfig
from lsm_core.nn.vit import VitConfig
from lsm_core.points.ptv3 import FusionConfig, PointTransformerConfig

HEAD_DIM = 64
POINT_HEAD_DIM = 16
Shapes = Mapping[str, Tensor]


def dust3r_sizes(state: Shapes, source: str) -> Dust3rConfig:
    """Return DUSt3R's sizes; keys as in the official file, without a prefix."""
    enc, dec = width(state, "enc_norm.weight", source), width(state, "dec_norm.weight", source)
    head = "downstream_head1.dpt."
    croco = CrocoConfig(
        channels=shape(state, "patch_embed.proj.weight", source)[1],
        patch_size=shape(state, "patch_embed.proj.weight", source)[2],
        enc_dim=enc,
        enc_depth=count(state, r"enc_blocks\.(\d+)\."),
        enc_heads=max(1, enc // HEAD_DIM),
        dec_dim=dec,
        dec_depth=count(state, r"dec_blocks\.(\d+)\."),
        dec_heads=max(1, dec // HEAD_DIM),
    )
    dims: Any = tuple(shape(state, f"{head}act_postprocess.{i}.0.weight", source)[0] for i in range(4))
    feature_dim = shape(state, f"{head}scratch.layer1_rn.weight", source)[0]
    return Dust3rConfig(croco, dims, feature_dim, shape(state, f"{head}head.2.weight", source)[0])


def lseg_sizes(state: Shapes, source: str) -> LsegConfig:
    """Return LSeg's sizes; keys as in the official file, after `net.`."""
    dim = shape(state, "pretrained.model.cls_token", source)[-1]
    depth = count(state, r"pretrained\.model\.blocks\.(\d+)\.")
    grid = math.isqrt(shape(state, "pretrained.model.pos_embed", source)[1] - 1)
    dims: Any = tuple(shape(state, f"pretrained.act_postprocess{k}.3.weight", source)[0] for k in range(1, 5))
    hooks: Any = tuple(depth * k // 4 - 1 for k in range(1, 5))
    out_dim, feature_dim = shape(state, "scratch.head1.weight", source)[:2]
    return LsegConfig(VitConfig(dim, depth, max(1, dim // HEAD_DIM), grid), hooks, dims, feature_dim, out_dim)


def clip_sizes(state: Shapes, source: str) -> ClipTextConfig:
    """Return the sizes of CLIP's text tower; keys without a prefix."""
    vocabulary, dim = shape(state, "token_embedding.weight", source)
    return ClipTextConfig(
        vocabulary=vocabulary,
        context=shape(state, "positional_embedding", source)[0],
        width=dim,
        heads=max(1, dim // HEAD_DIM),
        layers=count(state, r"transformer\.resblocks\.(\d+)\."),
        out_dim=shape(state, "text_projection", source)[1],
    )


def point_sizes(state: Shapes, source: str) -> PointTransformerConfig:
    """Return the sizes of the point transformer; keys after `point_transformer.`."""
    stages = count(state, r"enc\.enc(\d+)\.")
    enc = tuple(width(state, f"enc.enc{s}.block0.norm1.0.weight", source) for s in range(stages))
    dec = tuple(width(state, f"dec.dec{s}.block0.norm1.0.weight", source) for s in range(stages - 1))
    geometry = shape(state, "dust_feat_proj.weight", source)[1]
    language = shape(state, "lseg_feat_proj.weight", source)[1]
    return PointTransformerConfig(
        in_channels=shape(state, "embedding.stem.conv.weight", source)[-1],
        enc_depths=tuple(count(state, rf"enc\.enc{s}\.block(\d+)\.") for s in range(stages)),
        enc_channels=enc,
        enc_heads=tuple(max(1, dim // POINT_HEAD_DIM) for dim in enc),
        enc_patches=(1024,) * stages,
        dec_depths=tuple(count(state, rf"dec\.dec{s}\.block(\d+)\.") for s in range(stages - 1)),
        dec_channels=dec,
        dec_heads=tuple(max(1, dim // POINT_HEAD_DIM) for dim in dec),
        dec_patches=(1024,) * (stages - 1),
        fusion=FusionConfig(geometry, language, max(1, enc[-1] // HEAD_DIM), max(1, dec[-1] // HEAD_DIM)),
    )


def shape(state: Shapes, key: str, source: str) -> tuple[int, ...]:
    """Return a tensor's shape.

    Raises:
        WeightsError: there is no such key.
    """
    if key not in state:
        raise WeightsError(
            f"{source} has no tensor '{key}'.",
            "Check that it is the checkpoint of this model (lsm weights verify).",
        )
    return tuple(state[key].shape)


def width(state: Shapes, key: str, source: str) -> int:
    """Return the length of a vector; see `shape`."""
    return shape(state, key, source)[0]


def count(state: Shapes, pattern: str) -> int:
    """Return how many numbers follow each other from 0 in the keys that fit a pattern with one group."""
    numbers = {int(match[1]) for key in state if (match := re.match(pattern, key))}
    return max(numbers, default=-1) + 1
