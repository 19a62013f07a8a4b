"""Corners of the full-size images sharpen a pose that is a little off, whatever the sizes of the images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lsm_core.backends.tiny_full_resolution import (
    CornerOptions,
    FullResolutionOptions,
    FullView,
    refine_at_full_resolution,
    track_corners,
)
from lsm_core.backends.tiny_pose import PairPose
from lsm_core.backends.tiny_residuals import PoseOptions
from lsm_core.errors import GeometryError

WIDTH, HEIGHT, STEP = 360, 270, 3  # the output grid has every third pixel
K = np.array([[330.0, 0, 179.5], [0, 330.0, 134.5], [0, 0, 1]])
SLOPE = 0.6  # the seen plane is z = 2 + SLOPE x: it has parallax


def texture() -> np.ndarray:
    rng = np.random.default_rng(3)
    total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for cells in (8, 20, 45, 90):
        total += cv2.resize(rng.random((cells, cells * 4 // 3, 3)).astype(np.float32), (WIDTH, HEIGHT))
    return (255 * (total - total.min()) / np.ptp(total)).astype(np.uint8)


def true_pose() -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [2, -6, 4], degrees=True).as_matrix()
    T[:3, 3] = [0.2, 0.05, -0.06]
    return T


def plane_depth(normal: np.ndarray, offset: float) -> np.ndarray:
    """Depth of the plane normal . X = offset on the output grid."""
    y, x = np.mgrid[0:HEIGHT:STEP, 0:WIDTH:STEP] + (STEP - 1) / 2
    rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], -1)
    return (offset / (rays @ normal)).astype(np.float32)


def views() -> tuple[FullView, FullView]:
    """The plane seen from both places; view 1's depth is in a unit of its own."""
    n, T = np.array([-SLOPE, 0.0, 1.0]), true_pose()  # n . X = 2
    H = K @ (T[:3, :3] + np.outer(T[:3, 3], n) / 2.0) @ np.linalg.inv(K)
    first = texture()
    second = cv2.warpPerspective(first, H, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    grid = np.array([[STEP, 0, (STEP - 1) / 2], [0, STEP, (STEP - 1) / 2], [0, 0, 1.0]])
    n_1 = T[:3, :3] @ n
    depth_1 = plane_depth(n_1, 2.0 + float(n_1 @ T[:3, 3])) / 0.9
    return FullView(first, K, plane_depth(n, 2.0), grid), FullView(second, K, depth_1, grid)


def start(turn_deg: float = 1.5) -> PairPose:
    T = true_pose()
    T[:3, :3] = Rotation.from_euler("xyz", [turn_deg, -turn_deg, 0], degrees=True).as_matrix() @ T[:3, :3]
    T[:3, 3] += [-0.05, 0.04, 0.03]
    return PairPose(T, 1.0, np.ones(5, bool), 5, 1.0, 7)


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def test_tracked_corners_lie_where_the_true_pose_puts_them() -> None:
    first, second = views()
    found = track_corners(first, second, start(), CornerOptions())
    assert len(found.points_0) > 100
    moved = found.points_0 @ true_pose()[:3, :3].T + true_pose()[:3, 3]
    pixels = moved[:, :2] / moved[:, 2:] * [K[0, 0], K[1, 1]] + [K[0, 2], K[1, 2]]
    assert np.median(np.linalg.norm(pixels - found.pixels_in_1, axis=1)) < 0.3


def test_the_refined_pose_is_much_nearer_the_truth() -> None:
    first, second = views()
    begun, truth = start(), true_pose()
    pose = refine_at_full_resolution(first, second, begun, PoseOptions(), FullResolutionOptions())
    turn = np.degrees(Rotation.from_matrix(pose.T_1_0[:3, :3] @ truth[:3, :3].T).magnitude())
    assert turn < 0.1
    assert angle(pose.T_1_0[:3, 3], truth[:3, 3]) < 0.3 * angle(begun.T_1_0[:3, 3], truth[:3, 3])
    assert (pose.inlier_count, pose.match_count) == (5, 7)  # support is what the network's matches gave


def test_a_second_pass_comes_nearer_than_the_first() -> None:
    first, second = views()
    once = FullResolutionOptions(passes=(CornerOptions(match_px=(3.0, 0.5)),))
    poses = [
        refine_at_full_resolution(first, second, start(), PoseOptions(), o) for o in (once, FullResolutionOptions())
    ]
    turns = [Rotation.from_matrix(p.T_1_0[:3, :3] @ true_pose()[:3, :3].T).magnitude() for p in poses]
    assert turns[1] < turns[0]


def test_images_without_corners_are_refused() -> None:
    first, second = views()
    blank = FullView(np.full_like(first.image, 120), K, first.depth, first.grid_to_image)
    with pytest.raises(GeometryError, match="corners"):
        refine_at_full_resolution(blank, second, start(), PoseOptions(), FullResolutionOptions())
