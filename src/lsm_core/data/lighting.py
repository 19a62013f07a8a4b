"""The light of a room: sun through a window, spots, and ambient light that goes with them."""

from __future__ import annotations

import numpy as np

from lsm_core.data.scene import Light, Scene, SceneBuilder, label_id, triple
from lsm_core.data.shaders import MAX_LIGHTS
from lsm_core.data.shell import Shell

Rng = np.random.Generator
SUN_SHARE = 0.35  # of the bright rooms with a window
SPOT_SHARE = 0.3
SUN_DISTANCE_M = 4.5  # nearer than the view outside, so that only walls and frames cast its shadow


def sun_through(rng: Rng, window: Light) -> Light:
    """Return a sun that shines through a window: hard shadows, a bright patch on the floor or a wall.

    Args:
        window: the soft light of the window; its position and direction tell where the opening is.
    """
    inward = np.array([window.direction[0], window.direction[1], 0.0])
    inward /= np.linalg.norm(inward)
    turn = np.deg2rad(float(rng.uniform(-50, 50)))
    c, s = np.cos(turn), np.sin(turn)
    flat = np.array([c * inward[0] - s * inward[1], s * inward[0] + c * inward[1]])
    elevation = np.deg2rad(float(rng.uniform(15, 55)))
    direction = np.array([*(np.cos(elevation) * flat), -np.sin(elevation)])
    position = np.array(window.position) - SUN_DISTANCE_M * direction
    colour = np.array([1.0, 0.93, 0.8]) * float(rng.uniform(30, 110))
    return Light(triple(position), triple(direction), triple(colour), 0.05, 0.0, True)


def track_spots(builder: SceneBuilder, rng: Rng, shell: Shell) -> tuple[Light, ...]:
    """Hang a ceiling rail with two or three spots that point at walls and tables."""
    width, depth, height = shell.size
    lengthwise = rng.random() < 0.5
    across = float(rng.uniform(0.25, 0.75)) * (depth if lengthwise else width)
    span = (width if lengthwise else depth) * np.sort(rng.uniform(0.1, 0.9, 2))

    def at(t: float, z: float) -> np.ndarray:
        return np.array([t, across, z] if lengthwise else [across, t, z])

    lamp, shade = label_id("lamp"), float(rng.choice([0.04, 0.9]))
    builder.tube(
        np.stack([at(span[0], height - 0.03), at(span[1], height - 0.03)]), 0.015, lamp, colour=(shade,) * 3
    )
    tone = np.array([1.0, 0.88, 0.7]) if rng.random() < 0.6 else np.array([1.0, 0.97, 0.93])
    spots = []
    for t in rng.uniform(span[0], span[1], int(rng.integers(2, 4))):
        start = at(float(t), height - 0.12)
        aim = np.array([*(rng.uniform(0.05, 0.95, 2) * [width, depth]), rng.uniform(0.0, 1.6)])
        direction = (aim - start) / np.linalg.norm(aim - start)
        builder.tube(
            np.stack([start - 0.05 * direction, start + 0.08 * direction]), 0.035, lamp, colour=(shade,) * 3
        )
        power = float(rng.uniform(4, 12))
        sharp = float(rng.uniform(4, 18))
        spots.append(
            Light(triple(start + 0.1 * direction), triple(direction), triple(power * tone), 0.1, sharp, True)
        )
    return tuple(spots)


def light_room(builder: SceneBuilder, rng: Rng, shell: Shell, ceiling: tuple[Light, ...], power: float) -> Scene:
    """Add sun and spots, choose ambient light, and freeze the scene.

    Args:
        builder: holds the furnished room.
        rng: source of every choice.
        shell: its walls and windows.
        ceiling: the light of the ceiling lamps.
        power: their strength, 0 = switched off.
    """
    daylight = shell.daylight if shell.lights else 0.0
    lights = [*shell.lights, *ceiling]
    contrast = 1.0
    if rng.random() < SPOT_SHARE:
        lights += track_spots(builder, rng, shell)
        contrast = float(rng.uniform(0.3, 0.9))
    if shell.lights and daylight > 0.5 and rng.random() < SUN_SHARE:
        lights.append(sun_through(rng, shell.lights[int(rng.integers(len(shell.lights)))]))
        contrast = float(rng.uniform(0.4, 1.0))
    level = float(rng.uniform(0.15, 0.6)) * contrast * (0.35 * power + 0.5 * daylight + 0.15)
    warm = np.array([1.0, 0.95, 0.88]) if power > daylight else np.array([0.95, 0.98, 1.0])
    top = level * warm
    bottom = level * float(rng.uniform(0.35, 0.8)) * np.array([1.0, 0.92, 0.84])
    strongest = sorted(lights, key=lambda item: -sum(item.colour))[:MAX_LIGHTS]
    return builder.build(tuple(strongest), shell.size, triple(top), triple(bottom))
