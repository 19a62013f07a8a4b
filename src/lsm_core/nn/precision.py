"""Which layers may work in half precision, and what must not (specification, performance notes, last line).

The layers of `DENSE` store their weights in half and run under autocast: matrix products and convolutions in half,
LayerNorm, the residual streams and everything else in float32. Points are exponential in the last values of a head,
and voxels jump with the points, so the end of the heads and all that follows stays in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

# starts of module names, below a DUSt3R
TRUNK = (
    "patch_embed.",
    "enc_blocks.",
    "decoder_embed",
    "dec_blocks.",
    "dec_blocks2.",
    "downstream_head1.dpt.act_postprocess.",
    "downstream_head1.dpt.scratch.",
    "downstream_head2.dpt.act_postprocess.",
    "downstream_head2.dpt.scratch.",
)
# below a Splatt3R, beside the trunk
GAUSSIANS = (
    "downstream_head1.gaussian_dpt.dpt.act_postprocess.",
    "downstream_head1.gaussian_dpt.dpt.scratch.",
    "downstream_head2.gaussian_dpt.dpt.act_postprocess.",
    "downstream_head2.gaussian_dpt.dpt.scratch.",
)
# below a NoPoSplat; the values of a Gaussian end in float32 like the centres
NOPOSPLAT = (
    "backbone.patch_embed.",
    "backbone.enc_blocks.",
    "backbone.decoder_embed",
    "backbone.dec_blocks.",
    "backbone.dec_blocks2.",
    "downstream_head1.dpt.act_postprocess.",
    "downstream_head1.dpt.scratch.",
    "downstream_head2.dpt.act_postprocess.",
    "downstream_head2.dpt.scratch.",
    *(
        f"{head}.dpt.{part}"
        for head in ("gaussian_param_head", "gaussian_param_head2")
        for part in ("act_postprocess.", "scratch.", "input_merger.", "head.0")
    ),
)
LANGUAGE = ("vit.patch_embed.", "vit.blocks.", "readout.", "dpt.")  # below an LSeg
PRODUCTS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def full_precision(like: Tensor) -> AbstractContextManager[None]:
    """Return a context in which nothing is cast to half, for what must stay in float32."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def strict_float32() -> AbstractContextManager[None]:
    """Return a context in which a GPU's convolutions are float32; by default they round their inputs (TF32)."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def dense_layers(module: nn.Module, starts: tuple[str, ...]) -> Iterator[tuple[str, nn.Module]]:
    """Return name and layer of the linear layers and convolutions under some names."""
    for name, layer in module.named_modules():
        if isinstance(layer, PRODUCTS) and name.startswith(starts):
            yield name, layer


def store_half(module: nn.Module, starts: tuple[str, ...], dtype: torch.dtype) -> None:
    """Store the weights of the dense layers under some names in a dtype; they then need autocast to run."""
    for _, layer in dense_layers(module, starts):
        layer.to(dtype)
