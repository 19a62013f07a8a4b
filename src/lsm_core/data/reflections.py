"""Planar reflections: which pixels a reflector fills, the mirrored camera, and how the two images mix.

A camera mirrored at the plane sees through each pixel what the true camera sees reflected there, so
the second image needs no lookup: it is blended in pixel by pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

from lsm_core.data.scene import Reflector

KEEP_ALL = np.array([0.0, 0.0, 0.0, 1.0])
MIN_REFLECTION = 0.004  # share of the pixels below which a reflector is not worth a second rendering
MAX_REFLECTIONS = 2  # per frame, the strongest
PLANE_MARGIN_M = 0.004  # what lies this close to the plane is not reflected: the reflector itself
TOUCH_M = 0.012  # a surface this close behind the plane is the reflector itself


def facing_plane(reflector: Reflector, T_world_cam: np.ndarray) -> np.ndarray:
    """Return the plane [4] (unit normal n, offset w: n p + w = 0), its normal towards the camera."""
    normal = np.cross(reflector.along, reflector.up)
    normal = normal / np.linalg.norm(normal)
    offset = -float(normal @ np.array(reflector.corner))
    side = 1.0 if float(normal @ T_world_cam[:3, 3]) + offset >= 0 else -1.0
    return side * np.array([*normal, offset])


def mirrored(plane: np.ndarray, T_world_cam: np.ndarray) -> np.ndarray:
    """Reflect a camera pose [4, 4] at a plane [4]; the result is left-handed."""
    reflection = np.eye(4)
    reflection[:3, :3] -= 2 * np.outer(plane[:3], plane[:3])
    reflection[:3, 3] = -2 * plane[3] * plane[:3]
    return reflection @ T_world_cam


def reflected_share(
    reflector: Reflector, intrinsics: np.ndarray, T_world_cam: np.ndarray, depth: np.ndarray, label: np.ndarray
) -> np.ndarray:
    """Return the share of each pixel's light that is reflected, [H, W] float32, 0 where the reflector is not seen.

    Args:
        reflector: the rectangle.
        intrinsics: [3, 3] px.
        T_world_cam: [4, 4] optical frame to world.
        depth: [H, W] metres of what is seen, 0 = far away.
        label: [H, W] class of what is seen.
    """
    height, width = depth.shape
    plane = facing_plane(reflector, T_world_cam)
    y, x = np.mgrid[0:height, 0:width]
    rays = np.linalg.inv(intrinsics) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    directions = T_world_cam[:3, :3] @ rays  # [3, N], unit along the optical axis
    eye = T_world_cam[:3, 3]
    towards = plane[:3] @ directions
    with np.errstate(divide="ignore", invalid="ignore"):
        z = -(plane[:3] @ eye + plane[3]) / towards
    hit = np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)
    inside = (hit > 1e-3) & _within(reflector, eye[:, None] + directions * hit)
    found = depth.ravel()
    inside &= (found == 0) | (found > hit - TOUCH_M)
    if reflector.label is not None:
        inside &= label.ravel() == reflector.label
    cosine = np.abs(towards) / np.linalg.norm(directions, axis=0)
    share = reflector.strength + (1 - reflector.strength) * (1 - np.clip(cosine, 0, 1)) ** 5
    return np.where(inside, share, 0.0).reshape(height, width).astype(np.float32)


def _within(reflector: Reflector, points: np.ndarray) -> np.ndarray:
    """Tell which points [3, N] of the plane lie in the rectangle."""
    local = points - np.array(reflector.corner)[:, None]
    along, up = np.array(reflector.along), np.array(reflector.up)
    s, t = along @ local / (along @ along), up @ local / (up @ up)
    return np.asarray((s >= 0) & (s <= 1) & (t >= 0) & (t <= 1))


def add_reflection(colour: np.ndarray, seen: np.ndarray, share: np.ndarray, blur_px: float) -> np.ndarray:
    """Mix what is reflected into a linear image [H, W, 3]; the reflector's edge is softened by half a pixel."""
    if blur_px > 0.1:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), blur_px))
    soft = np.asarray(cv2.GaussianBlur(share, (3, 3), 0.5))[..., None]
    soft = np.where(share[..., None] > 0, soft, 0.0)
    return np.asarray(colour * (1 - soft) + np.minimum(seen, 8.0) * soft, np.float32)
