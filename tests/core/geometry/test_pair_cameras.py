"""Cameras of a pair from pointmaps made with known cameras."""

from __future__ import annotations

import pytest
import torch
from known_orders import FOCAL, H, W, moved, noise, orders, pose, seen_points

from lsm_core.geometry.camera_path import interpolated_path, moved_back
from lsm_core.geometry.pair_cameras import OrderedPrediction, pair_cameras
from lsm_core.render.row_vectors import row_vector_camera


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
    wrong[0] = OrderedPrediction(wrong[0].own, wrong[0].own_confidence, noise(), wrong[0].other_confidence)
    found = pair_cameras(wrong)
    assert found.pose_valid == [True, False]


def test_without_confident_pixels_there_is_no_pose() -> None:
    found = pair_cameras(orders(pose(0.3, 8.0), (2.0, 1.5)))
    assert found.pose_valid == [True, False] and not any(bool(m.any()) for m in found.masks)
    assert torch.equal(found.poses[1], torch.eye(4))  # the reference's fallback, here marked as no pose


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
