"""PnP finds the true pose under noise and outliers, repeats itself, and refuses nonsense."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry import PnpOptions, invert, pnp_from_pointmap, rotation_angle, se3_exp, solve_pnp, unproject
from lsm_core.geometry.camera import project, transform_points

K = torch.tensor([[220.0, 0, 128], [0, 225.0, 96], [0, 0, 1]])
T_scene_cam = se3_exp(torch.tensor([0.3, -0.2, 0.4, 0.1, 0.3, -0.2]))


def correspondences(
    n: int = 300, noise_px: float = 0.5, outliers: float = 0.0, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points [n, 3], pixels [n, 2] and the mask of the true ones."""
    rng = np.random.default_rng(seed)
    in_camera = torch.from_numpy(rng.uniform([-1, -1, 2], [1, 1, 5], (n, 3))).float()
    pixels, _ = project(in_camera, K)
    pixels = pixels + torch.from_numpy(rng.normal(0, noise_px, (n, 2))).float()
    true = torch.from_numpy(rng.uniform(size=n) >= outliers)
    pixels[~true] = torch.from_numpy(rng.uniform(0, 200, (int((~true).sum()), 2))).float()
    return transform_points(T_scene_cam, in_camera), pixels, true


@pytest.mark.parametrize("outliers", [0.0, 0.3, 0.6])
def test_the_pose_is_found_and_outliers_are_named(outliers: float) -> None:
    points, pixels, true = correspondences(outliers=outliers)
    found = solve_pnp(points, pixels, K)
    assert float(rotation_angle(found.T_scene_cam, T_scene_cam)) < 0.005
    torch.testing.assert_close(found.T_scene_cam[:3, 3], T_scene_cam[:3, 3], atol=0.02, rtol=0)
    assert int((found.inliers & true).sum()) > 0.97 * int(true.sum())
    assert int((found.inliers & ~true).sum()) <= 0.03 * len(true)
    assert found.inlier_count == int(found.inliers.sum())
    assert found.median_error_px < 1.0


def test_exact_points_give_the_exact_pose() -> None:
    points, pixels, _ = correspondences(noise_px=0.0)
    found = solve_pnp(points.double(), pixels.double(), K)
    torch.testing.assert_close(found.T_scene_cam, T_scene_cam, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.T_cam_scene, invert(T_scene_cam), atol=1e-4, rtol=0)


def test_the_same_seed_gives_the_same_pose() -> None:
    points, pixels, _ = correspondences(outliers=0.5)
    first, second = (solve_pnp(points, pixels, K, PnpOptions(seed=7)) for _ in range(2))
    assert torch.equal(first.T_cam_scene, second.T_cam_scene)
    assert torch.equal(first.inliers, second.inliers)


def test_points_that_are_not_finite_are_outliers() -> None:
    points, pixels, _ = correspondences()
    points[::10] = torch.nan
    found = solve_pnp(points, pixels, K)
    assert not bool(found.inliers[::10].any())
    assert float(rotation_angle(found.T_scene_cam, T_scene_cam)) < 0.005


def test_unrelated_points_and_pixels_are_refused() -> None:
    points, pixels, _ = correspondences(outliers=1.0)
    with pytest.raises(GeometryError, match="inliers"):
        solve_pnp(points, pixels, K, PnpOptions(min_inliers=30))


def test_too_few_points_and_bad_shapes_are_refused() -> None:
    points, pixels, _ = correspondences()
    with pytest.raises(GeometryError, match="needs 12"):
        solve_pnp(points[:8], pixels[:8], K)
    with pytest.raises(InputError):
        solve_pnp(points, pixels[:-1], K)
    with pytest.raises(InputError):
        solve_pnp(points, pixels, torch.zeros(3, 3))


def test_a_pointmap_tells_where_its_camera_was() -> None:
    depth = 2 + torch.rand(24, 32, generator=torch.Generator().manual_seed(1))
    K_small = torch.tensor([[30.0, 0, 15.5], [0, 30.0, 11.5], [0, 0, 1]])
    pointmap = transform_points(T_scene_cam, unproject(depth, K_small))
    pointmap[:, :8] = 0.0  # wrong, but masked
    mask = torch.ones(24, 32, dtype=torch.bool)
    mask[:, :8] = False
    found = pnp_from_pointmap(pointmap, K_small, mask, PnpOptions(max_error_px=0.5))
    torch.testing.assert_close(found.T_scene_cam, T_scene_cam, atol=1e-3, rtol=0)
    assert found.inlier_count == 24 * 24
