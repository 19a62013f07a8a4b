"""Covariances match what many noisy repetitions show; trajectories come out in order, by segment."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lsm_core.errors import InputError
from lsm_core.mapping import Trajectory, pose_covariance, unknown_covariance

from .scenes import K_SMALL, random_pose


def test_covariance_predicts_the_scatter_of_repeated_estimates() -> None:
    rng = np.random.default_rng(0)
    T = random_pose(rng)
    X = np.stack([rng.uniform(-1, 1, 60), rng.uniform(-1, 1, 60), rng.uniform(2, 4, 60)], 1)
    T_inv = np.linalg.inv(T)
    p = X @ T_inv[:3, :3].T + T_inv[:3, 3]
    exact = (p / p[:, 2:]) @ K_SMALL.T[:, :2]
    errors, predicted = [], []
    for _ in range(300):
        pixels = exact + 0.7 * rng.standard_normal(exact.shape)
        _, r, t = cv2.solvePnP(
            X, pixels, K_SMALL, None, cv2.Rodrigues(T_inv[:3, :3])[0], T_inv[:3, 3:].copy(), True
        )
        found = np.eye(4)
        found[:3, :3], found[:3, 3] = cv2.Rodrigues(r)[0], t[:, 0]
        found = np.linalg.inv(found)
        turn = Rotation.from_matrix(found[:3, :3] @ T[:3, :3].T).as_rotvec()
        errors.append(np.concatenate([found[:3, 3] - T[:3, 3], turn]))
        predicted.append(pose_covariance(X, pixels, K_SMALL, found))
    scatter, mean = np.cov(np.array(errors).T), np.mean(predicted, 0)
    assert np.allclose(np.sqrt(np.diag(mean)), np.sqrt(np.diag(scatter)), rtol=0.2)
    correlation = scatter / np.sqrt(np.outer(np.diag(scatter), np.diag(scatter)))
    expected = mean / np.sqrt(np.outer(np.diag(mean), np.diag(mean)))
    assert np.allclose(correlation, expected, atol=0.2)


def test_too_few_or_degenerate_points_are_unknown() -> None:
    unknown = unknown_covariance()
    assert unknown[0, 0] == -1 and np.count_nonzero(unknown) == 1
    few = pose_covariance(np.ones((3, 3)), np.ones((3, 2)), K_SMALL, np.eye(4))
    one_ray = pose_covariance(np.tile([0.0, 0, 2], (50, 1)), np.tile([159.5, 119.5], (50, 1)), K_SMALL, np.eye(4))
    assert np.array_equal(few, unknown) and np.array_equal(one_ray, unknown)


def test_trajectory_is_ordered_by_stamp_and_scaled() -> None:
    rng = np.random.default_rng(1)
    poses = {stamp: random_pose(rng) for stamp in (30, 10, 20)}
    trajectory = Trajectory()
    for stamp, T in poses.items():
        trajectory.add(stamp, T, segment=4)
    trajectory.add(99, np.eye(4), segment=5)
    out = trajectory.arrays(4, metres_per_unit=2.0)
    assert out.stamps_ns.tolist() == [10, 20, 30] and trajectory.segments == [4, 5] and len(trajectory) == 4
    assert np.allclose(out.positions[0], 2 * poses[10][:3, 3])
    assert np.allclose(Rotation.from_quat(out.quats[1], scalar_first=True).as_matrix(), poses[20][:3, :3])


def test_unknown_segment_and_cleared_trajectory_are_empty() -> None:
    trajectory = Trajectory()
    trajectory.add(1, np.eye(4), 1)
    trajectory.clear()
    assert trajectory.arrays(1).positions.shape == (0, 3) and trajectory.arrays(1).quats.shape == (0, 4)


def test_nonsense_pose_is_refused() -> None:
    with pytest.raises(InputError):
        Trajectory().add(1, np.full((4, 4), np.inf), 1)


def test_a_bounded_trajectory_forgets_the_oldest_poses_of_the_oldest_segment() -> None:
    trajectory = Trajectory(max_poses=3)
    for stamp, segment in ((10, 1), (20, 1), (30, 2), (40, 2), (50, 2)):
        trajectory.add(stamp, np.eye(4), segment)
    assert len(trajectory) == 3 and trajectory.segments == [2]
    assert trajectory.arrays(2).stamps_ns.tolist() == [30, 40, 50]
