"""Rigid motions: group axioms, known angles, and scipy as the second opinion."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from lsm_core.geometry import (
    direction_angle,
    interpolate,
    invert,
    relative,
    rigid,
    rotation_angle,
    se3_exp,
    se3_log,
    so3_exp,
    so3_log,
    update_pose,
)
from lsm_core.geometry.se3 import hat

component = st.floats(-1.0, 1.0, allow_subnormal=False)
vector = st.tuples(component, component, component)


def twist(rho: tuple[float, ...], theta: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor([*rho, *theta], dtype=torch.float64)


@given(vector, vector)
def test_exp_agrees_with_the_matrix_exponential(rho: tuple[float, ...], theta: tuple[float, ...]) -> None:
    tau = twist(rho, theta)
    generator = torch.zeros(4, 4, dtype=torch.float64)
    generator[:3, :3], generator[:3, 3] = hat(tau[3:]), tau[:3]
    np.testing.assert_allclose(se3_exp(tau).numpy(), expm(generator.numpy()), atol=1e-9)


@given(vector, vector)
def test_log_undoes_exp(rho: tuple[float, ...], theta: tuple[float, ...]) -> None:
    tau = twist(rho, theta)
    torch.testing.assert_close(se3_log(se3_exp(tau)), tau, atol=1e-9, rtol=1e-9)


@given(vector, st.floats(0.0, math.pi))
def test_log_of_any_rotation_up_to_a_half_turn(axis: tuple[float, ...], angle: float) -> None:
    v = np.array(axis)
    if np.linalg.norm(v) < 1e-3:
        v = np.array([0.0, 0.0, 1.0])
    rotvec = angle * v / np.linalg.norm(v)
    R = torch.from_numpy(Rotation.from_rotvec(rotvec).as_matrix())
    log = so3_log(R)
    assert float(torch.linalg.vector_norm(log)) == pytest.approx(angle, abs=1e-7)
    torch.testing.assert_close(so3_exp(log), R, atol=1e-7, rtol=0)


@given(vector, vector)
def test_inverse_and_relative(rho: tuple[float, ...], theta: tuple[float, ...]) -> None:
    T_world_a = se3_exp(twist(rho, theta))
    T_world_b = se3_exp(twist(theta, rho))
    torch.testing.assert_close(invert(T_world_a) @ T_world_a, torch.eye(4).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(T_world_a @ relative(T_world_a, T_world_b), T_world_b, atol=1e-12, rtol=0)


def test_rotation_angle_between_two_known_rotations() -> None:
    a = so3_exp(torch.tensor([0.0, 0.3, 0.0]))
    b = so3_exp(torch.tensor([0.0, 0.8, 0.0]))
    assert float(rotation_angle(a, b)) == pytest.approx(0.5, abs=1e-6)
    assert float(rotation_angle(so3_exp(torch.tensor([1e-4, 0.0, 0.0])))) == pytest.approx(1e-4, rel=1e-2)


def test_direction_angle_is_accurate_for_tiny_and_opposite_directions_and_nan_without_length() -> None:
    x = torch.tensor([1.0, 0.0, 0.0])
    assert float(direction_angle(x, torch.tensor([1.0, 1e-4, 0.0]))) == pytest.approx(1e-4, rel=1e-3)
    assert float(direction_angle(x, -2 * x)) == pytest.approx(math.pi)
    assert bool(direction_angle(x, torch.zeros(3)).isnan())


def test_interpolation_ends_and_middle() -> None:
    T_a = torch.eye(4)
    T_b = rigid(so3_exp(torch.tensor([0.0, 0.0, 1.0])), torch.tensor([2.0, 0.0, 4.0]))
    torch.testing.assert_close(interpolate(T_a, T_b, 0.0), T_a)
    torch.testing.assert_close(interpolate(T_a, T_b, 1.0), T_b)
    middle = interpolate(T_a, T_b, 0.5)
    assert float(rotation_angle(middle)) == pytest.approx(0.5, abs=1e-6)
    torch.testing.assert_close(middle[:3, 3], torch.tensor([1.0, 0.0, 2.0]))


def test_pose_update_acts_in_the_camera_frame() -> None:
    T_world_cam = rigid(so3_exp(torch.tensor([0.2, -0.4, 0.1])), torch.tensor([1.0, 2.0, 3.0]))
    step = torch.tensor([0.0, 0.0, -0.5, 0.0, 0.0, 0.0])  # world points come 0.5 nearer
    moved = update_pose(T_world_cam, step)
    torch.testing.assert_close(moved[:3, 3], T_world_cam[:3, 3] + 0.5 * T_world_cam[:3, 2])
