"""Batches of augmented pairs, reproducible per step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lsm_core.data.shards import FrameShard
from lsm_core.training.augment import View, draw_look, fit, mirror, photometric, roll_and_zoom, vary
from lsm_core.training.config import AugmentConfig, Grid, Stage, TrainConfig
from lsm_core.training.shard_pool import ShardPool

ELSEWHERE_M = 1000.0


@dataclass(frozen=True)
class PairBatch:
    """B pairs, views stacked: rows 0 to B-1 are first views, B to 2B-1 the second ones."""

    image: Tensor  # [2B, 3, H, W] float32 in [0, 1]
    depth: Tensor  # [2B, H, W] float32 metres, 0 = none
    label: Tensor  # [2B, H, W] int64
    K: Tensor  # [2B, 3, 3] float32 px
    T_other_self: Tensor  # [2B, 4, 4] float32, own camera to the other view's camera
    known: Tensor  # [2B] bool, whether the network is told K

    def to(self, device: torch.device) -> PairBatch:
        """Move every tensor."""
        return PairBatch(**{name: value.to(device) for name, value in vars(self).items()})


def frame_view(shard: FrameShard, index: int) -> View:
    """Take one frame out of a shard."""
    return View(
        rgb=shard.rgb[index],
        depth=shard.depth[index].astype(np.float32),
        label=shard.label[index],
        K=shard.K[index].astype(np.float64),
        T_world_cam=shard.T_world_cam[index].astype(np.float64),
    )


def augmented_pair(
    shard: FrameShard, first: int, second: int, grid: Grid, rng: np.random.Generator, config: AugmentConfig
) -> tuple[View, View]:
    """Load, fit to the grid and augment the two views of a pair."""
    if rng.random() < config.swap:
        first, second = second, first
    views = []
    for index in (first, second):
        place = (float(rng.random()), float(rng.random()))
        views.append(fit(frame_view(shard, index), grid.height, grid.width, place))
    if rng.random() < config.flip:
        views = [mirror(view) for view in views]
    look = draw_look(rng, config)
    out = []
    for view in views:
        if rng.random() < config.warp:
            view = roll_and_zoom(view, rng, config)
        rgb = photometric(view.rgb, look, rng, config)
        out.append(View(rgb, view.depth, view.label, view.K, view.T_world_cam))
        look = vary(look, rng)
    return out[0], out[1]


def move_far_away(view: View) -> View:
    """Put a view where no other one can see anything of it."""
    T_world_cam = view.T_world_cam.copy()
    T_world_cam[:3, 3] += ELSEWHERE_M
    return replace(view, T_world_cam=T_world_cam)


def collate(pairs: list[tuple[View, View]], known: list[bool]) -> PairBatch:
    """Stack pairs: all first views, then all second ones."""
    views = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
    rgb = torch.from_numpy(np.stack([view.rgb for view in views])).permute(0, 3, 1, 2)
    T = [np.linalg.inv(b.T_world_cam) @ a.T_world_cam for a, b in pairs]
    T += [np.linalg.inv(a.T_world_cam) @ b.T_world_cam for a, b in pairs]
    return PairBatch(
        image=rgb.contiguous(memory_format=torch.channels_last).float() / 255.0,
        depth=torch.from_numpy(np.stack([view.depth for view in views])),
        label=torch.from_numpy(np.stack([view.label for view in views])).long(),
        K=torch.from_numpy(np.stack([view.K for view in views])).float(),
        T_other_self=torch.from_numpy(np.stack(T)).float(),
        known=torch.tensor(known + known),
    )


def training_batch(pool: ShardPool, step: int, stage: Stage, config: TrainConfig) -> PairBatch:
    """Make the batch of one step; the same pool, step, stage and seed give the same batch."""
    rng = np.random.default_rng((config.seed, step))
    shares = np.array([grid.share for grid in stage.grids])
    grid = stage.grids[int(rng.choice(len(shares), p=shares / shares.sum()))]
    pairs = []
    for _ in range(stage.batch):
        shard, first, second = pool.draw(rng, stage.min_overlap, stage.by_class)
        pair = augmented_pair(shard, first, second, grid, rng, config.augment)
        if rng.random() < stage.unrelated:
            other = augmented_pair(*pool.draw(rng, stage.min_overlap), grid, rng, config.augment)
            pair = (pair[0], move_far_away(other[1]))
        pairs.append(pair)
    known = [bool(rng.random() >= config.drop_intrinsics) for _ in pairs]
    return collate(pairs, known)
