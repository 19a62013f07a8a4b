"""Small checkpoints in the official formats of the Large Spatial Model that know a few views of a known scene.

Nothing is trained: a random network is fitted in closed form. One layer of random features sees every token of the
views (and, in the second decoder, a summary of the other view through cross attention); the layer behind it is the
ridge regression from these features to the true pointmap or class; the layers after it pass that through. The model
computes all of it from the images, so a pair it was not fitted to comes out wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lsm_core.backends.image_crop import CropPlan, crop_plan, prepare
from lsm_core.backends.seeded_checkpoints import SMALL, SMALL_TEXT, fill, write_networks
from lsm_core.nn.clip_text import ClipText
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dpt import Scratch
from lsm_core.nn.dust3r import Dust3r, Dust3rConfig
from lsm_core.nn.lseg import Lseg, LsegConfig
from lsm_core.nn.lsm import Lsm
from lsm_core.nn.transformer import EncoderBlock
from lsm_core.nn.vit import VitConfig
from lsm_core.points.ptv3 import FusionConfig
from lsm_core.query.clip_tokenizer import tokenize

Crop = Callable[[int, int], CropPlan]
SIZE = 256  # of the backend's square crop
CELLS = 2  # of pointmap values per side of a token, so 1/8 of the image
VALUES = 4  # x, y, z and confidence, all raw
RAW_CONFIDENCE = 2.5
FITTED = CELLS * CELLS * VALUES  # first channels of the decoder's tokens: kept free for the answer
WIDTH = 384  # of DUSt3R's tokens: four times as many features must be more than the tokens to know
LSEG_WIDTH = 256
CLASSES = 8  # most classes
GELU_SHIFT = 6.0  # GELU leaves numbers of this size as they are
CONFIG = replace(
    SMALL,
    dust3r=Dust3rConfig(
        CrocoConfig(enc_dim=WIDTH, enc_depth=1, enc_heads=6, dec_dim=WIDTH, dec_depth=2, dec_heads=6),
        (8, FITTED, 8, 8),
        2 * VALUES,
        2 * VALUES,
    ),
    lseg=LsegConfig(VitConfig(LSEG_WIDTH, 4, 4, 16), (0, 1, 2, 3), (8, 8, CLASSES, 8), 2 * CLASSES, 512),
    points=replace(SMALL.points, fusion=FusionConfig(WIDTH, 512, 1, 1)),
)


@dataclass(frozen=True, eq=False)
class KnownView:
    """An image [H, W, 3] uint8 and the truth: depth [H, W], class [H, W], pose and intrinsics in its pixels."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    label: NDArray[np.int32]
    T_world_cam: NDArray[np.float64]
    K: NDArray[np.float64]


def square_crop(width: int, height: int) -> CropPlan:
    """Return how backend lsm crops an image."""
    return crop_plan(width, height, SIZE)


def write_fitted_checkpoints(
    folder: Path, views: Sequence[KnownView], classes: Sequence[str], language_crop: Crop = square_crop
) -> None:
    """Write the three official files of a network that knows the views, and the classes by name.

    Args:
        folder: gets them.
        views: the truth; labels index the classes.
        classes: at most CLASSES names.
        language_crop: how LSeg will be shown an image.
    """
    network, texts = Lsm(CONFIG), ClipText(SMALL_TEXT)
    with torch.no_grad():
        fill(network, 0)
        fill(texts, 1)
        fit_geometry(network.dust3r, views)
        words = F.normalize(texts(tokenize(list(classes))), dim=-1)
        fit_language(network.lseg, views, words, language_crop)
        keep_language(network, words)
    write_networks(folder, network, texts)


def fit_geometry(trunk: Dust3r, views: Sequence[KnownView], crop: Crop = square_crop, size: int = SIZE) -> None:
    """Make DUSt3R's network answer neighbours among the views, in both orders, with the true pointmaps.

    Args:
        trunk: its width must be more than a quarter of the tokens of all pairs.
        views: the truth.
        crop: how the backend cuts its square from an image.
        size: of that square.
    """
    only_features(trunk)
    tokens = [trunk.encode(network_input(view, crop)) for view in views]
    show_other_view(trunk, [trunk.decoder_embed(t.tokens) for t in tokens])
    pairs = [pair for i in range(1, len(views)) for pair in ((i - 1, i), (i, i - 1))]
    for head, blocks in enumerate((trunk.dec_blocks, trunk.dec_blocks2)):
        output = blocks[0].mlp.fc2
        inputs = recorded(output, lambda: [trunk.decode([tokens[i], tokens[j]]) for i, j in pairs])
        truths = [raw_points(views[i if head == 0 else j], views[i], crop, size) for i, j in pairs]
        regress(output, torch.cat([x[0] for x in inputs]), torch.cat(truths))
        pass_through_head((trunk.downstream_head1, trunk.downstream_head2)[head])


def only_features(trunk: Dust3r) -> None:
    """Leave one layer of random features in encoder and decoders, and room for the answer beside the tokens."""
    for block in trunk.enc_blocks:
        zero(block.attn.proj, block.mlp.fc2)
    trunk.decoder_embed.weight[:FITTED] = 0
    trunk.decoder_embed.bias[:FITTED] = 0
    for blocks in (trunk.dec_blocks, trunk.dec_blocks2):
        zero(blocks[0].attn.proj, blocks[0].cross_attn.proj, blocks[0].mlp.fc2)
        widen(blocks[0].mlp.fc1)


def show_other_view(trunk: Dust3r, embedded: Sequence[Tensor]) -> None:
    """Let the second decoder's cross attention add the mean of the other view's tokens, freed of what all share."""
    block = trunk.dec_blocks2[0]
    attention = block.cross_attn
    zero(attention.projq, attention.projk)  # equal weights for all tokens
    attention.projv.weight.copy_(torch.eye(trunk.config.dec_dim))
    attention.projv.bias.zero_()
    means = torch.stack([block.norm_y(tokens)[0].mean(0) for tokens in embedded])
    gain = 1 / (means - means.mean(0))[:, FITTED:].std()
    attention.proj.weight.copy_(gain * torch.eye(trunk.config.dec_dim))
    attention.proj.bias.copy_(-gain * means.mean(0))
    attention.proj.weight[:FITTED] = 0
    attention.proj.bias[:FITTED] = 0


def raw_points(view: KnownView, frame: KnownView, crop: Crop = square_crop, size: int = SIZE) -> Tensor:
    """Return what a head must say of a view in another one's frame, [N, FITTED] per token: cells, then values."""
    side = CELLS * size // 16
    plan = crop(view.rgb.shape[1], view.rgb.shape[0])
    to_image = prepare(view.rgb, plan).grid_to_image.double().numpy()
    at = np.linspace(0, size - 1, side)  # where upsampling with aligned corners puts the cells
    grid = np.stack([*np.meshgrid(at, at), np.ones((side, side))], -1) @ to_image.T
    u, v = (grid[..., i].astype(np.float32) for i in (0, 1))
    depth = cv2.remap(view.depth, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    points = grid @ np.linalg.inv(view.K).T * depth[..., None]
    T = np.linalg.inv(frame.T_world_cam) @ view.T_world_cam
    points = points @ T[:3, :3].T + T[:3, 3]
    length = np.linalg.norm(points, axis=-1, keepdims=True)
    raw = np.concatenate([points / length * np.log1p(length), np.full_like(length, RAW_CONFIDENCE)], -1)
    return by_token(torch.from_numpy(raw).float())


def by_token(cells: Tensor) -> Tensor:
    """Return [side, side, C] cells as [N, CELLS * CELLS * C] per token, row-major."""
    n = cells.shape[0] // CELLS
    blocks = cells.view(n, CELLS, n, CELLS, -1).permute(0, 2, 1, 3, 4)
    return blocks.reshape(n * n, -1)


def pass_through_head(head: nn.Module) -> None:
    """Bring the answer in the tokens of the first decoder layer to the pixels: only upsampling is left to do."""
    dpt = head.dpt
    to_channels, spread = dpt.act_postprocess[1]
    identity(to_channels)
    zero(spread)
    for cell in range(CELLS * CELLS):
        for value in range(VALUES):
            spread.weight[cell * VALUES + value, value, cell // CELLS, cell % CELLS] = 1
    only_level(dpt.scratch, 2)
    identity(dpt.head[0])
    zero(dpt.head[2], dpt.head[4])
    for value in range(min(VALUES, dpt.head[4].out_channels)):  # relu(x) - relu(-x) = x
        for sign, channel in ((1.0, value), (-1.0, VALUES + value)):
            dpt.head[2].weight[channel, value, 1, 1] = sign
            dpt.head[4].weight[value, channel, 0, 0] = sign


def fit_language(lseg: Lseg, views: Sequence[KnownView], words: Tensor, crop: Crop) -> None:
    """Make LSeg's network answer each token with the vector of its class; words: [C, 512] unit vectors."""
    count, vit = len(words), lseg.vit
    vit.patch_embed.proj.weight[:CLASSES] = 0
    vit.patch_embed.proj.bias[:CLASSES] = 0
    vit.cls_token.zero_()
    vit.pos_embed[..., :CLASSES] = 0
    for block in vit.blocks:
        zero(block.attn.proj, block.mlp.fc2)
    first: EncoderBlock = vit.blocks[0]
    widen(first.mlp.fc1)
    inputs = recorded(first.mlp.fc2, lambda: [vit(network_input(view, crop), (2,)) for view in views])
    truth = torch.cat([class_shares(view, crop) for view in views])
    regress(first.mlp.fc2, torch.cat([x[0, 1:] for x in inputs]), truth)
    readout, to_channels = lseg.readout[2], lseg.dpt.act_postprocess[2][0]
    zero(readout, to_channels, lseg.head1)
    for c in range(CLASSES):
        readout.weight[c, c] = to_channels.weight[c, c, 0, 0] = 1
        readout.bias[c], to_channels.bias[c] = GELU_SHIFT, -GELU_SHIFT
    only_level(lseg.dpt.scratch, 3)
    lseg.head1.weight[:, :count, 0, 0] = words.T


def class_shares(view: KnownView, crop: Crop) -> Tensor:
    """Return how much of each token is of each class, [N, CLASSES]."""
    plan = crop(view.rgb.shape[1], view.rgb.shape[0])
    label = cv2.resize(view.label.astype(np.uint8), plan.resized, interpolation=cv2.INTER_NEAREST)
    left, top, right, bottom = plan.box
    one_hot = F.one_hot(torch.from_numpy(label[top:bottom, left:right]).long(), CLASSES).float()
    return F.avg_pool2d(one_hot.permute(2, 0, 1)[None], 16)[0].flatten(1).T


def keep_language(network: Lsm, words: Tensor) -> None:
    """Let 64 numbers per Gaussian carry the space of the words, and nothing else."""
    basis = torch.linalg.qr(words.T)[0]  # [512, C]
    reduction, expansion = network.feature_reduction, network.feature_expansion
    zero(reduction, expansion)
    reduction.weight[: basis.shape[1], :, 0, 0] = basis.T
    expansion.weight[:, : basis.shape[1], 0, 0] = basis
    projection = network.gaussian_head.gaussian_proj
    projection.weight[-network.gaussian_head.feature_dim :] = 0
    projection.bias[-network.gaussian_head.feature_dim :] = 0


def network_input(view: KnownView, crop: Crop = square_crop) -> Tensor:
    """Return [1, 3, h, w] in [-1, 1], as a backend prepares it."""
    return prepare(view.rgb, crop(view.rgb.shape[1], view.rgb.shape[0])).tensor


def recorded(layer: nn.Module, work: Callable[[], object]) -> list[Tensor]:
    """Return the inputs that a layer gets while work is done."""
    inputs: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    work()
    hook.remove()
    return inputs


def regress(layer: nn.Linear, features: Tensor, truth: Tensor, damping: float = 1e-6) -> None:
    """Set the first rows of a layer to the ridge regression from features [n, m] to truth [n, k]."""
    mean = truth.mean(0)
    A, Y = features.double(), (truth - mean).double()
    gram = A @ A.T  # fewer samples than features
    gram.diagonal().add_(damping * gram.diagonal().mean())
    weight = A.T @ torch.linalg.solve(gram, Y)
    layer.weight[: truth.shape[1]] = weight.T.float()
    layer.bias[: truth.shape[1]] = mean


def widen(layer: nn.Linear) -> None:
    """Give random features biases as large as what they see."""
    layer.bias.copy_(torch.randn(layer.bias.shape, generator=torch.Generator().manual_seed(5)))


def only_level(scratch: Scratch, level: int) -> None:
    """Let one map of a DPT through to the finest path as it is."""
    for i in (1, 2, 3, 4):
        projection, block = getattr(scratch, f"layer{i}_rn"), getattr(scratch, f"refinenet{i}")
        zero(projection)
        units = [block.resConfUnit2] + ([block.resConfUnit1] if i < 4 else [])
        for unit in units:
            zero(unit.conv2)
            if not isinstance(unit.bn2, nn.Identity):
                unit.bn2.running_mean.zero_()
                unit.bn2.bias.zero_()
        identity(block.out_conv) if i <= level else zero(block.out_conv)
    identity(getattr(scratch, f"layer{level}_rn"))


def identity(layer: nn.Conv2d) -> None:
    """Copy channels, as many as both sides have."""
    zero(layer)
    middle = layer.kernel_size[0] // 2
    for c in range(min(layer.in_channels, layer.out_channels)):
        layer.weight[c, c, middle, middle] = 1


def zero(*layers: nn.Module) -> None:
    """Set layers to zero."""
    for layer in layers:
        for parameter in layer.parameters():
            parameter.zero_()
