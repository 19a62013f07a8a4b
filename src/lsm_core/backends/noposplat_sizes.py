"""Sizes of a NoPoSplat from the shapes of its tensors: smaller checkpoints in the official format load, too."""

from __future__ import annotations

import math
from typing import Any

from lsm_core.backends.lsm_sizes import HEAD_DIM, Shapes, count, shape, width
from lsm_core.errors import WeightsError
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.gaussian_adapter import SHAPE_CHANNELS
from lsm_core.nn.intrinsics_embedding import IntrinsicsMode, embedding_channels
from lsm_core.nn.noposplat import OPACITY, NoposplatConfig

COLOURS = 3
DEGREES = (0, 2, 4, 8)  # of rays beside the input


def noposplat_sizes(state: Shapes, source: str) -> NoposplatConfig:
    """Return the sizes; keys as in the official files, after `encoder.`.

    Raises:
        WeightsError: a tensor is missing, or its shape means nothing here.
    """
    enc, dec = width(state, "backbone.enc_norm.weight", source), width(state, "backbone.dec_norm.weight", source)
    patches = shape(state, "backbone.patch_embed.proj.weight", source)
    croco = CrocoConfig(
        channels=COLOURS,
        patch_size=patches[2],
        enc_dim=enc,
        enc_depth=count(state, r"backbone\.enc_blocks\.(\d+)\."),
        enc_heads=max(1, enc // HEAD_DIM),
        dec_dim=dec,
        dec_depth=count(state, r"backbone\.dec_blocks\.(\d+)\."),
        dec_heads=max(1, dec // HEAD_DIM),
    )
    head = "downstream_head1.dpt."
    dims: Any = tuple(shape(state, f"{head}act_postprocess.{i}.0.weight", source)[0] for i in range(4))
    raw = shape(state, "gaussian_param_head.dpt.head.4.weight", source)[0]
    return NoposplatConfig(
        croco,
        dims,
        shape(state, f"{head}scratch.layer1_rn.weight", source)[0],
        shape(state, f"{head}head.2.weight", source)[0],
        _sh_degree(raw, source),
        _mode(state, patches[1] - COLOURS, shape(state, "backbone.decoder_embed.weight", source)[1] - enc, source),
    )


def _sh_degree(channels: int, source: str) -> int:
    coefficients, rest = divmod(channels - OPACITY - SHAPE_CHANNELS, 3)
    degree = math.isqrt(max(coefficients, 1)) - 1
    if rest or (degree + 1) ** 2 != coefficients:
        raise WeightsError(
            f"{source} has {channels} values per pixel, which is no number of Gaussian parameters.",
            "Check that it is the checkpoint of this model (lsm weights verify).",
        )
    return degree


def _mode(state: Shapes, beside_image: int, beside_tokens: int, source: str) -> IntrinsicsMode:
    """Return how the camera is told: by directions where there are channels for them, else by a token."""
    if not beside_image and not beside_tokens:
        return IntrinsicsMode("token" if "backbone.intrinsic_encoder.weight" in state else "none")
    channels = beside_image or beside_tokens
    degree = next((d for d in DEGREES if embedding_channels(d) == channels), None)
    if degree is None:
        raise WeightsError(
            f"{source} takes {channels} channels of camera rays per pixel, which is no number of harmonics.",
            "Check that it is the checkpoint of this model (lsm weights verify).",
        )
    return IntrinsicsMode("pixelwise", "encoder" if beside_image else "decoder", degree)
