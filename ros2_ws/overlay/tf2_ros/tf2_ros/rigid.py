"""One rigid transform, and how two of them are combined and interpolated."""

from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Transform

# Above this cosine the arc between two rotations is a straight line to within float64.
_NEARLY_PARALLEL = 1.0 - 1e-12


@dataclass(frozen=True)
class Rigid:
    """Maps points of a child frame into its parent: p_parent = R(quat) p_child + translation.

    Attributes:
        translation: [3] float64, metres.
        quat: [4] float64, x y z w, unit length.
    """

    translation: np.ndarray
    quat: np.ndarray

    @staticmethod
    def identity() -> "Rigid":
        """Return the transform that changes nothing."""
        return Rigid(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))

    @staticmethod
    def from_msg(msg: Transform) -> "Rigid":
        """Read a message; the quaternion is brought to unit length."""
        t, r = msg.translation, msg.rotation
        quat = np.array([r.x, r.y, r.z, r.w])
        return Rigid(np.array([t.x, t.y, t.z]), quat / np.linalg.norm(quat))

    def to_msg(self) -> Transform:
        """Write a message."""
        msg = Transform()
        msg.translation.x, msg.translation.y, msg.translation.z = map(float, self.translation)
        msg.rotation.x, msg.rotation.y, msg.rotation.z, msg.rotation.w = map(float, self.quat)
        return msg

    def __matmul__(self, other: "Rigid") -> "Rigid":
        """Chain: `T_a_b @ T_b_c` is `T_a_c`."""
        return Rigid(rotate(self.quat, other.translation) + self.translation, multiply(self.quat, other.quat))

    def inverse(self) -> "Rigid":
        """Return the transform from the parent into the child frame."""
        quat = self.quat * np.array([-1.0, -1.0, -1.0, 1.0])
        return Rigid(-rotate(quat, self.translation), quat)


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Hamilton product of two quaternions [4] xyzw."""
    vector = a[3] * b[:3] + b[3] * a[:3] + np.cross(a[:3], b[:3])
    return np.append(vector, a[3] * b[3] - np.dot(a[:3], b[:3]))


def rotate(quat: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Rotate a vector [3] by a unit quaternion [4] xyzw."""
    twice = 2.0 * np.cross(quat[:3], vector)
    return vector + quat[3] * twice + np.cross(quat[:3], twice)


def interpolate(start: Rigid, end: Rigid, fraction: float) -> Rigid:
    """Return the transform `fraction` (0 to 1) of the way: straight line, constant turn, short way."""
    translation = (1.0 - fraction) * start.translation + fraction * end.translation
    cosine = float(np.dot(start.quat, end.quat))
    end_quat = end.quat if cosine >= 0.0 else -end.quat
    cosine = abs(cosine)
    if cosine > _NEARLY_PARALLEL:
        quat = (1.0 - fraction) * start.quat + fraction * end_quat
    else:
        angle = np.arccos(cosine)
        quat = np.sin((1.0 - fraction) * angle) * start.quat + np.sin(fraction * angle) * end_quat
    return Rigid(translation, quat / np.linalg.norm(quat))
