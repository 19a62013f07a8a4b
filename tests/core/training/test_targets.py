"""Targets and augmentation keep geometry: a rendered plane must still fit after every change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lsm_core.nn.tiny.rays import cell_centres, rays_from_intrinsics
from lsm_core.training.augment import View, fit, mirror, roll_and_zoom
from lsm_core.training.batches import collate, move_far_away
from lsm_core.training.config import AugmentConfig, PoseNoise
from lsm_core.training.pose_error import estimated_pose
from lsm_core.training.targets import CELL, bin_target, correspondences, pair_log_shift, soft_target

HEIGHT, WIDTH = 96, 128


def pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth texture on the plane, metres to [0, 1]."""
    return 0.5 + 0.25 * np.sin(3.1 * x + 0.7 * y) + 0.25 * np.cos(1.7 * y - 2.3 * x)


def plane_view(T_world_cam: np.ndarray) -> View:
    """Render the textured plane z = 3 of the world exactly."""
    K = np.array([[110.0, 0, 63.5], [0, 110.0, 47.5], [0, 0, 1]])
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    rays = np.stack(((u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)), -1)
    directions = rays @ T_world_cam[:3, :3].T
    depth = (3.0 - T_world_cam[2, 3]) / directions[..., 2]
    points = T_world_cam[:3, 3] + depth[..., None] * directions
    grey = pattern(points[..., 0], points[..., 1])
    rgb = np.repeat((255 * grey).round().astype(np.uint8)[..., None], 3, -1)
    return View(rgb, depth.astype(np.float32), np.ones(grey.shape, np.uint8), K, T_world_cam)


def turned(yaw: float, roll: float, x: float) -> np.ndarray:
    T = np.eye(4)
    a, b = np.deg2rad(yaw), np.deg2rad(roll)
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    T[:3, :3], T[0, 3] = about_y @ about_z, x
    return T


def grey_mismatch(a: View, b: View) -> float:
    """Mean difference of grey values, in [0, 1], between matched cells of two views."""
    targets = correspondences(collate([(a, b)], [True]))
    first = torch.from_numpy(b.rgb[..., 0].astype(np.float32) / 255)[None, None]
    w, h = b.depth.shape[1], b.depth.shape[0]
    pixel = targets.cell_xy[0] * CELL + (CELL - 1) / 2
    grid = (2 * pixel + 1) / torch.tensor([w, h]) - 1
    there = torch.nn.functional.grid_sample(first, grid[None, None], align_corners=False)[0, 0, 0]
    centres = cell_centres(a.depth.shape[0] // CELL, a.depth.shape[1] // CELL, CELL, there).view(-1, 2)
    own = torch.from_numpy(a.rgb[..., 0].astype(np.float32) / 255)[None, None]
    grid = (2 * centres + 1) / torch.tensor([a.depth.shape[1], a.depth.shape[0]]) - 1
    here = torch.nn.functional.grid_sample(own, grid[None, None], align_corners=False)[0, 0, 0]
    visible = targets.visible[0]
    assert int(visible.sum()) > 30
    return float((here - there).abs()[visible].mean())


@pytest.fixture
def pair() -> tuple[View, View]:
    return plane_view(turned(0, 0, 0)), plane_view(turned(-8, 5, 0.5))


def test_correspondences_land_on_the_same_surface_point(pair: tuple[View, View]) -> None:
    assert grey_mismatch(*pair) < 0.01
    wrong = View(pair[1].rgb, pair[1].depth, pair[1].label, pair[1].K, turned(-8, 5, 0.9))
    assert grey_mismatch(pair[0], wrong) > 0.03


def test_cells_outside_the_other_view_are_not_visible(pair: tuple[View, View]) -> None:
    away = plane_view(turned(60, 0, 0.0))
    targets = correspondences(collate([(pair[0], away)], [True]))
    assert not bool(targets.visible[0].view(12, 16)[:, :6].any())


def test_unrelated_views_share_nothing_and_get_no_pose(pair: tuple[View, View]) -> None:
    batch = collate([(pair[0], move_far_away(pair[1]))], [True])
    targets = correspondences(batch)
    assert not bool(targets.visible.any()) and bool(targets.known.any())
    points = torch.ones(2, 192, 3)
    noise, generator = PoseNoise(dropped=0.0), torch.Generator().manual_seed(0)
    T, has = estimated_pose(batch.T_other_self, points, batch.K, targets, torch.zeros(1), noise, CELL, generator)
    assert not bool(has.any()) and bool(torch.isfinite(T).all())


def test_occluded_cells_are_not_visible(pair: tuple[View, View]) -> None:
    a, b = pair
    blocked = View(b.rgb, b.depth * 0.5, b.label, b.K, b.T_world_cam)
    assert not bool(correspondences(collate([(a, blocked)], [True])).visible[0].any())


@pytest.mark.parametrize("seed", range(4))
def test_roll_and_zoom_keep_geometry(pair: tuple[View, View], seed: int) -> None:
    rng = np.random.default_rng(seed)
    changed = roll_and_zoom(pair[1], rng, AugmentConfig(max_roll_deg=12, zoom=(0.9, 1.3)))
    assert not np.allclose(changed.K, pair[1].K)
    assert grey_mismatch(pair[0], changed) < 0.02


def test_mirror_keeps_geometry(pair: tuple[View, View]) -> None:
    assert grey_mismatch(mirror(pair[0]), mirror(pair[1])) < 0.01


@pytest.mark.parametrize(("height", "width"), [(96, 128), (64, 96), (96, 96), (128, 96), (96, 160)])
def test_fitting_to_any_grid_keeps_geometry(pair: tuple[View, View], height: int, width: int) -> None:
    first, second = fit(pair[0], height, width, (0.8, 0.1)), fit(pair[1], height, width, (0.2, 0.9))
    assert second.rgb.shape == (height, width, 3)
    assert grey_mismatch(first, second) < 0.02


def test_soft_target_has_the_position_as_its_mean() -> None:
    xy = torch.tensor([[2.3, 1.8], [0.0, 3.0], [4.0, 0.5]])
    index, weight = soft_target(xy, 4, 5)
    mean = torch.stack(((weight * (index % 5)).sum(-1), (weight * (index // 5)).sum(-1)), -1)
    torch.testing.assert_close(mean, xy, atol=1e-5, rtol=0)


def test_bin_target_has_the_residual_as_its_mean() -> None:
    offsets = torch.linspace(-0.8, 0.8, 9)
    residual = torch.tensor([-0.8, -0.33, 0.0, 0.51])
    lower, weight = bin_target(residual, offsets)
    mean = (1 - weight) * offsets[lower] + weight * offsets[lower + 1]
    torch.testing.assert_close(mean, residual, atol=1e-4, rtol=0)


def test_the_shift_of_a_pair_is_the_median_over_both_views() -> None:
    depth = torch.full((2, 4, 4), 2.0)
    depth[0, 0] = 0.0  # no depth there: must not count
    log_depth = depth.clamp_min(1e-3).log() + 0.25
    log_depth[1, 0, 0] += 9.0
    torch.testing.assert_close(pair_log_shift(log_depth, depth), torch.tensor([0.25]), atol=1e-5, rtol=0)


def test_estimated_pose_is_the_true_one_without_errors(pair: tuple[View, View]) -> None:
    batch = collate([pair], [True])
    targets = correspondences(batch)
    depth = batch.depth[:, 4::CELL, 4::CELL]
    rays = rays_from_intrinsics(batch.K, cell_centres(*depth.shape[1:], CELL, depth))
    points = (rays * batch.depth[:, 4::CELL, 4::CELL, None]).flatten(1, 2)
    noise = PoseNoise(match_px=0.0, matched=1.0, dropped=0.0)
    generator = torch.Generator().manual_seed(0)
    T, has = estimated_pose(batch.T_other_self, points, batch.K, targets, torch.zeros(1), noise, CELL, generator)
    assert bool(has.all())
    torch.testing.assert_close(T, batch.T_other_self, atol=0.02, rtol=0)
    torch.testing.assert_close(T[0] @ T[1], torch.eye(4), atol=1e-4, rtol=0)


def test_estimated_pose_follows_the_scale_of_the_predicted_depth(pair: tuple[View, View]) -> None:
    batch = collate([pair], [True])
    targets = correspondences(batch)
    rays = rays_from_intrinsics(batch.K, cell_centres(12, 16, CELL, batch.depth))
    points = (rays * batch.depth[:, 4::CELL, 4::CELL, None]).flatten(1, 2) * 2.0
    noise = PoseNoise(match_px=0.0, matched=1.0, dropped=0.0)
    shift = torch.tensor([2.0]).log()
    T, _ = estimated_pose(
        batch.T_other_self, points, batch.K, targets, shift, noise, CELL, torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(T[0, :3, 3], 2 * batch.T_other_self[0, :3, 3], atol=0.04, rtol=0)
