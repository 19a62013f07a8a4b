"""Renders the frames of one room: draws walks, rejects poor views, photographs the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_core.data.classes import CLASSES
from lsm_core.data.gl_renderer import RenderedFrame, Renderer
from lsm_core.data.overlap import pair_overlap
from lsm_core.data.scene import Scene
from lsm_core.data.sensor import draw_sensor, expose, roll_shutter
from lsm_core.data.trajectories import Walk, draw_walk

Rng = np.random.Generator
FRAMES_PER_WALK = 5
WALKS_PER_ROOM = 2
MAX_DRAWS = 60
OVERLAP_RANGE = (0.1, 0.97)
MIN_BASELINE_M = 0.02


@dataclass(frozen=True)
class WalkFrames:
    """The photographed frames of one walk and their usable pairs (indices within the walk)."""

    rgb: np.ndarray  # [N, H, W, 3] uint8
    depth: np.ndarray  # [N, H, W] float32
    label: np.ndarray  # [N, H, W] uint8
    walk: Walk
    pairs: np.ndarray  # [P, 2] int32
    overlap: np.ndarray  # [P] float32


def is_good_view(frame: RenderedFrame) -> bool:
    """Tell whether a view is worth learning from: not pressed against a surface, not only wall."""
    valid = frame.depth > 0
    if valid.mean() < 0.7 or (valid & (frame.depth < 0.3)).mean() > 0.03:
        return False
    share = np.bincount(frame.label.reshape(-1), minlength=len(CLASSES)) / frame.label.size
    return bool(share[0] < 0.3 and share[1:4].sum() < 0.87 and share.max() < 0.7 and (share[1:] > 0.012).sum() >= 3)


def walk_pairs(depth: np.ndarray, walk: Walk) -> tuple[np.ndarray, np.ndarray]:
    """Return the usable pairs [P, 2] of a walk and their overlap [P]."""
    count = len(depth)
    intrinsics = np.broadcast_to(walk.intrinsics, (count, 3, 3))
    pairs, shares = [], []
    for i in range(count):
        for j in range(i + 1, count):
            baseline = np.linalg.norm(walk.T_world_cam[i, :3, 3] - walk.T_world_cam[j, :3, 3])
            share = pair_overlap(depth, intrinsics, walk.T_world_cam, i, j)
            if baseline >= MIN_BASELINE_M and OVERLAP_RANGE[0] <= share <= OVERLAP_RANGE[1]:
                pairs.append((i, j))
                shares.append(share)
    return np.array(pairs, np.int32).reshape(-1, 2), np.array(shares, np.float32)


def photograph_walk(renderer: Renderer, scene: Scene, rng: Rng, weights: dict[str, float]) -> WalkFrames | None:
    """Find a walk with good views and overlap in the loaded scene and photograph it.

    Returns None when ``MAX_DRAWS`` draws gave none.
    """
    for _ in range(MAX_DRAWS):
        walk = draw_walk(scene, rng, FRAMES_PER_WALK, weights, renderer.width, renderer.height)
        if walk is None:
            continue
        rendered: dict[int, RenderedFrame] = {}
        order = (FRAMES_PER_WALK - 1, 0, *range(1, FRAMES_PER_WALK - 1))
        for index in order:
            rendered[index] = renderer.render(walk.intrinsics, walk.T_world_cam[index])
            if not is_good_view(rendered[index]):
                break
        if len(rendered) < FRAMES_PER_WALK or not is_good_view(rendered[order[-1]]):
            continue
        frames = [rendered[i] for i in range(FRAMES_PER_WALK)]
        pairs, overlap = walk_pairs(np.stack([f.depth for f in frames]), walk)
        neighbours = int((pairs[:, 1] - pairs[:, 0] == 1).sum())
        if neighbours < FRAMES_PER_WALK - 2:
            continue
        sensor = draw_sensor(rng)
        taken = [roll_shutter([f.colour, f.depth, f.label], sensor, rng) for f in frames]
        rgb = np.stack([expose(colour, sensor, rng) for colour, _, _ in taken])
        depth, label = (np.stack([images[k] for images in taken]) for k in (1, 2))
        return WalkFrames(rgb, depth, label, walk, pairs, overlap)
    return None
