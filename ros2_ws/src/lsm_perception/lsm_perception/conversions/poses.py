"""Rigid transforms between 4x4 matrices and messages; the only place where wxyz and xyzw meet."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tf_transformations
from geometry_msgs.msg import Point, Pose, Quaternion, Transform, TransformStamped
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_perception.conversions.stamps import stamp_from_ns

Matrix = NDArray[np.float64]


def quaternion_xyzw(T: NDArray[Any]) -> tuple[float, float, float, float]:
    """Return the unit quaternion xyzw, w >= 0, of a rigid 4x4 matrix.

    The largest of the four components is taken from the trace or the diagonal, the others from sums and differences
    (Shepperd 1978); in plain Python, since it runs for each message and NumPy's call overhead is larger.
    """
    (a, b, c), (d, e, f), (g, h, i) = np.asarray(T, np.float64)[:3, :3].tolist()
    squared = (1 + a - e - i, 1 - a + e - i, 1 - a - e + i, 1 + a + e + i)  # 4 x^2, 4 y^2, 4 z^2, 4 w^2
    largest = squared.index(max(squared))
    rows = (
        (squared[0], b + d, c + g, h - f),
        (b + d, squared[1], f + h, c - g),
        (c + g, f + h, squared[2], d - b),
        (h - f, c - g, d - b, squared[3]),
    )
    x, y, z, w = rows[largest]
    size = math.copysign(math.sqrt(x * x + y * y + z * z + w * w), w)
    return x / size, y / size, z / size, w / size


def pose_message(T: NDArray[Any]) -> Pose:
    """Return a rigid 4x4 matrix T_frame_thing as Pose."""
    x, y, z = np.asarray(T, np.float64)[:3, 3].tolist()
    qx, qy, qz, qw = quaternion_xyzw(T)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def pose_from_wxyz(translation: NDArray[Any], quaternion: NDArray[Any]) -> Pose:
    """Return a translation [3] and a quaternion wxyz [4] of lsm_core as Pose."""
    x, y, z = np.asarray(translation, np.float64).tolist()
    qw, qx, qy, qz = np.asarray(quaternion, np.float64).tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


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


def _matrix(translation: tuple[float, ...], quaternion: tuple[float, ...]) -> Matrix:
    q = np.asarray(quaternion, np.float64)
    largest = float(np.abs(q).max())
    if not (np.isfinite(q).all() and np.isfinite(translation).all()) or largest < 1e-6:
        raise InputError("A pose is not finite or has a zero quaternion.", "Publish unit quaternions.")
    q = q / largest  # so that the norm of a huge one is not infinite
    T = np.asarray(tf_transformations.quaternion_matrix(q / np.linalg.norm(q)), np.float64)
    T[:3, 3] = translation
    return T
