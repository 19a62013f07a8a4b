"""A checkpoint in NoPoSplat's format that knows a few views of a known scene, small or full size.

As in `fitted_checkpoints`: random features of every token, and the ridge regression from them to the true points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from fitted_checkpoints import (
    CELLS,
    FITTED,
    VALUES,
    KnownView,
    identity,
    only_level,
    raw_points,
    recorded,
    regress,
    square_crop,
    widen,
    zero,
)
from torch import nn

from lsm_core.backends.image_crop import prepare
from lsm_core.backends.seeded_checkpoints import fill
from lsm_core.backends.seeded_noposplat import write_network
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.intrinsics_embedding import normalised_intrinsics
from lsm_core.nn.noposplat import EncodedImage, Noposplat, NoposplatConfig
from lsm_core.nn.rgb_shortcut_head import RgbShortcutHead
from lsm_core.sh import C0

WIDTH = 384
SMALL = NoposplatConfig(
    CrocoConfig(enc_dim=WIDTH, enc_depth=1, enc_heads=6, dec_dim=WIDTH, dec_depth=2, dec_heads=6),
    (8, FITTED, 8, 8), 2 * VALUES, 2 * VALUES,
)  # fmt: skip
OPACITY, SPAN = 0.95, 0.003  # of every Gaussian; its standard deviation in scene units


def write_fitted(path: Path, views: Sequence[KnownView], config: NoposplatConfig = SMALL) -> None:
    """Write a file whose network answers the views, given in this order, with the true points and colours."""
    network = Noposplat(config)
    with torch.no_grad():
        fill(network, 0)
        fit_points(network, views)
        for head in (network.gaussian_param_head, network.gaussian_param_head2):
            show_colours(head.dpt)
    write_network(path, network)


def encoded(network: Noposplat, view: KnownView) -> EncodedImage:
    """Encode a view as the backend does."""
    plan = square_crop(view.rgb.shape[1], view.rgb.shape[0])
    placed = prepare(view.rgb, plan)
    K = torch.linalg.inv(placed.grid_to_image.double()).float() @ torch.from_numpy(view.K).float()
    return network.encode(placed.tensor, normalised_intrinsics(K, plan.size)[None])


def fit_points(network: Noposplat, views: Sequence[KnownView]) -> None:
    """Make the centre heads answer the views with their true points in the first one's frame."""
    backbone = network.backbone
    zero(backbone.intrinsic_encoder)
    for block in backbone.enc_blocks:
        zero(block.attn.proj, block.mlp.fc2)
    backbone.decoder_embed.weight[:FITTED] = 0
    backbone.decoder_embed.bias[:FITTED] = 0
    for blocks in (backbone.dec_blocks, backbone.dec_blocks2):
        for block in blocks:
            zero(block.attn.proj, block.cross_attn.proj, block.mlp.fc2)
        widen(blocks[0].mlp.fc1)
    images = [encoded(network, view) for view in views]
    for head, blocks in enumerate((backbone.dec_blocks, backbone.dec_blocks2)):
        output = blocks[0].mlp.fc2
        inputs = recorded(output, lambda: backbone.decode([i.view for i in images]))
        known = [0] if head == 0 else list(range(1, len(views)))
        tokens = [x[0, : x.shape[1] - 1] for x in inputs]  # without the camera's
        truths = [raw_points(views[v], views[0]) for v in known]
        regress(output, torch.cat(tokens), torch.cat(truths))
        pass_through((network.downstream_head1, network.downstream_head2)[head].dpt)


def pass_through(dpt: nn.Module) -> None:
    """Bring the answer in the tokens to the pixels: only upsampling is left to do."""
    to_channels, spread = dpt.act_postprocess[1]
    identity(to_channels)
    zero(spread)
    for cell in range(CELLS * CELLS):
        for value in range(3):
            spread.weight[cell * VALUES + value, value, cell // CELLS, cell % CELLS] = 1
    only_level(dpt.scratch, 2)
    identity(dpt.head[0])
    zero(dpt.head[2], dpt.head[4])
    for value in range(3):  # relu(x) - relu(-x) = x
        for sign, channel in ((1.0, value), (-1.0, VALUES + value)):
            dpt.head[2].weight[channel, value, 1, 1] = sign
            dpt.head[4].weight[value, channel, 0, 0] = sign


def show_colours(dpt: RgbShortcutHead) -> None:
    """Make every Gaussian round, nearly opaque, and of its pixel's colour."""
    zero(*(getattr(dpt.scratch, f"refinenet{i}").out_conv for i in (1, 2, 3, 4)))
    merger, first, last = dpt.input_merger[0], dpt.head[0], dpt.last
    zero(merger, first, last)
    middle = merger.kernel_size[0] // 2
    for c in range(3):
        merger.weight[c, c, middle, middle] = 0.5
        merger.bias[c] = 0.5  # in [0, 1]
        first.weight[c, c, 1, 1] = 1
        last.weight[8 + c * 25, c, 0, 0] = 1 / C0
        last.bias[8 + c * 25] = -0.5 / C0
    last.bias[0] = math.log(OPACITY / (1 - OPACITY))
    last.bias[1:4] = SPAN / 0.001
    last.bias[4:8] = torch.tensor([0.0, 0.0, 0.0, 1.0])
