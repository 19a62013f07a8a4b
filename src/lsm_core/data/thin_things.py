"""Thin structures made of tubes: cantilever chairs, stands, wire shelves, pipes, cables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lsm_core.data import textures as tex
from lsm_core.data.scene import SceneBuilder, label_id, rotation_z, triple
from lsm_core.data.shell import Shell

Rng = np.random.Generator
Colour = tuple[float, float, float]


def _metal(rng: Rng) -> Colour:
    shade = float(rng.choice([0.05, 0.6, 0.75, 0.88]))
    return (shade, shade, min(0.95, shade * 1.02))


class ThinThings:
    """Adds thin structures to a furnished room; every draw comes from the generator it is given."""

    def __init__(self, builder: SceneBuilder, rng: Rng, shell: Shell) -> None:
        self.builder, self.rng, self.shell = builder, rng, shell

    def scatter(self) -> None:
        """Add a few kinds, each at random."""
        chances: tuple[tuple[float, Callable[[], None]], ...] = (
            (0.4, self.chairs),
            (0.3, self.stand),
            (0.25, self.wire_shelf),
            (0.35, self.pipes),
            (0.5, self.cables),
        )
        for chance, add in chances:
            if self.rng.random() < chance:
                add()

    def _spot(self, size: tuple[float, float, float], attempts: int = 12) -> np.ndarray | None:
        """Find free floor for a box of a given extent, or None."""
        width, depth, height = self.shell.size
        half = np.array([size[0] / 2, size[1] / 2, 0.0])
        if size[2] > height - 0.05 or min(width, depth) < 2 * max(half) + 0.3:
            return None
        for _ in range(attempts):
            at = np.array(
                [self.rng.uniform(half[0], width - half[0]), self.rng.uniform(half[1], depth - half[1]), 0]
            )
            if not self.builder.collides(at - half, at + half + np.array([0, 0, size[2]]), 0.02):
                return at
        return None

    def chairs(self) -> None:
        """Stand a row of equal cantilever chairs with tube frames: bent tube, thin seat and back."""
        metal, colour = _metal(self.rng), triple(tex.muted_colour(self.rng) * self.rng.uniform(0.08, 1.0))
        count, yaw = int(self.rng.integers(1, 5)), float(self.rng.integers(4)) * np.pi / 2
        first = self._spot((0.6, 0.6, 0.85))
        if first is None:
            return
        step = rotation_z(yaw) @ np.array([0.62, 0.0, 0.0])
        for k in range(count):
            at = first + k * step
            low, high = at - np.array([0.3, 0.3, 0]), at + np.array([0.3, 0.3, 0.85])
            outside = (low[:2] < 0).any() or (high[:2] > self.shell.size[:2]).any()
            if outside or self.builder.collides(low, high, -0.01):
                return
            self._chair(at, yaw + float(self.rng.normal(0, 0.12)), metal, colour)
            self.builder.add_item("chair", low, high)

    def _chair(self, at: np.ndarray, yaw: float, metal: Colour, colour: Colour) -> None:
        chair, turn = label_id("chair"), rotation_z(yaw)
        for x in (-0.22, 0.22):
            path = [[x, 0.22, 0.84], [x, 0.2, 0.45], [x, -0.2, 0.44], [x, -0.22, 0.02], [x, 0.22, 0.02]]
            self.builder.tube(np.array(path) @ turn.T + at, 0.012, chair, colour=metal, gloss=0.4)
        cross = np.array([[-0.22, 0.22, 0.02], [0.22, 0.22, 0.02]])
        self.builder.tube(cross @ turn.T + at, 0.012, chair, colour=metal, gloss=0.4)
        for centre, size in (((0, 0, 0.455), (0.43, 0.4, 0.03)), ((0, 0.21, 0.7), (0.43, 0.025, 0.24))):
            self.builder.box(at + turn @ np.array(centre), np.array(size), yaw, chair, colour=colour, gloss=0.1)

    def stand(self) -> None:
        """Stand a floor lamp, a coat rack or a clothes rail."""
        kind = int(self.rng.integers(3))
        span = (1.1, 0.5, 1.6) if kind == 2 else (0.45, 0.45, 1.85)
        at = self._spot(span)
        if at is None:
            return
        tall, metal = float(self.rng.uniform(1.4, span[2])), _metal(self.rng)
        label = label_id("lamp") if kind == 0 else label_id("void")
        up = np.array([0.0, 0.0, 1.0])
        if kind == 2:
            for x in (-0.5, 0.5):
                self.builder.tube(np.array([[x, -0.2, 0.02], [x, 0.2, 0.02]]) + at, 0.012, label, colour=metal)
                self.builder.tube(np.array([[x, 0, 0.02], [x, 0, tall]]) + at, 0.012, label, colour=metal)
            self.builder.tube(np.array([[-0.5, 0, tall], [0.5, 0, tall]]) + at, 0.012, label, colour=metal)
            self._hang_clothes(at, tall)
            return
        self.builder.tube(np.stack([at, at + 0.03 * up]), 0.14, label, colour=metal)
        self.builder.tube(np.stack([at, at + tall * up]), 0.012, label, colour=metal, gloss=0.3)
        if kind == 0:
            shade = triple(tex.muted_colour(self.rng))
            self.builder.tube(np.stack([at + (tall - 0.25) * up, at + tall * up]), 0.17, label, colour=shade)
            self.builder.add_item("lamp", at - np.array([0.2, 0.2, 0]), at + np.array([0.2, 0.2, tall]))
            return
        for k in range(6):
            angle = k * np.pi / 3
            out = np.array([np.cos(angle), np.sin(angle), 0.5]) * 0.17
            self.builder.tube(
                np.stack([at + (tall - 0.1) * up, at + (tall - 0.1) * up + out]), 0.01, label, colour=metal
            )
        self.builder.add_item("void", at - np.array([0.2, 0.2, 0]), at + np.array([0.2, 0.2, tall]))

    def _hang_clothes(self, at: np.ndarray, tall: float) -> None:
        for x in np.arange(-0.42, 0.43, 0.08):
            if self.rng.random() < 0.4:
                continue
            size = np.array([0.03, self.rng.uniform(0.3, 0.45), self.rng.uniform(0.5, min(1.0, tall - 0.3))])
            layer = self.builder.texture(tex.fabric(self.rng, tex.muted_colour(self.rng)))
            centre = at + np.array([x, 0.0, tall - 0.05 - size[2] / 2])
            self.builder.box(centre, size, 0.0, label_id("clothes"), layer=layer, tile_m=0.5)
        self.builder.add_item("clothes", at - np.array([0.5, 0.25, 0]), at + np.array([0.5, 0.25, tall]))

    def wire_shelf(self) -> None:
        """Stand a shelf of four posts and thin boards."""
        size = (
            float(self.rng.uniform(0.5, 1.1)),
            float(self.rng.uniform(0.28, 0.45)),
            float(self.rng.uniform(0.8, 1.9)),
        )
        at = self._spot(size)
        if at is None:
            return
        shelf, metal = label_id("bookshelf"), _metal(self.rng)
        x, y, z = size[0] / 2, size[1] / 2, size[2]
        for sx, sy in ((-x, -y), (x, -y), (x, y), (-x, y)):
            self.builder.tube(np.array([[sx, sy, 0], [sx, sy, z]]) + at, 0.011, shelf, colour=metal, gloss=0.3)
        for height in np.linspace(0.15, z - 0.05, int(self.rng.integers(3, 6))):
            board = np.array([size[0], size[1], 0.015])
            self.builder.box(at + np.array([0, 0, height]), board, 0.0, shelf, colour=metal, gloss=0.1)
            for _ in range(int(self.rng.poisson(1.5))):
                box = self.rng.uniform([0.08, 0.08, 0.06], [0.25, 0.2, 0.22])
                room = np.maximum(np.array([x, y]) - box[:2] / 2, 0.01)
                where = at + np.array([*self.rng.uniform(-room, room), height + 0.008 + box[2] / 2])
                self.builder.box(where, box, 0.0, label_id("box"), colour=triple(tex.muted_colour(self.rng)))
        self.builder.add_item("bookshelf", at - np.array([x, y, 0]), at + np.array([x, y, z]))

    def pipes(self) -> None:
        """Run pipes along a wall under the ceiling, or down to the floor."""
        height = self.shell.size[2]
        for _ in range(int(self.rng.integers(1, 4))):
            wall = self.shell.walls[int(self.rng.integers(len(self.shell.walls)))]
            radius, shade = float(self.rng.uniform(0.008, 0.045)), float(self.rng.choice([0.9, 0.8, 0.5, 0.1]))
            if self.rng.random() < 0.5:
                t = float(self.rng.uniform(0.05, wall.length - 0.05))
                path = [wall.point(t, radius + 0.02, 0.0), wall.point(t, radius + 0.02, height)]
            else:
                z = height - radius - float(self.rng.uniform(0.03, 0.3))
                path = [wall.point(0.0, radius + 0.02, z), wall.point(wall.length, radius + 0.02, z)]
            self.builder.tube(np.stack(path), radius, label_id("void"), colour=(shade, shade, shade))

    def cables(self) -> None:
        """Lay cables on the floor, from a wall into the room."""
        width, depth, _ = self.shell.size
        for _ in range(int(self.rng.integers(1, 4))):
            wall = self.shell.walls[int(self.rng.integers(len(self.shell.walls)))]
            heading = float(np.arctan2(wall.inward[1], wall.inward[0])) + float(self.rng.normal(0, 0.8))
            points = [wall.point(float(self.rng.uniform(0.1, wall.length - 0.1)), 0.02, 0.008)]
            for _ in range(int(self.rng.integers(8, 24))):
                heading += float(self.rng.normal(0, 0.5))
                ahead = points[-1] + 0.09 * np.array([np.cos(heading), np.sin(heading), 0.0])
                if (ahead[:2] < 0.02).any() or ahead[0] > width - 0.02 or ahead[1] > depth - 0.02:
                    break
                points.append(ahead)
            if len(points) > 2:
                shade = float(self.rng.choice([0.03, 0.1, 0.9]))
                self.builder.tube(np.stack(points), 0.005, label_id("void"), colour=(shade, shade, shade))
