"""The Gaussian head: nothing at first, bounded later; what it is told of the other view."""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.nn.tiny.disc_inputs import DISC_CHANNELS, OWN_CHANNELS, disc_inputs
from lsm_core.nn.tiny.gaussian_head import BOUNDS, GaussianHead
from lsm_core.nn.tiny.rays import cell_centres, rays_from_intrinsics

H, W = 12, 16
K = torch.tensor([[20.0, 0, 7.5], [0, 20.0, 5.5], [0, 0, 1]]).repeat(2, 1, 1)


def inputs(depth: Tensor, baseline: float = 0.0, posed: bool = True) -> Tensor:
    """Two cameras side by side; the second view is brighter by 0.25."""
    T = torch.eye(4).repeat(2, 1, 1)
    T[1, 0, 3] = baseline
    rays = rays_from_intrinsics(K, cell_centres(H, W, 1, depth))
    points = rays * depth[..., None] + T[:, None, None, :3, 3]
    rgb = torch.full((2, H, W, 3), 0.5)
    rgb[1] += 0.25
    return disc_inputs(points, depth, torch.zeros(2, H, W), rgb, K, T, posed)


def test_a_new_head_changes_nothing_whatever_it_reads() -> None:
    torch.manual_seed(0)
    changes = GaussianHead(8)(torch.randn(2, DISC_CHANNELS, H, W))
    assert changes.log_scale.shape == (2, H, W, 3) and changes.opacity.shape == (2, H, W)
    for name, value in vars(changes).items():
        assert bool((value == 0).all()), name


def test_changes_stay_within_their_bounds() -> None:
    torch.manual_seed(0)
    head = GaussianHead(8)
    torch.nn.init.normal_(head.changes.weight, std=20.0)
    for name, value in vars(head(torch.randn(2, DISC_CHANNELS, H, W))).items():
        assert 0.9 * BOUNDS[name] < float(value.detach().abs().max()) < 1.0001 * BOUNDS[name], name


def test_each_pixel_is_compared_with_what_the_other_view_shows_of_it() -> None:
    depth = torch.full((2, H, W), 2.0)
    inside, deeper, _, colour = inputs(depth, 0.4)[:, OWN_CHANNELS:].split([1, 1, 1, 3], dim=1)
    # 0.4 to the right at depth 2 is 4 pixels: the left 4 columns of view 0 and the right 4 of view 1 are not shared
    assert inside[0, 0, 0].tolist() == [0.0] * 4 + [1.0] * 12
    assert inside[1, 0, 0].tolist() == [1.0] * 12 + [0.0] * 4
    assert float(deeper.abs().max()) < 1e-5
    torch.testing.assert_close(colour[0, :, 5, 8], torch.full((3,), 0.5))  # twice the difference
    torch.testing.assert_close(colour[1, :, 5, 8], torch.full((3,), -0.5))
    depth[1] = 1.8
    deeper = inputs(depth)[:, OWN_CHANNELS + 1]
    assert float(deeper[0].mean()) > 0.4 > -0.4 > float(deeper[1].mean())


def test_without_a_pose_nothing_is_said_of_the_other_view() -> None:
    found = inputs(torch.full((2, H, W), 2.0), posed=False)
    assert found.shape == (2, DISC_CHANNELS, H, W)
    assert bool((found[:, OWN_CHANNELS:] == 0).all()) and float(found[:, :OWN_CHANNELS].abs().max()) > 0
