"""Two-view pose from matches and from images of a textured scene with known motion."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry import (
    Matches,
    check_pose,
    direction_angle,
    invert,
    match_features,
    relative_pose_from_matches,
    rotation_angle,
    sampson_distance,
    se3_exp,
    two_view_pose,
    view_overlap,
)
from lsm_core.geometry.camera import project, transform_points

K = torch.tensor([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]])
T_cam0_cam1 = se3_exp(torch.tensor([0.4, 0.05, -0.1, 0.03, -0.1, 0.05]))


def synthetic_matches(n: int = 200, outliers: int = 0, seed: int = 0) -> Matches:
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(rng.uniform([-1, -0.8, 2], [1, 0.8, 5], (n, 3))).float()
    pixels0, _ = project(points, K)
    pixels1, _ = project(transform_points(invert(T_cam0_cam1), points), K)
    noise = rng.normal(0, 0.2, (n, 2))
    pixels1 = pixels1.numpy().astype(float) + noise
    pixels1[:outliers] = rng.uniform(0, 240, (outliers, 2))
    return Matches(pixels0.numpy().astype(float), pixels1)


@pytest.mark.parametrize("outliers", [0, 80])
def test_matches_give_rotation_and_direction(outliers: int) -> None:
    found = relative_pose_from_matches(synthetic_matches(outliers=outliers), K, K)
    assert float(rotation_angle(found.R_cam0_cam1, T_cam0_cam1)) < math.radians(0.5)
    assert float(direction_angle(found.direction_cam0_cam1, T_cam0_cam1[:3, 3])) < math.radians(3)
    assert found.inlier_count >= 0.9 * (200 - outliers)
    assert found.inliers[:outliers].mean() < 0.2 if outliers else True


def test_parallax_is_the_angle_under_which_the_baseline_is_seen() -> None:
    found = relative_pose_from_matches(synthetic_matches(), K, K)
    baseline, depth = float(T_cam0_cam1[:3, 3].norm()), 3.5
    assert found.parallax_deg == pytest.approx(math.degrees(baseline / depth), rel=0.3)


def test_sampson_distance_is_zero_for_the_true_pose_and_grows_with_a_wrong_one() -> None:
    matches = synthetic_matches()
    right = check_pose(T_cam0_cam1, K, K, matches)
    turned = T_cam0_cam1 @ se3_exp(torch.tensor([0.0, 0.0, 0.0, 0.1, 0.0, 0.0]))
    wrong = check_pose(turned, K, K, matches)
    assert right.inlier_share > 0.99
    assert right.median_error_px < 0.3
    assert wrong.inlier_share < 0.5
    assert wrong.median_error_px > 2


def test_sampson_distance_of_a_known_offset() -> None:
    sideways = torch.eye(4)
    sideways[0, 3] = 1.0
    matches = Matches(np.array([[100.0, 50.0]]), np.array([[80.0, 53.0]]))  # 3 px off the common row
    assert sampson_distance(sideways, K, K, matches) == pytest.approx([3 / math.sqrt(2)])
    with pytest.raises(InputError):
        sampson_distance(torch.eye(4), K, K, matches)


def test_no_matches_explain_nothing() -> None:
    empty = Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    assert check_pose(T_cam0_cam1, K, K, empty).inlier_share == 0.0
    with pytest.raises(GeometryError):
        relative_pose_from_matches(empty, K, K)


def textured_views(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two views of two textured planes at different depths, warped by their exact homographies."""
    rng = np.random.default_rng(seed)
    views = [np.zeros((240, 320, 3), np.uint8), np.zeros((240, 320, 3), np.uint8)]
    Kd = K.double().numpy()
    T10 = invert(T_cam0_cam1).double().numpy()
    for depth, columns in ((4.0, slice(0, 320)), (2.5, slice(120, 220))):
        texture = cv2.resize(
            rng.integers(0, 256, (60, 80, 3)).astype(np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC
        )
        mask = np.zeros((240, 320), np.uint8)
        mask[60:200, columns] = 255
        H = Kd @ (T10[:3, :3] + np.outer(T10[:3, 3], [0, 0, 1]) / depth) @ np.linalg.inv(Kd)
        for view, transform in zip(views, (np.eye(3), H), strict=True):
            warped = cv2.warpPerspective(texture, transform, (320, 240))
            inside = cv2.warpPerspective(mask, transform, (320, 240)) > 127
            view[inside] = warped[inside]
    return views[0], views[1]


@pytest.mark.parametrize("method", ["sift", "orb"])
def test_images_give_their_motion(method: str) -> None:
    image0, image1 = textured_views()
    found = two_view_pose(image0, image1, K, K, method)  # type: ignore[arg-type]
    assert float(rotation_angle(found.R_cam0_cam1, T_cam0_cam1)) < math.radians(2)
    assert float(direction_angle(found.direction_cam0_cam1, T_cam0_cam1[:3, 3])) < math.radians(10)


def test_a_blank_image_has_no_matches() -> None:
    blank = np.full((120, 160, 3), 128, np.uint8)
    assert len(match_features(blank, textured_views()[0])) == 0


def test_overlap_of_a_shifted_view_of_a_wall() -> None:
    wall = torch.full((240, 320), 2.0)
    half = torch.eye(4)
    half[0, 3] = 160 / 300 * 2.0  # the wall moves by half an image
    assert view_overlap(wall, K, torch.eye(4), K, (240, 320)) == 1.0
    assert view_overlap(wall, K, half, K, (240, 320)) == pytest.approx(0.5, abs=0.01)
    away = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    assert view_overlap(wall, K, away, K, (240, 320)) == 0.0


def test_hidden_points_do_not_count_as_overlap() -> None:
    wall = torch.full((240, 320), 2.0)
    nearer = torch.full((240, 320), 2.0)
    nearer[:, :160] = 1.0
    assert view_overlap(wall, K, torch.eye(4), K, (240, 320), depth1=nearer) == pytest.approx(0.5)
    with pytest.raises(GeometryError):
        view_overlap(torch.zeros(240, 320), K, torch.eye(4), K, (240, 320))
