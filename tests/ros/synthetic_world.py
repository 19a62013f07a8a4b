"""A room whose every pixel is known: images, depth, labels and poses from a formula, for tests of the node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 240
K = np.array([[260.0, 0.0, 159.5], [0.0, 260.0, 119.5], [0.0, 0.0, 1.0]])
HALF_SIZE = np.array([2.5, 1.3, 3.0])  # of the room, metres; x right, y down, z forward of the start pose
FACES = ("wall", "window", "ceiling", "floor", "door", "cabinet")  # -x, +x, -y, +y, -z, +z


@dataclass(frozen=True, eq=False)
class View:
    """One rendered view: rgb [H, W, 3] uint8, depth [H, W] float32 m, label [H, W] index into FACES."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    label: NDArray[np.int32]
    T_world_cam: NDArray[np.float64]
    stamp_ns: int


@lru_cache(maxsize=1)
def textures() -> tuple[NDArray[np.uint8], ...]:
    """Return one 512x512 RGB texture per face: blotches of several sizes, so corners can be tracked."""
    rng = np.random.default_rng(7)
    out = []
    for _ in FACES:
        texture = np.zeros((512, 512, 3), np.float64)
        for cells, weight in ((8, 0.5), (32, 0.6), (96, 0.6)):
            noise = rng.uniform(-1, 1, (cells, cells, 3))
            texture += weight * cv2.resize(noise, (512, 512), interpolation=cv2.INTER_NEAREST)
        out.append(np.clip(128 + 70 * texture, 0, 255).astype(np.uint8))
    return tuple(out)


def look(x: float, y: float, z: float, yaw_deg: float = 0.0) -> NDArray[np.float64]:
    """Return T_world_cam at a position, turned about the vertical axis."""
    a = np.deg2rad(yaw_deg)
    T = np.eye(4)
    T[:3, :3] = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    T[:3, 3] = (x, y, z)
    return T


def render(T_world_cam: NDArray[np.float64], stamp_ns: int) -> View:
    """Render a view by meeting each ray with the box."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u, float)], -1)
    directions = rays @ T_world_cam[:3, :3].T
    origin = T_world_cam[:3, 3]
    with np.errstate(divide="ignore"):
        exits = np.where(directions > 0, HALF_SIZE - origin, -HALF_SIZE - origin) / directions
    axis = exits.argmin(-1)
    depth = exits.min(-1)  # rays have z = 1 in the camera, so this is z-depth
    points = origin + directions * depth[..., None]
    sign = np.take_along_axis(directions, axis[..., None], -1)[..., 0] > 0
    label = (2 * axis + sign).astype(np.int32)
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for face, texture in enumerate(textures()):
        on = label == face
        others = [a for a in range(3) if a != face // 2]
        uv = (points[on][:, others] / HALF_SIZE[others] + 1) / 2 * 511
        index = np.clip(np.rint(uv), 0, 511).astype(int)
        rgb[on] = texture[index[:, 1], index[:, 0]]
    return View(rgb, depth.astype(np.float32), label, T_world_cam, stamp_ns)


def stereo(views: Sequence[View], baseline_m: float, late_ns: int = 0) -> list[View]:
    """Return what a second camera sees, this far to the right of each view's, with stamps that much later."""
    T = np.eye(4)
    T[0, 3] = baseline_m
    return [render(view.T_world_cam @ T, view.stamp_ns + late_ns) for view in views]


def stand(view: View, count: int, seed: int = 0) -> list[View]:
    """Return a view again and again, with the noise of a sensor, 10 Hz from its stamp on."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(count):
        noise = rng.integers(-2, 3, view.rgb.shape)
        rgb = np.clip(view.rgb.astype(int) + noise, 0, 255).astype(np.uint8)
        out.append(replace(view, rgb=rgb, stamp_ns=view.stamp_ns + i * 100_000_001))
    return out


def walk(count: int, step_m: float = 0.12, start_ns: int = 1_700_000_000_123_456_789) -> list[View]:
    """Return views of a walk sideways with a slight turn, 10 Hz, stamps with odd nanoseconds."""
    views = []
    for i in range(count):
        pose = look(-1.2 + step_m * i, 0.1 * np.sin(0.4 * i), -1.5 + 0.03 * i, yaw_deg=1.2 * i)
        views.append(render(pose, start_ns + i * 100_000_001))
    return views
