"""Discs lie on the surface, face the camera and cover their pixel."""

from __future__ import annotations

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
from lsm_core.types import quat_from_matrix


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
        centre=torch.zeros(3),
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
