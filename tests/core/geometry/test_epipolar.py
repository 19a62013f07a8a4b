"""Rays seen by another camera: the closed form meets where least squares does, and clipping keeps what is seen."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lsm_core.geometry import invert, se3_exp
from lsm_core.geometry.epipolar import cell_centres, clip_rays, ray_depth, ray_depth_least_squares, world_rays

K = torch.tensor([[0.9, 0, 0.5], [0, 1.1, 0.48], [0, 0, 1]]).double()
twist = st.tuples(*[st.floats(-0.6, 0.6)] * 6)


def rays(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    values = [torch.randn(count, 3, generator=g).double() for _ in range(4)]
    for i in (1, 3):
        values[i] = values[i] / values[i].norm(dim=-1, keepdim=True)
    return values[0], values[1], values[2], values[3]


def test_the_closed_form_is_the_least_squares_point() -> None:
    given_rays = rays(500, 0)
    torch.testing.assert_close(ray_depth(*given_rays), ray_depth_least_squares(*given_rays), atol=0, rtol=1e-6)


def test_nearly_parallel_rays_keep_their_precision_and_parallel_ones_meet_far_away() -> None:
    """Two cameras one unit apart look at a point 100 units away."""
    target, other = torch.tensor([[0.3, 0.2, 100.0]]), torch.tensor([[1.0, 0, 0]])
    origin = torch.zeros(1, 3)
    first, second = ((target - o) / (target - o).norm() for o in (origin, other))
    found = ray_depth(origin, first, other, second)  # float32, as in use
    torch.testing.assert_close(found, target.norm(dim=-1), rtol=2e-3, atol=0)
    for meet in (ray_depth, ray_depth_least_squares):
        assert float(meet(origin, first, other, first)) > 1e10


@settings(max_examples=30)
@given(twist)
def test_what_is_kept_of_a_ray_is_what_the_camera_sees_of_it(motion: tuple[float, ...]) -> None:
    T = se3_exp(torch.tensor(motion, dtype=torch.float64))
    origins, directions = world_rays(cell_centres(5, 6, K).flatten(0, 1), torch.eye(4).double(), K)
    near, far = torch.tensor([0.5]).double(), torch.tensor([30.0]).double()
    found = clip_rays(origins, directions, T, K, near, far)
    depths = torch.linspace(0.5, 30, 400).double()
    local = (origins + directions * depths[:, None, None]) @ invert(T)[:3, :3].T + invert(T)[:3, 3]
    xy = (local / local[..., 2:]) @ K[:2].T
    visible = ((xy > 0) & (xy < 1)).all(-1) & (local[..., 2] > 1e-3)
    assert bool(found.seen[visible.any(0)].all())
    inside = found.seen & visible.any(0) & (found.t_min >= 0.5) & (found.t_max <= 30)
    at = torch.where(visible, depths[:, None], torch.inf).amin(0)[inside]
    until = torch.where(visible, depths[:, None], -torch.inf).amax(0)[inside]
    step = float(depths[1] - depths[0])
    assert bool(((found.t_min[inside] <= at + 1e-9) & (at <= found.t_min[inside] + step + 1e-9)).all())
    assert bool(((found.t_max[inside] >= until - 1e-9) & (until >= found.t_max[inside] - step - 1e-9)).all())
    assert bool(((found.xy_min[inside] > -1e-5) & (found.xy_max[inside] < 1 + 1e-5)).all())
