"""Rigid transforms between 4x4 matrices and messages; the only place where wxyz and xyzw meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_transformations
from geometry_msgs.msg import Pose, Transform, TransformStamped
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_perception.conversions.stamps import stamp_from_ns

Matrix = NDArray[np.float64]


def quaternion_xyzw(T: NDArray[Any]) -> NDArray[np.float64]:
    """Return the unit quaternion xyzw [4] float64 of a rigid 4x4 matrix."""
    pure = np.eye(4)
    pure[:3, :3] = np.asarray(T, np.float64)[:3, :3]
    q = np.asarray(tf_transformations.quaternion_from_matrix(pure), np.float64)
    return q / np.linalg.norm(q)


def pose_message(T: NDArray[Any]) -> Pose:
    """Return a rigid 4x4 matrix T_frame_thing as Pose."""
    message = Pose()
    message.position.x, message.position.y, message.position.z = (float(v) for v in np.asarray(T)[:3, 3])
    q = quaternion_xyzw(T)
    message.orientation.x, message.orientation.y, message.orientation.z, message.orientation.w = q.tolist()
    return message


def transform_message(T: NDArray[Any], parent: str, child: str, stamp_ns: int) -> TransformStamped:
    """Return T_parent_child as TransformStamped."""
    message = TransformStamped()
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.header.frame_id = parent
    message.child_frame_id = child
    pose = pose_message(T)
    message.transform.translation.x = pose.position.x
    message.transform.translation.y = pose.position.y
    message.transform.translation.z = pose.position.z
    message.transform.rotation = pose.orientation
    return message


def matrix_from_transform(message: Transform) -> Matrix:
    """Return a Transform as a rigid 4x4 float64 matrix.

    Raises:
        InputError: it is not finite or its quaternion is zero.
    """
    t, q = message.translation, message.rotation
    return _matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def matrix_from_pose(message: Pose) -> Matrix:
    """Return a Pose as a rigid 4x4 float64 matrix.

    Raises:
        InputError: it is not finite or its quaternion is zero.
    """
    t, q = message.position, message.orientation
    return _matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def matrix_from_wxyz(translation: NDArray[Any], quaternion: NDArray[Any]) -> Matrix:
    """Return the rigid 4x4 matrix of a translation [3] and a quaternion wxyz [4] of lsm_core."""
    w, x, y, z = (float(v) for v in quaternion)
    return _matrix(tuple(float(v) for v in translation), (x, y, z, w))


def _matrix(translation: tuple[float, ...], quaternion: tuple[float, ...]) -> Matrix:
    q = np.asarray(quaternion, np.float64)
    norm = float(np.linalg.norm(q))
    if not (np.isfinite(q).all() and np.isfinite(translation).all()) or norm < 1e-6:
        raise InputError("A pose is not finite or has a zero quaternion.", "Publish unit quaternions.")
    T = np.asarray(tf_transformations.quaternion_matrix(q / norm), np.float64)
    T[:3, 3] = translation
    return T
