"""Sizes of pixelSplat from the shapes of its tensors, so that smaller checkpoints in the released format load, too.

Numbers of heads, of samples and of Gaussians per pixel leave no trace in the shapes; the release's are taken.
"""

from __future__ import annotations

import math
from typing import Any

from lsm_core.backends.lsm_sizes import HEAD_DIM, Shapes, count, shape, width
from lsm_core.nn.epipolar import EpipolarConfig
from lsm_core.nn.image_attention import ImageAttentionConfig
from lsm_core.nn.pixelsplat import PixelsplatConfig
from lsm_core.nn.ray_gaussians import OFFSETS, QUATERNION, SCALES
from lsm_core.nn.resnet import ResNetConfig
from lsm_core.nn.vit import VitConfig

EPIPOLAR_HEAD_DIM = 128
EPIPOLAR, RESNET, DINO = "epipolar_transformer.", "backbone.resnet_backbone.model.", "backbone.dino."
CODES_PER_OCTAVE = 2


def pixelsplat_sizes(state: Shapes, source: str) -> PixelsplatConfig:
    """Return the sizes; keys as in the file, after `encoder.`.

    Raises:
        WeightsError: a tensor that tells one is missing.
    """
    dim, backbone_dim = shape(state, "backbone_projection.1.weight", source)
    per_pixel = width(state, "to_gaussians.1.bias", source)
    return PixelsplatConfig(
        _dino_sizes(state, source),
        _resnet_sizes(state, source),
        backbone_dim,
        _epipolar_sizes(state, source, dim),
        buckets=width(state, "depth_predictor.projection.1.bias", source) // 2,
        sh_degree=math.isqrt(max(per_pixel - OFFSETS - SCALES - QUATERNION, 3) // 3) - 1,
    )


def _dino_sizes(state: Shapes, source: str) -> VitConfig:
    dim = width(state, f"{DINO}norm.weight", source)
    return VitConfig(
        dim,
        count(state, r"backbone\.dino\.blocks\.(\d+)\."),
        max(1, dim // HEAD_DIM),
        math.isqrt(shape(state, f"{DINO}pos_embed", source)[1] - 1),
        shape(state, f"{DINO}patch_embed.proj.weight", source)[-1],
        width(state, f"{DINO}blocks.0.mlp.fc1.bias", source) / dim,
    )


def _resnet_sizes(state: Shapes, source: str) -> ResNetConfig:
    stages = (1, 2, 3)
    planes: Any = tuple(width(state, f"{RESNET}layer{i}.0.bn1.weight", source) for i in stages)
    blocks: Any = tuple(count(state, rf"backbone\.resnet_backbone\.model\.layer{i}\.(\d+)\.") for i in stages)
    return ResNetConfig(width(state, f"{RESNET}bn1.weight", source), planes, blocks)


def _epipolar_sizes(state: Shapes, source: str, dim: int) -> EpipolarConfig:
    layer = f"{EPIPOLAR}transformer.layers.0."
    own = f"{layer}1.fn.self_attention."
    inner = width(state, f"{layer}0.fn.to_q.weight", source)
    own_inner = width(state, f"{own}transformer.layers.0.0.fn.to_qkv.weight", source) // 3
    heads, own_heads = (max(1, n // EPIPOLAR_HEAD_DIM) for n in (inner, own_inner))
    embeddings = f"{EPIPOLAR}view_embeddings.weight"
    nested = r"epipolar_transformer\.transformer\.layers\.0\.1\.fn\.self_attention\.transformer\.layers\.(\d+)\."
    return EpipolarConfig(
        dim,
        octaves=shape(state, f"{EPIPOLAR}depth_encoding.1.weight", source)[1] // CODES_PER_OCTAVE,
        layers=count(state, r"epipolar_transformer\.transformer\.layers\.(\d+)\."),
        heads=heads,
        head_dim=inner // heads,
        downscale=shape(state, f"{EPIPOLAR}downscaler.weight", source)[-1],
        view_embeddings=width(state, embeddings, source) if embeddings in state else 0,
        image_attention=ImageAttentionConfig(
            shape(state, f"{own}patch_embedder.0.weight", source)[-1],
            shape(state, f"{own}positional_encoding.1.weight", source)[1] // (2 * CODES_PER_OCTAVE),
            count(state, nested),
            own_heads,
            own_inner // own_heads,
            width(state, f"{own}patch_embedder.0.bias", source),
            width(state, f"{own}transformer.layers.0.1.fn.net.0.bias", source),
        ),
    )
