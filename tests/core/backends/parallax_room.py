"""A room whose depth is known: two walls, a floor and a box, textured, seen by a camera anywhere in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lsm_core.backends.tiny_dense_matches import GridView

HEIGHT, WIDTH = 72, 96  # output grid; pictures have twice that
K = np.array([[85.0, 0, 47.5], [0, 85.0, 35.5], [0, 0, 1]])
TEXTURE_M = 4.0  # side of the texture, repeated


@dataclass(frozen=True)
class Surface:
    """A rectangle: corner, two sides at right angles (metres), and which texture it carries."""

    corner: tuple[float, float, float]
    sides: tuple[tuple[float, float, float], tuple[float, float, float]]
    seed: int


ROOM = (
    Surface((-6, -4, 3.2), ((12, 0, 0), (0, 8, 0)), 1),  # back wall
    Surface((-6, 1.1, 0.1), ((12, 0, 0), (0, 0, 3.1)), 2),  # floor
    Surface((1.5, -4, 0.1), ((0, 0, 3.1), (0, 8, 0)), 3),  # right wall
    Surface((-0.9, 0.1, 2.0), ((0.9, 0, 0), (0, 1.0, 0)), 4),  # front of a box
)


def moved(tx: float = 0.3, ty: float = 0.04, tz: float = -0.05, turn_deg: float = -5.0) -> NDArray[np.float64]:
    """A T_1_0 that keeps most of the room in view."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [1.0, turn_deg, 2.0], degrees=True).as_matrix()
    T[:3, 3] = [tx, ty, tz]
    return T


def see(T_cam_room: NDArray[np.float64], plain: tuple[int, ...] = ()) -> GridView:
    """The room from a camera, with its true depth.

    Args:
        T_cam_room: [4, 4].
        plain: seeds of the surfaces that show no texture.
    """
    grey, _ = _draw(T_cam_room, 2, plain)
    _, depth = _draw(T_cam_room, 1, plain)
    return GridView(grey, K, depth)


def photograph(
    T_cam_room: NDArray[np.float64], times: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """An RGB image so many times the size of the output grid, its intrinsics and its depth."""
    grey, depth = _draw(T_cam_room, times, ())
    return np.repeat(grey[..., None], 3, axis=-1), intrinsics(times), depth


def bent(depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depth as a network in an unfamiliar room gives it: leaning, too flat, in a unit of its own."""
    height, width = depth.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    log_depth = np.log(depth)
    return np.exp(log_depth - 0.4 * (log_depth - log_depth.mean()) + 0.15 * x - 0.12 * y + 0.1)


def intrinsics(times: int) -> NDArray[np.float64]:
    """K of an image so many times the size of the output grid."""
    out = np.diag([times, times, 1.0]) @ K
    out[:2, 2] += (times - 1) / 2
    return out


def _draw(
    T_cam_room: NDArray[np.float64], times: int, plain: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cast a ray per pixel; return the picture and the depth along z."""
    height, width = times * HEIGHT, times * WIDTH
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    rays = np.dstack((x, y, np.ones_like(x))) @ np.linalg.inv(intrinsics(times)).T
    R, t = T_cam_room[:3, :3], T_cam_room[:3, 3]
    picture, depth = np.zeros((height, width), np.uint8), np.full((height, width), np.inf)
    for surface in ROOM:
        corner, (u, v) = R @ surface.corner + t, (R @ side for side in np.array(surface.sides))
        normal = np.cross(u, v)
        z = (corner @ normal) / (rays @ normal)
        offset = rays * z[..., None] - corner
        a, b = (offset @ side / np.linalg.norm(side) for side in (u, v))  # metres along the sides
        hit = (z > 0.05) & (z < depth) & (a >= 0) & (b >= 0) & (a <= np.linalg.norm(u)) & (b <= np.linalg.norm(v))
        depth = np.where(hit, z, depth)
        shown = 128 if surface.seed in plain else _read(_texture(surface.seed), a, b)
        picture = np.where(hit, shown, picture)
    return picture.astype(np.uint8), depth


def _texture(seed: int) -> NDArray[np.uint8]:
    """Smooth noise at several scales, [512, 512]."""
    rng = np.random.default_rng(seed)
    total = np.zeros((512, 512), np.float32)
    for cells in (16, 40, 100):
        total += cv2.resize(
            rng.random((cells, cells)).astype(np.float32), (512, 512), interpolation=cv2.INTER_CUBIC
        )
    return (255 * (total - total.min()) / np.ptp(total)).astype(np.uint8)


def _read(texture: NDArray[np.uint8], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Read a texture at metres (a, b)."""
    x, y = ((512 * (m / TEXTURE_M % 1)).astype(np.float32) for m in (a, b))
    return np.asarray(cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8)
