"""What hangs on walls: pictures, posters, screens, clocks, switches, lamps."""

from __future__ import annotations

import numpy as np

from lsm_core.data import textures as tex
from lsm_core.data.furniture import FurniturePool
from lsm_core.data.openings import Wall
from lsm_core.data.placement import place_model
from lsm_core.data.scene import NO_DEPTH, Reflector, SceneBuilder, label_id, triple
from lsm_core.data.shell import Shell

Rng = np.random.Generator


class WallDecorator:
    """Hangs things on the walls of a furnished room."""

    def __init__(self, builder: SceneBuilder, rng: Rng, pool: FurniturePool, shell: Shell) -> None:
        self.builder, self.rng, self.pool, self.shell = builder, rng, pool, shell

    def hang(self, count: int) -> None:
        """Hang pictures, whiteboards, clocks, switches and screens."""
        for _ in range(count):
            wall = self.shell.walls[int(self.rng.integers(len(self.shell.walls)))]
            pick = self.rng.random()
            if pick < 0.62:
                self._picture(wall)
            elif pick < 0.69:
                self._mirror(wall)
            elif pick < 0.8:
                self._flat_tv(wall)
            else:
                self._mounted(
                    wall, str(self.rng.choice(["switch", "clock", "lamp", "void", "towel", "tv", "radiator"]))
                )

    def _hang(
        self, wall: Wall, size: tuple[float, float], height: float
    ) -> tuple[float, np.ndarray, np.ndarray] | None:
        if wall.length < size[0] + 0.1:
            return None
        t = float(self.rng.uniform(size[0] / 2 + 0.03, wall.length - size[0] / 2 - 0.03))
        a, b = wall.point(t - size[0] / 2, 0.0, height), wall.point(t + size[0] / 2, 0.06, height + size[1])
        low, high = np.minimum(a, b), np.maximum(a, b)
        return None if self.builder.collides(low, high, 0.02) else (t, low, high)

    def _picture(self, wall: Wall) -> None:
        wide = float(self.rng.choice([0.25, 0.45, 0.7, 1.1], p=[0.3, 0.3, 0.27, 0.13])) * float(
            self.rng.uniform(0.8, 1.2)
        )
        tall = wide * float(self.rng.choice([0.66, 0.75, 1.0, 1.35]))
        bottom = float(self.rng.uniform(0.5, 1.6))
        if bottom + tall > self.shell.size[2] - 0.1:
            return
        spot = self._hang(wall, (wide, tall), bottom)
        if spot is None:
            return
        t, low, high = spot
        image = tex.painting(self.rng)
        if self.rng.random() < 0.12:
            image = tex.plain(self.rng, np.array([0.92, 0.92, 0.93]))  # whiteboard
        layer = self.builder.texture(image)
        border = 0.0 if self.rng.random() < 0.25 else float(self.rng.uniform(0.01, 0.05))
        shade = (
            tex.wood_colour(self.rng) if self.rng.random() < 0.5 else np.full(3, self.rng.choice([0.05, 0.9, 0.5]))
        )
        picture = label_id("picture")
        if border > 0:
            self.builder.box(
                wall.point(t, 0.012, bottom + tall / 2),
                np.array([wide, 0.02, tall]),
                wall.yaw,
                picture,
                colour=triple(shade),
            )
        left, right = t - wide / 2 + border, t + wide / 2 - border
        corner = wall.point(left, 0.026, bottom + tall - border)
        self.builder.quad(
            corner,
            wall.point(right, 0.026, bottom + tall - border) - corner,
            np.array([0, 0, -(tall - 2 * border)]),
            picture,
            layer=layer,
            gloss=float(self.rng.choice([0.0, 0.3])),
        )
        self.builder.add_item("picture", low, high)

    def _mirror(self, wall: Wall) -> None:
        """Hang a mirror: it has no name and no depth, since what it shows is not where it seems to be."""
        wide, tall = float(self.rng.uniform(0.35, 1.1)), float(self.rng.uniform(0.5, 1.7))
        bottom = float(self.rng.uniform(0.1, 1.1))
        spot = self._hang(wall, (wide, tall), bottom)
        if spot is None or bottom + tall > self.shell.size[2] - 0.1:
            return
        t, low, high = spot
        shade = tex.wood_colour(self.rng) if self.rng.random() < 0.5 else np.full(3, self.rng.choice([0.05, 0.85]))
        middle, size = wall.point(t, 0.01, bottom + tall / 2), np.array([wide, 0.02, tall])
        self.builder.box(middle, size, wall.yaw, label_id("void"), colour=triple(shade))
        edge = float(self.rng.uniform(0.004, 0.05))
        corner = wall.point(t - wide / 2 + edge, 0.024, bottom + edge)
        along = wall.point(t + wide / 2 - edge, 0.024, bottom + edge) - corner
        up = np.array([0.0, 0.0, tall - 2 * edge])
        grey = (0.3, 0.31, 0.31)
        self.builder.quad(corner, along, up, label_id("void") + NO_DEPTH, colour=grey)
        strength = float(self.rng.uniform(0.85, 0.97))
        self.builder.reflectors.append(Reflector(triple(corner), triple(along), triple(up), strength))
        self.builder.add_item("void", low, high)

    def _flat_tv(self, wall: Wall) -> None:
        wide = float(self.rng.uniform(0.6, 1.4))
        tall = wide * 0.58
        bottom = float(self.rng.uniform(0.7, 1.3))
        spot = self._hang(wall, (wide, tall), bottom)
        if spot is None or bottom + tall > self.shell.size[2] - 0.1:
            return
        t, low, high = spot
        label = label_id("tv")
        self.builder.box(
            wall.point(t, 0.03, bottom + tall / 2),
            np.array([wide, 0.05, tall]),
            wall.yaw,
            label,
            colour=(0.03, 0.03, 0.035),
            gloss=0.6,
        )
        if self.rng.random() < 0.35:
            layer = self.builder.texture(tex.painting(self.rng))
            corner = wall.point(t - wide / 2 + 0.02, 0.057, bottom + tall - 0.02)
            self.builder.quad(
                corner,
                wall.point(t + wide / 2 - 0.02, 0.057, bottom + tall - 0.02) - corner,
                np.array([0, 0, -(tall - 0.04)]),
                label,
                layer=layer,
                emission=0.35,
            )
        else:
            corner = wall.point(t - wide / 2 + 0.015, 0.056, bottom + 0.015)
            along = wall.point(t + wide / 2 - 0.015, 0.056, bottom + 0.015) - corner
            up, strength = (0.0, 0.0, tall - 0.03), float(self.rng.uniform(0.03, 0.1))
            blur = float(self.rng.choice([0.0, 1.5]))
            self.builder.reflectors.append(Reflector(triple(corner), triple(along), up, strength, blur, label))
        self.builder.add_item("tv", low, high)

    def _mounted(self, wall: Wall, label: str) -> None:
        entries = [
            e
            for e in self.pool.entries(label)
            if e.elevation_m > 0.05 and e.elevation_m + e.height_m < self.shell.size[2] - 0.02 and e.depth_m < 0.5
        ]
        if not entries:
            return
        model = self.pool.load(entries[int(self.rng.integers(len(entries)))])
        if model is None or wall.length < model.size[0] + 0.1:
            return
        t = float(self.rng.uniform(model.size[0] / 2, wall.length - model.size[0] / 2))
        at = wall.point(t, model.size[1] / 2 + 0.003, model.entry.elevation_m)
        place_model(self.builder, self.rng, model, at, wall.yaw, self.shell.size)
