"""Discs lie on the surface, face the camera and cover their pixel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from lsm_core.backends.tiny_gaussians import (
    FOOTPRINT,
    SurfaceView,
    disc_rotation,
    quaternions,
    surface_gaussians,
    surface_normals,
)
from lsm_core.nn.tiny.gaussian_head import WIDTHS, DiscChanges
from lsm_core.types import Gaussians, quat_from_matrix


def slanted_plane(slope: float) -> torch.Tensor:
    """Points of z = 2 + slope * x on a 12x16 grid with focal length 20."""
    v, u = torch.meshgrid(torch.arange(12.0), torch.arange(16.0), indexing="ij")
    x, y = (u - 7.5) / 20, (v - 5.5) / 20
    z = 2.0 / (1 - slope * x)
    return torch.stack((x * z, y * z, z), -1)


def view(points: torch.Tensor) -> SurfaceView:
    h, w, _ = points.shape
    return SurfaceView(
        points=points,
        depth=points[..., 2],
        rgb=torch.full((h, w, 3), 128, dtype=torch.uint8),
        opacity=torch.full((h, w), 0.8),
        features=torch.randn(h, w, 5),
        focal=20.0,
        T_scene_cam=torch.eye(4),
    )


def test_normals_of_a_plane_are_the_planes() -> None:
    normals = surface_normals(slanted_plane(0.5))
    expected = F.normalize(torch.tensor([-0.5, 0.0, 1.0]), dim=0)
    assert float((normals @ expected).abs().min()) > 0.9999


def test_quaternions_agree_with_the_eigenvector_method() -> None:
    torch.manual_seed(0)
    normals, rays = F.normalize(torch.randn(50, 3), dim=-1), F.normalize(torch.randn(50, 3), dim=-1)
    R = disc_rotation(normals, rays)
    torch.testing.assert_close(R @ R.transpose(1, 2), torch.eye(3).expand(50, 3, 3), atol=1e-5, rtol=0)
    assert bool((torch.linalg.det(R) > 0.99).all())
    for q, rotation in zip(quaternions(R), R, strict=True):
        assert abs(float(q.double() @ quat_from_matrix(rotation))) > 0.9999


def test_discs_are_thin_along_the_normal_and_as_wide_as_a_pixel() -> None:
    gaussians = surface_gaussians(view(slanted_plane(0.0)))
    assert len(gaussians) == 12 * 16
    torch.testing.assert_close(gaussians.scales[:, 1], torch.full((192,), FOOTPRINT * 2.0 / 20))
    assert float((gaussians.scales[:, 2] / gaussians.scales[:, 1]).max()) < 0.2
    torch.testing.assert_close(gaussians.rgb, torch.full((192, 3), 128 / 255), atol=1e-4, rtol=0)


def test_slanted_surfaces_get_longer_discs() -> None:
    flat, slanted = (surface_gaussians(view(slanted_plane(s))) for s in (0.0, 1.5))
    assert float((slanted.scales[:, 0] / slanted.scales[:, 1]).median()) > 1.3
    assert float((flat.scales[:, 0] / flat.scales[:, 1]).median()) < 1.1


def test_points_that_are_not_finite_give_no_gaussian() -> None:
    points = slanted_plane(0.0)
    points[4, 4] = torch.nan
    gaussians = surface_gaussians(view(points))
    assert len(gaussians) < 12 * 16
    assert bool(torch.isfinite(gaussians.means).all() and torch.isfinite(gaussians.quats).all())


def no_changes() -> DiscChanges:
    shapes = {name: (12, 16) if width == 1 else (12, 16, width) for name, width in WIDTHS.items()}
    return DiscChanges(**{name: torch.zeros(shape) for name, shape in shapes.items()})


@pytest.fixture
def moved_view() -> SurfaceView:
    """A slanted surface seen by a camera that is turned and moved, with opacities from 0.8 up."""
    T = torch.eye(4)
    T[:3, :3] = torch.linalg.matrix_exp(torch.tensor([[0, -0.2, 0.4], [0.2, 0, -0.1], [-0.4, 0.1, 0]]))
    T[:3, 3] = torch.tensor([0.3, -0.2, 0.5])
    points = slanted_plane(0.7) @ T[:3, :3].T + T[:3, 3]
    torch.manual_seed(0)
    opacity = 0.8 + 0.2 * torch.rand(12, 16)
    rgb = torch.randint(0, 256, (12, 16, 3), dtype=torch.uint8)
    plain = view(slanted_plane(0.7))
    return replace(plain, points=points, rgb=rgb, opacity=opacity, T_scene_cam=T)


def changed(seen: SurfaceView, **changes: torch.Tensor) -> tuple[Gaussians, Gaussians]:
    """Discs as computed, and with one change on all of them."""
    zero = no_changes()
    full = {name: getattr(zero, name) + value for name, value in changes.items()}
    return surface_gaussians(seen), surface_gaussians(seen, replace(zero, **full))


def test_changes_of_zero_leave_every_number_as_it_was(moved_view: SurfaceView) -> None:
    before, after = changed(moved_view)
    for name, value in vars(before).items():
        assert torch.equal(value, getattr(after, name)), name


def test_depth_moves_a_disc_along_its_ray_and_a_shift_across_it(moved_view: SurfaceView) -> None:
    T = moved_view.T_scene_cam
    before, after = changed(moved_view, log_depth=torch.tensor(0.1))
    torch.testing.assert_close(after.means - T[:3, 3], (before.means - T[:3, 3]) * torch.tensor(0.1).exp())
    before, after = changed(moved_view, shift=torch.tensor([1.0, -2.0]))
    pixels = []
    for gaussians in (before, after):
        camera = (gaussians.means - T[:3, 3]) @ T[:3, :3]
        pixels.append(moved_view.focal * camera[:, :2] / camera[:, 2:])
    torch.testing.assert_close(pixels[1] - pixels[0], torch.tensor([1.0, -2.0]).expand(192, 2), atol=1e-3, rtol=0)


def test_size_opacity_turn_and_colour_change_as_told(moved_view: SurfaceView) -> None:
    before, after = changed(
        moved_view,
        log_scale=torch.tensor([0.5, 0.0, -0.5]),
        opacity=torch.tensor(-1.5),
        turn=torch.tensor([0.0, 0.0, 0.2]),
        colour=torch.tensor([0.1, 0.0, -0.1]),
    )
    factor = torch.tensor([0.5, 0.0, -0.5]).exp()
    torch.testing.assert_close(after.scales, before.scales * factor)
    torch.testing.assert_close(after.opacities.logit(), before.opacities.logit() - 1.5, atol=1e-3, rtol=1e-3)
    cosine = (before.quats * after.quats).sum(-1).abs()  # of half the angle
    torch.testing.assert_close(2 * cosine.acos(), torch.full((192,), 0.2), atol=3e-3, rtol=0)
    raw = 0.28209479177387814 * (after.sh - before.sh)[:, 0]
    torch.testing.assert_close(raw, torch.tensor([0.1, 0.0, -0.1]).expand(192, 3), atol=1e-5, rtol=0)
