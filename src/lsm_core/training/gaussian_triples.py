"""Views to train the Gaussian head on: two that are given, and a third frame of the same walk to draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lsm_core.backends.tiny import TinyBackend
from lsm_core.backends.tiny_grid import OUTPUT_STRIDE
from lsm_core.backends.tiny_surface import PairSurface
from lsm_core.data.shards import FrameShard
from lsm_core.geometry.camera import in_image, project, transform_points, unproject
from lsm_core.geometry.se3 import invert, relative
from lsm_core.training.augment import View, draw_look, fit, mirror, photometric, vary
from lsm_core.training.batches import frame_view
from lsm_core.training.gaussian_config import GaussianTrainConfig
from lsm_core.training.shard_pool import ShardPool
from lsm_core.training.targets import depth_at
from lsm_core.types import Camera

TRIES = 20
HIDDEN = 0.05  # a point this much deeper than what a view shows there is not seen by it


@dataclass(frozen=True)
class Target:
    """What Gaussians are to look like from one camera."""

    camera: Camera
    rgb: Tensor  # [h, w, 3] uint8
    seen: Tensor  # [h, w] bool, where the pair can know it

    @property
    def image(self) -> Tensor:
        """[h, w, 3] float32 in 0 to 1."""
        return self.rgb.float() / 255.0

    def halved(self) -> Target:
        """Return the same view at half the size."""
        h, w = self.rgb.shape[0] // 2, self.rgb.shape[1] // 2
        rgb = self.image.view(h, 2, w, 2, 3).mean(dim=(1, 3)).mul(255.0).round().to(torch.uint8)
        return Target(self.camera.resized(w, h), rgb, self.seen.view(h, 2, w, 2).all(dim=3).all(dim=1))


@dataclass(frozen=True)
class GaussianTriple:
    """A pair as the network sees it, and what its Gaussians are to look like."""

    surface: PairSurface
    third: Target  # on the input grid; in the frame and unit of the surface
    given: tuple[Target, Target]  # the two views, on the output grid


def third_frames(shard: FrameShard, first: int, second: int) -> list[int]:
    """Return frames of the pair's walk between the two, or, where none is, those next to them."""
    low, high = min(first, second), max(first, second)
    near = range(low + 1, high) or (low - 1, high + 1)
    return [f for f in near if 0 <= f < len(shard.room) and shard.room[f] == shard.room[low]]


def make_triple(
    backend: TinyBackend, pool: ShardPool, config: GaussianTrainConfig, index: int, augment: bool = True
) -> GaussianTriple | None:
    """Make one triple; the same pool, seed and index give the same one.

    Returns:
        None where twenty pairs have no third frame, or get no pose.
    """
    rng = np.random.default_rng((config.seed, index, 2 if augment else 3))
    for _ in range(TRIES):
        shard, first, second = pool.draw(rng, config.min_overlap)
        frames = third_frames(shard, first, second)
        if not frames:
            continue
        third = frames[int(rng.integers(len(frames)))]
        views = [fit(frame_view(shard, f), config.height, config.width) for f in (first, second, third)]
        triple = triple_of(backend, _augmented(views, rng, config) if augment else views)
        if triple is not None:
            return triple
    return None


def triple_of(backend: TinyBackend, views: list[View]) -> GaussianTriple | None:
    """Run the network on the first two views and put the third into their frame; None without a pose or depth.

    The third camera stands at its true pose from view 0, with lengths divided by the median ratio of true to
    predicted depth of view 0, as in the evaluation. The pose that the network estimates is that of view 1 alone, so
    an error of it shows as view 1's Gaussians standing in the wrong place, which is what the head must live with.
    """
    surface = backend.surface([view.rgb for view in views[:2]], [view.K for view in views[:2]])
    if not surface.posed:
        return None
    depth = torch.from_numpy(np.stack([view.depth for view in views]))
    true = depth_at(depth[:1], OUTPUT_STRIDE)[0]
    if not bool((true > 0).any()):
        return None
    unit = float((true / surface.depth[0].cpu())[true > 0].median())
    poses = [torch.from_numpy(view.T_world_cam) for view in views]
    T = relative(poses[0], poses[2])
    T[:3, 3] /= unit
    third = torch.from_numpy(views[2].rgb)
    height, width = third.shape[:2]
    K = [torch.from_numpy(view.K) for view in views]
    kept = replace(surface, features=torch.empty(2, *true.shape, 0))
    h, w = true.shape
    everywhere = torch.ones(h, w, dtype=torch.bool)
    given = [
        Target(Camera(surface.K[v].cpu(), w, h, surface.T_0_cam[v].cpu()), surface.colors[v].cpu(), everywhere)
        for v in range(2)
    ]
    camera = Camera(K[2].float(), width, height, T.float())
    return GaussianTriple(kept, Target(camera, third, _seen(depth, K, poses)), (given[0], given[1]))


@dataclass(frozen=True)
class Visit:
    """A triple in a step, and which of its views are drawn."""

    triple: GaussianTriple
    fine: bool  # the third view on the input grid instead of the output grid
    given: int  # beside it, which of the two given ones

    @property
    def third(self) -> Target:
        """The third view on the chosen grid."""
        return self.triple.third if self.fine else self.triple.third.halved()


class TripleBank:
    """Triples made at their first use and kept: all that changes while the head trains is the head.

    Args:
        backend: the network that stays as it is.
        pool: where pairs come from.
        config: how many, and from which seed.
    """

    def __init__(self, backend: TinyBackend, pool: ShardPool, config: GaussianTrainConfig) -> None:
        self.backend, self.pool, self.config = backend, pool, config
        self._kept: dict[int, GaussianTriple | None] = {}

    def of_step(self, step: int) -> Iterator[Visit]:
        """Yield the visits of a step; each time round, the bank is gone through in a new order."""
        size = self.config.triples
        for place in range(step * self.config.pairs, (step + 1) * self.config.pairs):
            rng = np.random.default_rng((self.config.seed, place // size, 4))
            index = int(rng.permutation(size)[place % size])
            fine, given = bool(rng.random(size)[index] < self.config.fine), int(rng.integers(2, size=size)[index])
            if index not in self._kept:
                self._kept[index] = make_triple(self.backend, self.pool, self.config, index)
            found = self._kept[index]
            if found is not None:
                yield Visit(found, fine, given)


def _augmented(views: list[View], rng: np.random.Generator, config: GaussianTrainConfig) -> list[View]:
    """Exchange and mirror the pair and give each view a look; the third one is spared blur, noise and JPEG."""
    if rng.random() < config.augment.swap:
        views = [views[1], views[0], views[2]]
    if rng.random() < config.augment.flip:
        views = [mirror(view) for view in views]
    look = draw_look(rng, config.augment)
    clean = replace(config.augment, blur=0.0, noise=0.0, jpeg=0.0)
    looks = [look, vary(look, rng), vary(look, rng)]
    degraded = [config.augment, config.augment, clean]
    return [
        replace(view, rgb=photometric(view.rgb, one, rng, how))
        for view, one, how in zip(views, looks, degraded, strict=True)
    ]


def _seen(depth: Tensor, K: list[Tensor], T_world_cam: list[Tensor]) -> Tensor:
    """Return [h, w]: the pixels of the third view whose points the first or the second one shows.

    Args:
        depth: [3, h, w] true, metres, 0 = none.
        K: px of this grid.
        T_world_cam: poses.
    """
    known = depth[2] > 0
    points = unproject(depth[2].double(), K[2])
    seen = torch.zeros_like(known)
    for v in range(2):
        pixels, z = project(transform_points(invert(T_world_cam[v]) @ T_world_cam[2], points), K[v])
        inside = in_image(pixels, *known.shape)
        x, y = pixels.nan_to_num(0.0).round().long().unbind(-1)
        surface = depth[v][y.clamp(0, known.shape[0] - 1), x.clamp(0, known.shape[1] - 1)]
        seen |= inside & (surface > 0) & (z <= (1 + HIDDEN) * surface)
    return seen & known
