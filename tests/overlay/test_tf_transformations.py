"""Rotations against scipy as ground truth."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

tft = pytest.importorskip("tf_transformations", reason="the workspace is not built")
pytestmark = pytest.mark.ros

QUATS = Rotation.random(12, random_state=5).as_quat()
ANGLES = np.random.default_rng(2).uniform(-1.4, 1.4, (6, 3))
TAIT_BRYAN = ["".join(p) for p in itertools.permutations("xyz")]
PROPER = ["xyx", "xzx", "yxy", "yzy", "zxz", "zyz"]


def _same_rotation(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(abs(abs(float(np.dot(a, b))) - 1.0) < 1e-12)


@pytest.mark.parametrize("quat", QUATS)
def test_matrix_and_quaternion_agree_with_scipy(quat: np.ndarray) -> None:
    matrix = tft.quaternion_matrix(quat)
    np.testing.assert_allclose(matrix[:3, :3], Rotation.from_quat(quat).as_matrix(), atol=1e-12)
    np.testing.assert_array_equal(matrix[3], [0, 0, 0, 1])
    back = tft.quaternion_from_matrix(matrix)
    assert _same_rotation(back, quat)
    assert back[3] >= 0


def test_product_applies_the_second_factor_first() -> None:
    a, b = QUATS[0], QUATS[1]
    expected = (Rotation.from_quat(a) * Rotation.from_quat(b)).as_quat()
    assert _same_rotation(tft.quaternion_multiply(a, b), expected)


def test_inverse_undoes_a_rotation_of_any_length() -> None:
    np.testing.assert_allclose(
        tft.quaternion_multiply(3.0 * QUATS[2], tft.quaternion_inverse(3.0 * QUATS[2])), [0, 0, 0, 1], atol=1e-12
    )


@pytest.mark.parametrize("sequence", TAIT_BRYAN + PROPER)
@pytest.mark.parametrize("frame", ["s", "r"])
def test_euler_angles_agree_with_scipy(frame: str, sequence: str) -> None:
    for angles in ANGLES:
        truth = Rotation.from_euler(sequence if frame == "s" else sequence.upper(), angles)
        quat = tft.quaternion_from_euler(*angles, axes=frame + sequence)
        assert _same_rotation(quat, truth.as_quat())
        back = tft.quaternion_from_euler(*tft.euler_from_quaternion(quat, frame + sequence), axes=frame + sequence)
        assert _same_rotation(back, quat)
        np.testing.assert_allclose(
            tft.euler_matrix(*angles, axes=frame + sequence)[:3, :3], truth.as_matrix(), atol=1e-12
        )


def test_default_euler_angles_are_roll_pitch_yaw() -> None:
    np.testing.assert_allclose(
        tft.euler_from_quaternion(tft.quaternion_from_euler(0.1, -0.2, 0.3)), [0.1, -0.2, 0.3], atol=1e-12
    )
    np.testing.assert_allclose(
        tft.quaternion_from_euler(0, 0, np.pi / 2), [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-12
    )


def test_gimbal_lock_still_gives_the_rotation() -> None:
    quat = tft.quaternion_from_euler(0.4, np.pi / 2, -0.3)
    assert _same_rotation(tft.quaternion_from_euler(*tft.euler_from_quaternion(quat)), quat)


@pytest.mark.parametrize("axes", ["", "xyz", "qxyz", "sxy", "sxyw"])
def test_unknown_axes_are_refused(axes: str) -> None:
    with pytest.raises(ValueError, match="axes must be"):
        tft.quaternion_from_euler(0, 0, 0, axes)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.5, 1.0])
def test_slerp_agrees_with_scipy(fraction: float) -> None:
    for a, b in zip(QUATS[:6], QUATS[6:], strict=True):
        truth = Slerp([0, 1], Rotation.from_quat([a, b]))(fraction).as_quat()
        assert _same_rotation(tft.quaternion_slerp(a, b, fraction), truth)


def test_matrices_chain_and_invert() -> None:
    matrix = tft.concatenate_matrices(tft.translation_matrix([1, 2, 3]), tft.quaternion_matrix(QUATS[3]))
    np.testing.assert_allclose(tft.translation_from_matrix(matrix), [1, 2, 3])
    np.testing.assert_allclose(matrix @ tft.inverse_matrix(matrix), np.identity(4), atol=1e-12)
    point = Rotation.from_quat(QUATS[3]).apply([0.5, -1, 2]) + np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose((matrix @ [0.5, -1, 2, 1])[:3], point, atol=1e-12)


def test_rotation_about_an_axis_leaves_its_points_in_place() -> None:
    matrix = tft.rotation_matrix(0.7, [0, 0, 2], point=[1, 2, 0])
    np.testing.assert_allclose(matrix @ [1, 2, 5, 1], [1, 2, 5, 1], atol=1e-12)
    np.testing.assert_allclose(matrix[:3, :3], Rotation.from_euler("z", 0.7).as_matrix(), atol=1e-12)
    assert _same_rotation(tft.quaternion_about_axis(0.7, [0, 0, 2]), Rotation.from_euler("z", 0.7).as_quat())
