"""Walls and what is set into them: windows with the outside behind, curtains, doors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lsm_core.data import textures as tex
from lsm_core.data.furniture import FurniturePool
from lsm_core.data.placement import put_model
from lsm_core.data.scene import NO_DEPTH, Light, Reflector, SceneBuilder, label_id, triple

Rng = np.random.Generator


@dataclass(frozen=True)
class Wall:
    """A wall from ``start`` towards ``along`` (unit); ``inward`` is the unit normal into the room."""

    start: tuple[float, float]
    along: tuple[float, float]
    inward: tuple[float, float]
    length: float

    def point(self, t: float, inset: float, z: float) -> np.ndarray:
        """Return the world point at ``t`` metres along, ``inset`` metres into the room, height z."""
        s, a, n = np.array(self.start), np.array(self.along), np.array(self.inward)
        return np.array([*(s + t * a + inset * n), z], np.float32)

    @property
    def yaw(self) -> float:
        """Return the angle that turns a model's back to this wall."""
        return float(np.arctan2(self.inward[0], -self.inward[1]))


@dataclass(frozen=True)
class Opening:
    """A rectangular hole in a wall, metres along and above the floor."""

    left: float
    right: float
    bottom: float
    top: float


def add_window(
    builder: SceneBuilder, rng: Rng, pool: FurniturePool, wall: Wall, height: float, daylight: float
) -> tuple[Opening, Light] | None:
    """Cut a window, put a model or a plain frame in it, the outside behind it, maybe curtains."""
    entries = [
        e
        for e in pool.entries("window")
        if e.elevation_m + e.height_m < height - 0.05 and e.width_m < wall.length - 0.5
    ]
    use_model = bool(entries) and rng.random() < 0.6
    if use_model:
        entry = entries[int(rng.integers(len(entries)))]
        width, tall, sill = entry.width_m, entry.height_m, max(0.02, entry.elevation_m)
    else:
        width = float(rng.uniform(0.6, min(2.6, max(0.7, wall.length - 0.6))))
        sill = float(rng.uniform(0.3, 1.1))
        tall = float(rng.uniform(0.8, max(0.85, min(1.8, height - sill - 0.15))))
    if sill + tall > height - 0.05 or width > wall.length - 0.3:
        return None
    left = float(rng.uniform(0.15, wall.length - width - 0.15))
    hole = Opening(left + 0.03, left + width - 0.03, sill + 0.03, sill + tall - 0.03)
    low = wall.point(left, 0.0, sill)
    high = wall.point(left + width, 0.12, sill + tall)
    box = np.minimum(low, high), np.maximum(low, high)
    if builder.collides(*box, margin=0.05):
        return None
    centre_t = left + width / 2
    if use_model:
        model = pool.load(entry)
        if model is not None:
            put_model(builder, rng, model, wall.point(centre_t, 0.0, sill), wall.yaw, recolour=0.1)
    else:
        _frame(builder, rng, wall, hole)
    builder.add_item("window", *box)
    _outside(builder, rng, wall, hole, daylight)
    drawn = rng.random()
    if drawn < 0.4:
        _curtains(builder, rng, wall, hole, height)
    elif drawn < 0.55:
        _blinds(builder, rng, wall, hole)
    if rng.random() < 0.5:
        pane = wall.point(hole.left, -0.07, hole.bottom)
        across = wall.point(hole.right, -0.07, hole.bottom) - pane
        up = (0.0, 0.0, hole.top - hole.bottom)
        strength = float(rng.uniform(0.03, 0.12))
        builder.reflectors.append(Reflector(triple(pane), triple(across), up, strength))
    light = Light(
        triple(wall.point(centre_t, -0.1, sill + tall * 0.6)),
        (wall.inward[0] * 0.9, wall.inward[1] * 0.9, -0.43),
        triple(daylight * width * tall * np.array([0.95, 1.0, 1.08])),
        max(0.4, (width + tall) / 3),
        1.0,
        True,
    )
    return hole, light


def _frame(builder: SceneBuilder, rng: Rng, wall: Wall, hole: Opening) -> None:
    """Add a plain window frame with mullions in the reveal."""
    shade = float(rng.choice([0.9, 0.85, 0.35, 0.5]))
    colour = (shade, shade * 0.97, shade * 0.92)
    bar = float(rng.uniform(0.03, 0.07))
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    yaw = wall.yaw
    for k in range(columns + 1):
        t = hole.left + (hole.right - hole.left) * k / columns
        builder.box(
            wall.point(t, -0.08, (hole.bottom + hole.top) / 2),
            np.array([bar, 0.05, hole.top - hole.bottom]),
            yaw,
            label_id("window"),
            colour=colour,
        )
    for k in range(rows + 1):
        z = hole.bottom + (hole.top - hole.bottom) * k / rows
        builder.box(
            wall.point((hole.left + hole.right) / 2, -0.08, z),
            np.array([hole.right - hole.left, 0.05, bar]),
            yaw,
            label_id("window"),
            colour=colour,
        )
    if rng.random() < 0.6:
        builder.box(
            wall.point((hole.left + hole.right) / 2, 0.05, hole.bottom - 0.02),
            np.array([hole.right - hole.left + 0.1, 0.25, 0.03]),
            yaw,
            label_id("window"),
            colour=(0.85, 0.84, 0.8),
        )


def _outside(builder: SceneBuilder, rng: Rng, wall: Wall, hole: Opening, daylight: float) -> None:
    """Add the view through a window: bright, far, without depth."""
    distance = float(rng.uniform(5.0, 14.0))
    reach = distance * 3.0
    layer = builder.texture(tex.outdoors(rng))
    corner = wall.point((hole.left + hole.right) / 2 - reach, -distance, -distance * 0.9)
    across = wall.point((hole.left + hole.right) / 2 + reach, -distance, -distance * 0.9) - corner
    # the texture's first row is its top: start uv at the top by flipping v
    builder.quad(
        corner + np.array([0, 0, distance * 2.6]),
        across,
        np.array([0, 0, -distance * 2.6]),
        label_id("window") + NO_DEPTH,
        layer=layer,
        emission=max(0.15, daylight * 0.45),
    )


def _curtains(builder: SceneBuilder, rng: Rng, wall: Wall, hole: Opening, height: float) -> None:
    """Hang wavy curtains beside (or partly over) a window."""
    top = min(height - 0.02, hole.top + float(rng.uniform(0.05, 0.3)))
    bottom = 0.02 if rng.random() < 0.6 else max(0.02, hole.bottom - 0.15)
    layer = builder.texture(tex.fabric(rng, tex.muted_colour(rng)))
    wide = float(rng.uniform(0.15, 0.5)) * (hole.right - hole.left)
    sides = [(hole.left - 0.15, hole.left - 0.15 + wide), (hole.right + 0.15 - wide, hole.right + 0.15)]
    if rng.random() < 0.2:
        sides = [(hole.left - 0.1, hole.right + 0.1)]
    period, depth = float(rng.uniform(0.08, 0.2)), float(rng.uniform(0.015, 0.05))
    for left, right in sides:
        left, right = max(0.01, left), min(wall.length - 0.01, right)
        if right - left < 0.05:
            continue
        ts = np.linspace(left, right, max(4, int((right - left) / period * 6)))
        for a, b in pairwise(ts):
            pa = wall.point(a, 0.09 + depth * np.sin(2 * np.pi * a / period), bottom)
            pb = wall.point(b, 0.09 + depth * np.sin(2 * np.pi * b / period), bottom)
            builder.quad(
                pa,
                pb - pa,
                np.array([0, 0, top - bottom]),
                label_id("curtain"),
                layer=layer,
                tile_m=0.6,
                offset=(a / 0.6, 0.0),
            )
        low, high = wall.point(left, 0.0, bottom), wall.point(right, 0.15, top)
        builder.add_item("curtain", np.minimum(low, high), np.maximum(low, high))


def _blinds(builder: SceneBuilder, rng: Rng, wall: Wall, hole: Opening) -> None:
    """Hang horizontal slats before a window, drawn down part of the way."""
    pitch, tilt = float(rng.uniform(0.03, 0.06)), float(rng.uniform(0.2, 1.2))
    shade = float(rng.choice([0.9, 0.75, 0.4]))
    bottom = hole.bottom + (hole.top - hole.bottom) * float(rng.choice([0.0, 0.0, 0.3, 0.6]))
    half = 0.5 * pitch
    across = wall.point(hole.right, 0.0, 0.0) - wall.point(hole.left, 0.0, 0.0)
    for z in np.arange(bottom + half, hole.top, pitch):
        corner = wall.point(hole.left, 0.03 - half * np.cos(tilt), z - half * np.sin(tilt))
        over = wall.point(hole.left, 0.03 + half * np.cos(tilt), z + half * np.sin(tilt)) - corner
        builder.quad(corner, across, over, label_id("curtain"), colour=(shade, shade * 0.98, shade * 0.94))
    low, high = wall.point(hole.left, 0.0, bottom), wall.point(hole.right, 0.06, hole.top)
    builder.add_item("curtain", np.minimum(low, high), np.maximum(low, high))


def add_door(builder: SceneBuilder, rng: Rng, pool: FurniturePool, wall: Wall, height: float) -> None:
    """Set a closed door into a wall and keep the floor before it free."""
    entries = [e for e in pool.entries("door") if e.height_m < height - 0.05 and e.width_m < wall.length - 0.3]
    if not entries:
        return
    entry = entries[int(rng.integers(len(entries)))]
    model = pool.load(entry)
    if model is None:
        return
    for _ in range(6):
        t = float(rng.uniform(entry.width_m / 2 + 0.1, wall.length - entry.width_m / 2 - 0.1))
        low, high = (
            wall.point(t - entry.width_m / 2, 0.0, 0.0),
            wall.point(t + entry.width_m / 2, 0.12, entry.height_m),
        )
        box = np.minimum(low, high), np.maximum(low, high)
        if builder.collides(*box, margin=0.05):
            continue
        shift = float(rng.uniform(-0.02, 0.03))
        put_model(builder, rng, model, wall.point(t, shift, 0.0), wall.yaw, recolour=0.5)
        backing = wall.point(t - entry.width_m / 2 + 0.02, 0.004, 0.0)
        builder.quad(
            backing,
            wall.point(t + entry.width_m / 2 - 0.02, 0.004, 0.0) - backing,
            np.array([0, 0, entry.height_m - 0.02]),
            label_id("door"),
            colour=triple(tex.wall_colour(rng)),
        )
        builder.add_item("door", *box)
        far = wall.point(t + entry.width_m / 2, 0.7, 1.2)
        keep = np.minimum(low, far), np.maximum(low, far)
        builder.obstacles.append((*(float(v) for v in keep[0][:2]), 0.0, *(float(v) for v in keep[1][:2]), 1.2))
        return
