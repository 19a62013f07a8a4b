"""Small things: on tables and shelves, on the floor, under the ceiling."""

from __future__ import annotations

import numpy as np

from lsm_core.data import textures as tex
from lsm_core.data.furniture import FurniturePool, PreparedModel, Support
from lsm_core.data.placement import footprint, place_model, put_model
from lsm_core.data.scene import Item, Light, SceneBuilder, label_id, rotation_z, triple
from lsm_core.data.shell import Shell

Rng = np.random.Generator
_ON_TOP: dict[str, float] = {
    "cup": 2.0,
    "bottle": 1.5,
    "vase": 1.2,
    "plant": 1.5,
    "book": 2.5,
    "computer": 1.2,
    "lamp": 1.2,
    "plate": 1.2,
    "fruit": 0.8,
    "toy": 0.8,
    "clock": 0.4,
    "coffee machine": 1.0,
    "towel": 0.3,
    "box": 0.7,
    "clothes": 0.6,
    "void": 2.0,
    "tv": 0.6,
    "bag": 0.4,
    "fan": 0.4,
    "paper": 1.5,
    "oven": 0.3,
}
_ON_FLOOR: dict[str, float] = {
    "box": 1.5,
    "bag": 1.5,
    "toy": 1.0,
    "clothes": 1.0,
    "bin": 1.2,
    "plant": 1.2,
    "book": 0.6,
    "void": 1.0,
    "vase": 0.6,
    "fan": 0.3,
    "carton": 1.5,
    "paper": 0.6,
    "pillow": 0.4,
}


def _draw(rng: Rng, table: dict[str, float]) -> str:
    weights = np.array(list(table.values()))
    return str(rng.choice(list(table), p=weights / weights.sum()))


class Clutterer:
    """Adds clutter to a furnished room."""

    def __init__(self, builder: SceneBuilder, rng: Rng, pool: FurniturePool, shell: Shell) -> None:
        self.builder, self.rng, self.pool, self.shell = builder, rng, pool, shell
        self._tops: list[Item] = []  # what stands on surfaces so far

    def fill_supports(self, model: PreparedModel, at: np.ndarray, yaw: float, density: float) -> None:
        """Put things on every level surface of a placed model."""
        soft = model.entry.label in ("sofa", "bed", "chair")
        for support in model.supports:
            if at[2] + support.height > 1.9:
                continue
            if model.entry.label == "bookshelf" and self.rng.random() < 0.7:
                self._book_row(support, at, yaw)
                continue
            area = (support.high[0] - support.low[0]) * (support.high[1] - support.low[1])
            for _ in range(int(self.rng.poisson(min(6.0, density * area * (1.2 if soft else 6.0))))):
                self._on_support(support, at, yaw, model)

    def _small(self, label: str, free_height: float, span: float) -> PreparedModel | None:
        entries = [
            e
            for e in self.pool.entries(label)
            if e.height_m < min(0.75, free_height)
            and max(e.width_m, e.depth_m) < min(0.8, span)
            and e.elevation_m < 0.3
        ]
        return self.pool.load(entries[int(self.rng.integers(len(entries)))]) if entries else None

    def _between(self, a: float, b: float) -> float:
        return float(self.rng.uniform(min(a, b), max(a, b)))

    def _on_support(self, support: Support, at: np.ndarray, yaw: float, under: PreparedModel) -> None:
        span = min(support.high[0] - support.low[0], support.high[1] - support.low[1])
        label = _draw(self.rng, _ON_TOP)
        if under.entry.label in ("sofa", "bed", "chair") and self.rng.random() < 0.35:
            label = "pillow"
        local = np.array(
            [
                self._between(support.low[0] + 0.05, support.high[0] - 0.05),
                self._between(support.low[1] + 0.05, support.high[1] - 0.05),
                0.0,
            ]
        )
        where = np.asarray(at) + rotation_z(yaw) @ local + np.array([0, 0, support.height])
        turn = float(self.rng.uniform(0, 2 * np.pi)) if self.rng.random() < 0.5 else yaw
        if label in ("book", "paper", "pillow"):
            self._flat_thing(label, where, turn)
            return
        model = self._small(label, support.clearance, span)
        if model is not None:
            self._stand(model, where, turn)

    def _stand(self, model: PreparedModel, where: np.ndarray, yaw: float) -> None:
        low, high = footprint(model, where, yaw)
        taken = [
            i for i in self._tops if (np.array(i.low) < high - 0.01).all() and (np.array(i.high) > low + 0.01).all()
        ]
        if taken:
            return
        put_model(self.builder, self.rng, model, where, yaw)
        self._note(model.entry.label or "void", low, high)

    def _note(self, label: str, low: np.ndarray, high: np.ndarray) -> None:
        self.builder.add_item(label, low, high, blocks=False)
        self._tops.append(self.builder.items[-1])

    def _flat_thing(self, label: str, where: np.ndarray, yaw: float) -> None:
        """Add a stack of books, sheets of paper, or a pillow."""
        if label == "paper":
            layer = self.builder.texture(tex.painting(self.rng))
            size = np.array([0.21, 0.3, 0.004])
            self.builder.box(where + np.array([0, 0, 0.003]), size, yaw, label_id("void"), layer=layer)
            return
        if label == "pillow":
            size = np.array([self.rng.uniform(0.3, 0.55), self.rng.uniform(0.3, 0.45), self.rng.uniform(0.1, 0.18)])
            self._pillow(where, size, yaw)
            return
        z = float(where[2])
        for _ in range(int(self.rng.integers(1, 5))):
            size = np.array(
                [self.rng.uniform(0.12, 0.24), self.rng.uniform(0.17, 0.32), self.rng.uniform(0.01, 0.045)]
            )
            self.builder.box(
                np.array([where[0], where[1], z + size[2] / 2]),
                size,
                yaw + float(self.rng.normal(0, 0.1)),
                label_id("book"),
                colour=self._cover(),
            )
            z += float(size[2])
        self._note("book", where - 0.12, np.array([where[0] + 0.12, where[1] + 0.12, z]))

    def _cover(self) -> tuple[float, float, float]:
        return triple(np.clip(tex.muted_colour(self.rng) * self.rng.uniform(0.4, 1.1), 0.03, 0.92))

    def _pillow(self, where: np.ndarray, size: np.ndarray, yaw: float) -> None:
        """Add a cushion: a box whose faces bulge (an 8 x 8 height field on each side)."""
        n = 8
        u, v = np.meshgrid(np.linspace(-1, 1, n + 1), np.linspace(-1, 1, n + 1), indexing="ij")
        bulge = np.sqrt(np.clip((1 - u**4) * (1 - v**4), 0, 1))
        layer = self.builder.texture(tex.fabric(self.rng, tex.muted_colour(self.rng)))
        turn = rotation_z(yaw)
        for sign in (1.0, -1.0):
            grid = np.stack([u * size[0] / 2, v * size[1] / 2, sign * bulge * size[2] / 2], -1) @ turn.T
            grid = grid + where + np.array([0, 0, size[2] * 0.45])
            uv = np.stack([u, v], -1) * 0.5 + 0.5
            a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
            ua, ub, uc, ud = uv[:-1, :-1], uv[1:, :-1], uv[1:, 1:], uv[:-1, 1:]
            tri = np.concatenate(
                [np.stack([a, b, c], 2).reshape(-1, 3, 3), np.stack([a, c, d], 2).reshape(-1, 3, 3)]
            )
            tuv = np.concatenate(
                [np.stack([ua, ub, uc], 2).reshape(-1, 3, 2), np.stack([ua, uc, ud], 2).reshape(-1, 3, 2)]
            )
            centre = where + np.array([0, 0, size[2] * 0.45])
            normals = (tri - centre) / np.array([size[0], size[1], size[2]]) ** 2
            normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
            self.builder.triangles(tri, normals, tuv, np.ones(3), layer, label_id("pillow"))
        self._note("pillow", where - size / 2, where + size / 2)

    def _book_row(self, support: Support, at: np.ndarray, yaw: float) -> None:
        """Fill a shelf board with upright books, leaving gaps."""
        if support.clearance < 0.15:
            return
        turn = rotation_z(yaw)
        x, end = support.low[0] + 0.04, support.high[0] - 0.04
        deep = support.high[1] - support.low[1]
        tall = min(support.clearance * 0.95, 0.34)
        while x < end:
            if self.rng.random() < 0.06:
                x += float(self.rng.uniform(0.05, 0.3))
            thick = float(self.rng.uniform(0.012, 0.05))
            height = tall * float(self.rng.uniform(0.6, 1.0))
            wide = min(deep * 0.9, float(self.rng.uniform(0.12, 0.24)))
            if x + thick > end:
                break
            local = np.array([x + thick / 2, support.low[1] + wide / 2 + 0.01, 0.0])
            centre = np.asarray(at) + turn @ local + np.array([0, 0, support.height + height / 2])
            self.builder.box(centre, np.array([thick, wide, height]), yaw, label_id("book"), colour=self._cover())
            x += thick + 0.002
        low = np.asarray(at) + turn @ np.array([support.low[0], support.low[1], support.height])
        high = np.asarray(at) + turn @ np.array([support.high[0], support.high[1], support.height + tall])
        self._note("book", np.minimum(low, high), np.maximum(low, high))

    def floor(self, count: int) -> None:
        """Scatter things on the floor."""
        width, depth, _ = self.shell.size
        for _ in range(count):
            label = _draw(self.rng, _ON_FLOOR)
            at = np.array([self.rng.uniform(0.25, width - 0.25), self.rng.uniform(0.25, depth - 0.25), 0.0])
            if self.rng.random() < 0.6:  # mostly near walls
                axis = int(self.rng.integers(2))
                at[axis] = 0.3 if self.rng.random() < 0.5 else self.shell.size[axis] - 0.3
            yaw = float(self.rng.uniform(0, 2 * np.pi))
            if label == "carton":
                self._carton(at, yaw)
            elif label in ("book", "paper", "pillow"):
                if not self.builder.collides(at - 0.15, at + 0.15):
                    self._flat_thing(label, at, yaw)
            else:
                model = self._floor_model(label)
                if model is not None:
                    place_model(self.builder, self.rng, model, at, yaw, self.shell.size)

    def _floor_model(self, label: str) -> PreparedModel | None:
        entries = [
            e
            for e in self.pool.entries(label)
            if 0.08 < e.height_m < 1.3 and max(e.width_m, e.depth_m) < 1.1 and e.elevation_m < 0.05
        ]
        return self.pool.load(entries[int(self.rng.integers(len(entries)))]) if entries else None

    def _carton(self, at: np.ndarray, yaw: float) -> None:
        size = self.rng.uniform([0.2, 0.2, 0.15], [0.6, 0.5, 0.5])
        reach = float(np.hypot(size[0], size[1])) / 2
        low, high = at - np.array([reach, reach, 0]), at + np.array([reach, reach, size[2]])
        if self.builder.collides(low, high):
            return
        tone = np.clip(np.array([0.68, 0.52, 0.36]) * self.rng.uniform(0.7, 1.25), 0, 1)
        if self.rng.random() < 0.3:
            tone = tex.muted_colour(self.rng)
        layer = self.builder.texture(tex.plaster(self.rng, tone))
        self.builder.box(at + np.array([0, 0, size[2] / 2]), size, yaw, label_id("box"), layer=layer, tile_m=0.5)
        self.builder.add_item("box", low, high)

    def rugs(self) -> None:
        """Lay up to two rugs on the floor, under the furniture."""
        width, depth, _ = self.shell.size
        for k in range(int(self.rng.choice([0, 1, 1, 2]))):
            size = self.rng.uniform([0.6, 0.5], [min(3.0, width * 0.8), min(2.4, depth * 0.8)])
            yaw = float(self.rng.integers(2)) * np.pi / 2 + (
                float(self.rng.normal(0, 0.2)) if self.rng.random() < 0.3 else 0
            )
            at = np.array([self.rng.uniform(0.3, 0.7) * width, self.rng.uniform(0.3, 0.7) * depth])
            c, s = abs(np.cos(yaw)), abs(np.sin(yaw))
            reach = np.array([c * size[0] + s * size[1], s * size[0] + c * size[1]]) / 2
            if (at - reach < 0.03).any() or (at + reach > np.array([width, depth]) - 0.03).any():
                continue
            corner = np.array([*(at - reach), 0.0]), np.array([*(at + reach), 0.02])
            layer = self.builder.texture(tex.rug_pattern(self.rng, tex.muted_colour(self.rng)))
            thick = 0.006 + 0.006 * k
            self.builder.box(
                np.array([*at, thick / 2]), np.array([*size, thick]), yaw, label_id("rug"), layer=layer
            )
            self.builder.add_item("rug", *corner, blocks=False)

    def ceiling(self, power: float) -> tuple[Light, ...]:
        """Hang one or two lamps; return their light (``power`` 0 = switched off)."""
        width, depth, height = self.shell.size
        count = 2 if width * depth > 22 and self.rng.random() < 0.6 else 1
        tone = np.array([1.0, 0.86, 0.68]) if self.rng.random() < 0.5 else np.array([1.0, 0.97, 0.92])
        lights = []
        for k in range(count):
            x = width * ((k + 0.5) / count + float(self.rng.normal(0, 0.05)))
            y = depth * float(self.rng.uniform(0.35, 0.65))
            entries = [e for e in self.pool.entries("lamp") if e.elevation_m > 1.5 and e.height_m < 0.9]
            drop = 0.1
            if entries and self.rng.random() < 0.8:
                model = self.pool.load(entries[int(self.rng.integers(len(entries)))])
                if model is not None and height - model.size[2] > 1.7:
                    at = np.array([x, y, height - model.size[2]])
                    put_model(self.builder, self.rng, model, at, 0.0)
                    self._note("lamp", *footprint(model, at, 0.0))
                    drop = model.size[2] * 0.8
            where = (float(x), float(y), float(height - max(0.1, drop)))
            if power > 0:
                lights.append(Light(where, (0.0, 0.0, -1.0), triple(power * tone), 0.35, 0.35, True))
        return tuple(lights)
