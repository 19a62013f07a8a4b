"""Camera walks through a room: like a head or a small robot that looks at things nearby."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_core.data.scene import Item, Scene

Rng = np.random.Generator
_PLAIN = frozenset({"switch", "rug", "window", "curtain", "picture"})
CLEARANCE_M = 0.16


@dataclass(frozen=True)
class Walk:
    """Camera poses and one set of intrinsics."""

    T_world_cam: np.ndarray  # [N, 4, 4] float64, optical frame to world
    intrinsics: np.ndarray  # [3, 3] float64


def draw_intrinsics(rng: Rng, width: int, height: int) -> np.ndarray:
    """Draw pinhole intrinsics: horizontal field of view 50 to 80 degrees, centre off by up to 2 %."""
    focal = width / 2 / np.tan(np.deg2rad(float(rng.uniform(50.0, 80.0))) / 2)
    cx = (width - 1) / 2 + float(rng.uniform(-0.02, 0.02)) * width
    cy = (height - 1) / 2 + float(rng.uniform(-0.02, 0.02)) * height
    return np.array([[focal, 0, cx], [0, focal * float(rng.uniform(0.99, 1.01)), cy], [0, 0, 1.0]])


def look_at(eye: np.ndarray, target: np.ndarray, roll_rad: float) -> np.ndarray:
    """Return T_world_cam [4, 4] of an optical frame at ``eye`` looking at ``target``, rolled about its axis."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= max(1e-6, float(np.linalg.norm(right)))
    down = np.cross(forward, right)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    out = np.eye(4)
    out[:3, 0], out[:3, 1], out[:3, 2] = c * right + s * down, -s * right + c * down, forward
    out[:3, 3] = eye
    return out


def is_free(scene: Scene, point: np.ndarray, clearance: float = CLEARANCE_M) -> bool:
    """Tell whether a camera can be at ``point``: in the room and outside every obstacle."""
    if (point < clearance).any() or (point > np.array(scene.size) - clearance).any():
        return False
    boxes = scene.obstacles
    inside = (boxes[:, :3] < point + clearance) & (boxes[:, 3:] > point - clearance)
    return not bool(inside.all(1).any())


def _target_item(scene: Scene, rng: Rng, weights: dict[str, float]) -> Item | None:
    if not scene.items:
        return None
    weight = np.array([weights.get(i.label, 1.0) * (0.25 if i.label in _PLAIN else 1.0) for i in scene.items])
    return scene.items[int(rng.choice(len(scene.items), p=weight / weight.sum()))]


def _start(scene: Scene, rng: Rng, target: np.ndarray) -> np.ndarray | None:
    """Draw a free eye point 0.8 to 7.5 m from the target: a standing head, or a robot or a crouching person."""
    for _ in range(40):
        distance = float(np.exp(rng.uniform(np.log(0.8), np.log(7.5))))
        angle = float(rng.uniform(0, 2 * np.pi))
        eye = target + distance * np.array([np.cos(angle), np.sin(angle), 0.0])
        tall = float(rng.normal(1.6, 0.12) if rng.random() < 0.45 else rng.normal(1.15, 0.45))
        eye[2] = float(np.clip(tall, 0.25, min(1.95, scene.size[2] - 0.25)))
        flat = float(np.linalg.norm((target - eye)[:2]))
        pitch = np.rad2deg(np.arctan2(target[2] - eye[2], flat))
        if -55.0 < pitch < 28.0 and is_free(scene, eye):
            return eye
    return None


def draw_walk(
    scene: Scene, rng: Rng, count: int, weights: dict[str, float], width: int, height: int
) -> Walk | None:
    """Draw a short smooth walk of ``count`` poses, or None when the room is too full for this draw.

    Step length, turn rate and jitter vary between walks, so that neighbours overlap from nearly all to little.
    """
    item = _target_item(scene, rng, weights)
    if item is None:
        return None
    low, high = np.array(item.low), np.array(item.high)
    target = low + (high - low) * rng.uniform(0.2, 0.8, 3) + rng.normal(0, 0.25, 3)
    target[2] = np.clip(target[2], 0.0, scene.size[2])
    eye = _start(scene, rng, target)
    if eye is None:
        return None
    step = float(np.exp(rng.uniform(np.log(0.06), np.log(0.55))))
    heading = float(rng.uniform(0, 2 * np.pi))
    drift = float(rng.normal(0, 0.35)) * step / 0.2 * rng.normal(0, 1.0, 3) * np.array([1, 1, 0.4])
    roll, roll_rate = float(rng.normal(0, 8.0)), float(rng.normal(0, 2.5))
    poses = []
    for _ in range(count):
        poses.append(look_at(eye, target, np.deg2rad(roll)))
        moved = None
        for _ in range(8):
            length = step * float(rng.uniform(0.6, 1.4))
            ahead = eye + length * np.array([np.cos(heading), np.sin(heading), float(rng.normal(0, 0.12))])
            if is_free(scene, ahead) and np.linalg.norm((ahead - target)[:2]) > 0.35:
                moved = ahead
                break
            heading += float(rng.normal(0, 0.9))
        if moved is None:
            return None
        eye = moved
        target = target + drift * float(rng.uniform(0.5, 1.5)) + rng.normal(0, 0.03, 3)
        target[2] = np.clip(target[2], -0.2, scene.size[2])
        roll += roll_rate + float(rng.normal(0, 1.0))
        heading += float(rng.normal(0, 0.2))
    poses_array = np.stack(poses)
    pitch = np.rad2deg(np.arcsin(np.clip(poses_array[:, 2, 2], -1, 1)))
    if pitch.min() < -62 or pitch.max() > 35:
        return None
    return Walk(poses_array, draw_intrinsics(rng, width, height))
