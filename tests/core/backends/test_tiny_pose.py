"""The pair pose: exact on exact input, robust to depth errors and wrong matches, refused without support."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lsm_core.backends.tiny_pose import JointProblem, estimate_pose
from lsm_core.backends.tiny_residuals import MatchedPoints, PoseOptions, deviations
from lsm_core.errors import GeometryError

K = np.array([[230.0, 0, 127.5], [0, 225.0, 95.5], [0, 0, 1]])


def true_pose() -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [4, -12, 3], degrees=True).as_matrix()
    T[:3, 3] = [0.35, -0.05, 0.1]
    return T


def project(points: np.ndarray) -> np.ndarray:
    return points[:, :2] / points[:, 2:] * [K[0, 0], K[1, 1]] + [K[0, 2], K[1, 2]]


def scene(
    depth_error: float = 0.0, match_px: float = 0.0, wrong: float = 0.0, scale_1: float = 1.0
) -> MatchedPoints:
    """Matches of 300 points; view 1's depth is in a unit that scale_1 undoes."""
    rng = np.random.default_rng(0)
    z = rng.uniform(1.2, 4.0, 300)
    pixels_0 = np.column_stack((rng.uniform(40, 230, 300), rng.uniform(20, 170, 300)))
    points_0 = np.column_stack(((pixels_0 - [K[0, 2], K[1, 2]]) / [K[0, 0], K[1, 1]], np.ones(300))) * z[:, None]
    T = true_pose()
    points_1 = points_0 @ T[:3, :3].T + T[:3, 3]
    pixels_1 = project(points_1) + match_px * rng.normal(size=(300, 2))
    back_in_0 = pixels_0 + match_px * rng.normal(size=(300, 2))
    bad = rng.random(300) < wrong
    pixels_1[bad] = rng.uniform([0, 0], [255, 191], (int(bad.sum()), 2))
    error_0, error_1 = (np.exp(depth_error * rng.normal(size=(300, 1))) for _ in range(2))
    return MatchedPoints(points_0 * error_0, points_1 * error_1 / scale_1, pixels_1, back_in_0, K, K)


def rotation_error_deg(T: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(T[:3, :3] @ true_pose()[:3, :3].T).magnitude()))


def direction_error_deg(T: np.ndarray) -> float:
    a, b = T[:3, 3], true_pose()[:3, 3]
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def test_exact_matches_give_the_exact_pose_and_relative_scale() -> None:
    pose = estimate_pose(scene(scale_1=1.4), PoseOptions())
    np.testing.assert_allclose(pose.T_1_0, true_pose(), atol=2e-3)
    assert pose.scale_1 == pytest.approx(1.4, rel=2e-3)
    assert pose.inlier_count == 300


def test_noisy_depth_hurts_little_because_matches_carry_the_pose() -> None:
    pose = estimate_pose(scene(depth_error=0.2, match_px=1.0, wrong=0.3, scale_1=0.8), PoseOptions())
    assert rotation_error_deg(pose.T_1_0) < 2.5
    assert direction_error_deg(pose.T_1_0) < 10.0
    assert pose.scale_1 == pytest.approx(0.8, rel=0.1)
    assert 150 < pose.inlier_count < 240


def test_whitening_forgives_errors_along_the_epipolar_line_only() -> None:
    options = PoseOptions()
    found = scene()
    deeper = replace(found, points_0=found.points_0 * 1.15)
    aside = replace(found, pixels_in_1=found.pixels_in_1 + np.array([0.0, 12.0]))
    assert np.median(deviations(deeper, true_pose(), 1.0, options)) < 1.5
    assert np.median(deviations(aside, true_pose(), 1.0, options)) > options.max_deviation


def test_jacobian_agrees_with_differences() -> None:
    T = true_pose()
    T[:3, 3] += [0.05, 0.02, -0.04]
    problem = JointProblem(scene(depth_error=0.1, scale_1=0.8), T, 0.9, PoseOptions())
    numeric = np.empty((1200, 7))
    for i in range(7):
        step = 1e-6 * np.eye(7)[i]
        numeric[:, i] = (problem.residuals(step) - problem.residuals(-step)) / 2e-6
    np.testing.assert_allclose(problem.jacobian(np.zeros(7)), numeric, atol=1e-4 * np.abs(numeric).max())


def test_a_start_is_refined_not_searched_anew() -> None:
    first = estimate_pose(scene(depth_error=0.25, match_px=1.0), PoseOptions())
    second = estimate_pose(scene(), PoseOptions(), first)
    assert rotation_error_deg(second.T_1_0) < 0.1


def test_unrelated_matches_give_an_error_not_a_pose() -> None:
    with pytest.raises(GeometryError, match="support"):
        estimate_pose(scene(wrong=1.0), PoseOptions())


def test_too_few_matches_give_an_error() -> None:
    found = scene()
    names = ("points_0", "points_1", "pixels_in_1", "pixels_in_0")
    few = replace(found, **{name: getattr(found, name)[:10] for name in names})
    with pytest.raises(GeometryError, match="10 matches"):
        estimate_pose(few, PoseOptions())
