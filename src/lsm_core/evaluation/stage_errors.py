"""What half precision costs, stage by stage: each stage gets what float32 gave, so errors do not add up.

Compared end to end the figures would say little: points are exponential in the last values of the network, and a
point that falls into the next voxel changes its neighbours.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.nn.lsm import Lsm
from lsm_core.nn.precision import LANGUAGE, TRUNK, store_half, strict_float32
from lsm_core.points.ptv3 import AttentionMode


@dataclass(frozen=True)
class StageError:
    """How far a stage is off: largest error over largest value, and root mean square over root mean square."""

    stage: str
    largest: float
    typical: float


@torch.inference_mode()
def stage_errors(network: Lsm, images: Sequence[Tensor], half: torch.dtype) -> list[StageError]:
    """Compare each stage in half with float32, on the network's device.

    Args:
        network: in eval mode, float32.
        images: two [1, 3, H, W] in [-1, 1], sides multiples of 32.
        half: bfloat16 or float16; the attention of the point transformer passes through float16 in any case, as in
            the reference's kernel.
    """
    reduced = copy.deepcopy(network)
    store_half(reduced.dust3r, TRUNK, half)
    store_half(reduced.lseg, LANGUAGE, half)
    autocast: AbstractContextManager[object] = torch.autocast(images[0].device.type, half, cache_enabled=False)
    size = (images[0].shape[2], images[0].shape[3])
    with strict_float32():
        views = [network.encode(image) for image in images]
        tokens = [view.geometry for view in views]
        layers = network.dust3r.decode(tokens)
        raws = [network.dust3r.head(v, layers[v], size) for v in (0, 1)]
        maps = [network.dust3r.pointmap(raw) for raw in raws]
        permutations = network.point_transformer.permutations(torch.Generator().manual_seed(0))
        features = network.fuse(views, maps, permutations).point_features
        rounded = network.fuse(views, maps, permutations, AttentionMode(half=True)).point_features
    with autocast:
        found = [reduced.encode(image) for image in images]
        found_layers = reduced.dust3r.decode(tokens)
        found_raws = [reduced.dust3r.head(v, layers[v], size) for v in (0, 1)]
        found_maps = [reduced.dust3r.pointmap(raw) for raw in found_raws]
    pairs = {
        "DUSt3R encoder": ([v.geometry.tokens for v in found], [v.geometry.tokens for v in views]),
        "DUSt3R decoders": ([v[-1] for v in found_layers], [v[-1] for v in layers]),
        "DUSt3R heads, raw": (found_raws, raws),
        "DUSt3R heads, points": ([m.points for m in found_maps], [m.points for m in maps]),
        "LSeg tokens": ([v.language for v in found], [v.language for v in views]),
        "LSeg residual": ([v.residual for v in found], [v.residual for v in views]),
        "point transformer": ([rounded], [features]),
    }
    return [stage_error(stage, ours, theirs) for stage, (ours, theirs) in pairs.items()]


def stage_error(stage: str, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> StageError:
    """Compare the tensors of a stage."""
    a, b = (torch.cat([t.float().flatten() for t in tensors]) for tensors in (ours, theirs))
    difference = a - b
    return StageError(
        stage,
        float(difference.abs().max() / b.abs().max()),
        float(difference.square().mean().sqrt() / b.square().mean().sqrt()),
    )
