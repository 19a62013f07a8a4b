"""Rooms of coloured boxes, ray-cast in NumPy: exact colour, depth, labels and poses without files or OpenGL.

They are for tests and for a first run on a fresh machine. They show no real objects: what is trained on them alone
is of no use for real images (docs/training_data.md has rooms that are).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.classes import CLASS_ID
from lsm_core.data.views import PosedView
from lsm_core.types import Unit

Rng = np.random.Generator
Floats = NDArray[np.float64]
FURNITURE = ("box", "table", "cabinet", "bed", "sofa", "bookshelf")
SAMPLES = 3  # rays per pixel and axis; the middle one gives depth and label
EYE_HEIGHT_M = (1.1, 1.6)
STEP_M = (0.05, 0.12)  # between frames
FIELD_OF_VIEW_DEG = (58.0, 72.0)


@dataclass(frozen=True, eq=False)
class Boxes:
    """B axis-aligned boxes; the first one is the room, seen from inside.

    Attributes:
        low, high: [B, 3] corners, metres, world z up.
        colour: [B, 6, 3] of the faces (-x, +x, -y, +y, -z, +z) in [0, 1].
        pitch_m: [B, 6] size of the pattern's cells.
        label: [B, 6] int32 class of the faces.
    """

    low: Floats
    high: Floats
    colour: Floats
    pitch_m: Floats
    label: NDArray[np.int32]


def draw_boxes(rng: Rng) -> Boxes:
    """Draw a room of 3 to 5 m with five to eight boxes on its floor, away from its middle."""
    size = np.array([rng.uniform(3, 5), rng.uniform(3, 5), rng.uniform(2.4, 2.8)])
    low, high = [np.zeros(3)], [size]
    walls = [CLASS_ID["wall"]] * 4 + [CLASS_ID["floor"], CLASS_ID["ceiling"]]
    labels = [np.array(walls)]
    for _ in range(int(rng.integers(5, 9))):
        extent = rng.uniform((0.3, 0.3, 0.3), (1.0, 1.0, 1.4))
        angle = rng.uniform(0, 2 * np.pi)
        ring = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.72, 0.95) * size[:2] / 2
        corner = np.append(np.clip(size[:2] / 2 + ring - extent[:2] / 2, 0, size[:2] - extent[:2]), 0.0)
        low.append(corner)
        high.append(corner + extent)
        labels.append(np.full(6, CLASS_ID[FURNITURE[int(rng.integers(len(FURNITURE)))]]))
    count = len(low)
    return Boxes(
        np.stack(low),
        np.stack(high),
        rng.uniform(0.15, 0.95, (count, 1, 3)) * rng.uniform(0.75, 1.0, (count, 6, 1)),
        rng.uniform(0.15, 0.4, (count, 6)),
        np.stack(labels).astype(np.int32),
    )


def cast(boxes: Boxes, origin: Floats, directions: Floats) -> tuple[Floats, Floats, NDArray[np.int32]]:
    """Follow rays to the first surface.

    Args:
        boxes: the room and what is in it.
        origin: [3] inside the room, outside of its boxes.
        directions: [R, 3] with any length.

    Returns:
        Distance in lengths of the direction [R], colour [R, 3] in [0, 1], label [R].
    """
    with np.errstate(divide="ignore"):
        inverse = 1 / directions
    near, far = (boxes.low - origin)[:, None] * inverse, (boxes.high - origin)[:, None] * inverse  # [B, R, 3]
    first, last = np.minimum(near, far), np.maximum(near, far)
    entry, leave = first.max(-1), last.min(-1)  # [B, R]
    hit = (entry <= leave) & (entry > 0)
    distance = np.where(hit, entry, np.inf)
    distance[0] = leave[0]
    box = distance.argmin(0)
    rays = np.arange(len(directions))
    t = distance[box, rays]
    axis = np.where(box == 0, last[0].argmin(-1), first[box, rays].argmax(-1))
    forward = directions[rays, axis] > 0
    face = 2 * axis + np.where(box == 0, forward, ~forward)
    points = origin + directions * t[:, None]
    return t, _painted(boxes, points, box, face, axis), boxes.label[box, face]


def _painted(
    boxes: Boxes, points: Floats, box: NDArray[np.int64], face: NDArray[np.int64], axis: NDArray[np.int64]
) -> Floats:
    """Return colours of surface points: each face a tone with a chequered and a wavy pattern."""
    rays = np.arange(len(points))
    u, v = points[rays, (axis + 1) % 3], points[rays, (axis + 2) % 3]
    pitch = boxes.pitch_m[box, face]
    chequer = (np.floor(u / pitch) + np.floor(v / pitch)) % 2
    waves = np.sin(5.1 * u + 3.0 * box) * np.sin(4.3 * v + 2.0 * face)
    return np.clip(boxes.colour[box, face] * (0.7 + 0.25 * chequer + 0.15 * waves)[:, None], 0, 1)


class BoxRoom:
    """A walk of frames through one drawn room, rendered when asked for.

    Args:
        seed: decides everything.
        frames: of the walk.
        height, width: of the images, pixels.
    """

    unit: Unit = "metric"

    def __init__(self, seed: int, frames: int = 12, height: int = 64, width: int = 64) -> None:
        self.name, self.height, self.width = f"boxes{seed}", height, width
        rng = np.random.default_rng((seed, 77))
        self.boxes = draw_boxes(rng)
        self.poses = _walk(self.boxes, rng, frames)
        focal = width / 2 / np.tan(np.radians(rng.uniform(*FIELD_OF_VIEW_DEG)) / 2)
        self.K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], np.float32)
        self._views: dict[int, PosedView] = {}

    def __len__(self) -> int:
        return len(self.poses)

    def usable(self) -> list[int]:
        """Return all frames."""
        return list(range(len(self)))

    def view(self, index: int) -> PosedView:
        """Return a frame with depth (metres) and labels."""
        if index not in self._views:
            self._views[index] = self._rendered(index)
        return self._views[index]

    @cached_property
    def _directions(self) -> Floats:
        """Rays [H, W, SAMPLES, SAMPLES, 3] of the camera, z = 1."""
        parts = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
        y = (np.arange(self.height)[:, None] + parts)[:, None, :, None]
        x = (np.arange(self.width)[:, None] + parts)[None, :, None, :]
        y, x = np.broadcast_arrays(y, x)
        K = self.K.astype(np.float64)
        return np.stack(((x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)), -1)

    def _rendered(self, index: int) -> PosedView:
        T = self.poses[index]
        rays = self._directions @ T[:3, :3].T
        z, colour, label = cast(self.boxes, T[:3, 3], rays.reshape(-1, 3))
        shape, middle = rays.shape[:-1], SAMPLES // 2
        rgb = colour.reshape(*shape, 3).mean((2, 3))
        return PosedView(
            np.rint(255 * rgb).astype(np.uint8),
            self.K,
            T,
            z.reshape(shape)[:, :, middle, middle].astype(np.float32),
            label.reshape(shape)[:, :, middle, middle].copy(),
            name=f"{self.name}/{index:03d}",
        )


def _walk(boxes: Boxes, rng: Rng, frames: int) -> Floats:
    """Return T_world_cam [N, 4, 4] of a walk around the middle of the room, looking at one of its boxes."""
    middle = boxes.high[0, :2] / 2
    target = (boxes.low + boxes.high)[int(rng.integers(1, len(boxes.low)))] / 2
    away = middle - target[:2]
    away /= max(float(np.linalg.norm(away)), 1e-6)
    side = np.array([-away[1], away[0]])
    height, step = rng.uniform(*EYE_HEIGHT_M), rng.uniform(*STEP_M)
    poses = []
    for k in range(frames):
        along = (k - frames / 2) * step
        place = np.append(middle + 0.25 * away + 0.8 * along * side, height + 0.1 * np.sin(0.7 * k))
        poses.append(_looking(place, target + np.append(0.5 * along * side, 0.0)))
    return np.stack(poses)


def _looking(place: Floats, target: Floats) -> Floats:
    """Return T_world_cam of a camera without roll; world z up."""
    z = (target - place) / np.linalg.norm(target - place)
    x = np.cross(z, (0.0, 0.0, 1.0))
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = np.stack((x, np.cross(z, x), z), 1), place
    return T


def box_rooms(count: int, seed: int = 0, frames: int = 12, height: int = 64, width: int = 64) -> list[BoxRoom]:
    """Return rooms; equal arguments give equal rooms."""
    return [BoxRoom(1000 * seed + k, frames, height, width) for k in range(count)]
