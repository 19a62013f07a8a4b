"""Cameras of a pair from pointmaps made with known cameras."""

from __future__ import annotations

import math

import pytest
import torch

from lsm_core.geometry.camera_path import interpolated_path, moved_back
from lsm_core.geometry.pair_cameras import OrderedPrediction, pair_cameras
from lsm_core.render.row_vectors import row_vector_camera

H, W, FOCAL = 48, 64, 70.0


def pose(x: float, turn_deg: float) -> torch.Tensor:
    a = math.radians(turn_deg)
    T = torch.eye(4)
    T[:3, :3] = torch.tensor([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    T[0, 3] = x
    return T


def seen_points(seed: int) -> torch.Tensor:
    """Return points [H, W, 3] in the camera that sees them, at random depths."""
    y, x = torch.meshgrid(torch.arange(float(H)), torch.arange(float(W)), indexing="ij")
    z = 2 + torch.rand(H, W, generator=torch.Generator().manual_seed(seed))
    return torch.stack(((x - W / 2) / FOCAL * z, (y - H / 2) / FOCAL * z, z), -1)


def moved(points: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    return points @ T[:3, :3].T + T[:3, 3]


def orders(T_0_1: torch.Tensor, sure: tuple[float, float] = (5.0, 4.0)) -> list[OrderedPrediction]:
    views = [seen_points(0), seen_points(1)]
    conf = [torch.full((H, W), c) for c in sure]
    return [
        OrderedPrediction(views[0], conf[0], moved(views[1], T_0_1), conf[0]),
        OrderedPrediction(views[1], conf[1], moved(views[0], torch.linalg.inv(T_0_1)), conf[1]),
    ]


@pytest.mark.parametrize("reference", [0, 1])
def test_the_order_of_higher_score_is_the_reference_and_the_other_pose_is_found(reference: int) -> None:
    T_0_1 = pose(0.3, 8.0)
    found = pair_cameras(orders(T_0_1, (5.0, 4.0) if reference == 0 else (4.0, 5.0)))
    assert found.reference == reference and found.pose_valid == [True, True]
    expected = T_0_1 if reference == 0 else torch.linalg.inv(T_0_1)
    torch.testing.assert_close(found.poses[1 - reference], expected, atol=1e-3, rtol=1e-3)
    assert torch.equal(found.poses[reference], torch.eye(4))
    torch.testing.assert_close(found.focals, torch.full((2,), FOCAL), atol=1e-2, rtol=1e-3)
    for depth, points in zip(found.depths, (seen_points(0), seen_points(1)), strict=True):
        torch.testing.assert_close(depth, points[..., 2], atol=5e-3, rtol=5e-3)


def test_a_pose_that_cannot_be_found_is_invalid_and_never_a_silent_identity() -> None:
    wrong = orders(pose(0.3, 8.0))
    noise = torch.rand(H, W, 3, generator=torch.Generator().manual_seed(2)) * 10 - 5
    wrong[0] = OrderedPrediction(wrong[0].own, wrong[0].own_confidence, noise, wrong[0].other_confidence)
    found = pair_cameras(wrong)
    assert found.pose_valid == [True, False]


def test_without_confident_pixels_there_is_no_pose() -> None:
    found = pair_cameras(orders(pose(0.3, 8.0), (2.0, 1.5)))
    assert found.pose_valid == [True, False] and not any(bool(m.any()) for m in found.masks)


def test_a_path_starts_at_the_first_pose_and_goes_towards_the_last() -> None:
    keys = torch.stack((pose(0.0, 0.0), pose(1.0, 20.0))).numpy()
    path = interpolated_path(keys, 10, smoothing=0.0)
    assert path.shape == (10, 3, 4)
    assert path[0] == pytest.approx(keys[0, :3], abs=1e-6)
    assert path[:, 0, 3] == pytest.approx([i / 10 for i in range(10)], abs=1e-6)
    for R in path[:, :, :3]:
        assert pytest.approx(torch.eye(3).numpy(), abs=1e-6) == R.T @ R


def test_moving_back_goes_against_the_view() -> None:
    back = moved_back(pose(0.5, 90.0).numpy(), 2.0)
    assert back[:3, 3] == pytest.approx([0.5 - 2.0, 0.0, 0.0], abs=1e-6)


def test_a_point_in_view_projects_with_the_row_vector_matrices() -> None:
    K = torch.tensor([[FOCAL, 0, W / 2], [0, FOCAL, H / 2], [0, 0, 1]])
    camera = row_vector_camera(pose(0.2, 5.0), K, (H, W))
    in_camera = torch.tensor([0.3, -0.2, 2.0])
    point = torch.cat((moved(in_camera[None], pose(0.2, 5.0))[0], torch.ones(1)))
    clip = point @ camera.full_projection
    torch.testing.assert_close(
        clip[:2] / clip[3], torch.tensor([0.3 / 2 * FOCAL / (W / 2), -0.2 / 2 * FOCAL / (H / 2)])
    )
    torch.testing.assert_close((point @ camera.view)[:3], in_camera)
