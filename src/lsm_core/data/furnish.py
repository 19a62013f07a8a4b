"""Places the large furniture: recipes per kind of room, plus rare classes drawn more often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lsm_core.data.catalog import FurnitureEntry
from lsm_core.data.furniture import FurniturePool, PreparedModel
from lsm_core.data.placement import place_model
from lsm_core.data.scene import SceneBuilder
from lsm_core.data.shell import Shell, Wall

Rng = np.random.Generator
Filter = Callable[[FurnitureEntry], bool]
ROOM_KINDS: tuple[str, ...] = ("living", "bedroom", "kitchen", "office", "dining", "bathroom", "mixed")
KIND_WEIGHTS: tuple[float, ...] = (0.24, 0.15, 0.17, 0.14, 0.09, 0.09, 0.12)
MAX_FOOTPRINT_M = 3.2


@dataclass(frozen=True)
class Want:
    """One line of a recipe: how many of a class, how likely each, and where it goes."""

    label: str
    count: int
    chance: float
    where: str  # wall | free | corner | mount | dining | seat


RECIPES: dict[str, tuple[Want, ...]] = {
    "living": (
        Want("sofa", 2, 0.75, "wall"),
        Want("table", 1, 0.7, "low"),
        Want("tv", 1, 0.6, "tvstand"),
        Want("bookshelf", 2, 0.5, "wall"),
        Want("cabinet", 2, 0.5, "wall"),
        Want("chair", 2, 0.6, "seat"),
        Want("plant", 2, 0.6, "corner"),
        Want("table", 1, 0.35, "dining"),
        Want("lamp", 1, 0.5, "corner"),
        Want("radiator", 1, 0.3, "wall"),
        Want("piano", 1, 0.08, "wall"),
    ),
    "bedroom": (
        Want("bed", 2, 0.8, "wall"),
        Want("cabinet", 3, 0.7, "wall"),
        Want("desk", 1, 0.4, "desk"),
        Want("bookshelf", 1, 0.5, "wall"),
        Want("chair", 1, 0.5, "seat"),
        Want("plant", 1, 0.4, "corner"),
        Want("radiator", 1, 0.4, "wall"),
        Want("lamp", 1, 0.4, "corner"),
        Want("tv", 1, 0.3, "tvstand"),
    ),
    "kitchen": (
        Want("kitchen", 1, 1.0, "kitchen"),
        Want("kitchen", 1, 0.4, "kitchen"),
        Want("table", 1, 0.7, "dining"),
        Want("refrigerator", 1, 0.7, "wall"),
        Want("chair", 2, 0.3, "seat"),
        Want("bin", 1, 0.6, "corner"),
        Want("cabinet", 1, 0.4, "wall"),
        Want("plant", 1, 0.3, "corner"),
    ),
    "office": (
        Want("desk", 2, 0.85, "desk"),
        Want("desk", 2, 0.5, "desk"),
        Want("bookshelf", 2, 0.7, "wall"),
        Want("cabinet", 2, 0.5, "wall"),
        Want("chair", 2, 0.5, "seat"),
        Want("plant", 2, 0.5, "corner"),
        Want("bin", 1, 0.6, "corner"),
        Want("radiator", 1, 0.3, "wall"),
        Want("table", 1, 0.3, "dining"),
    ),
    "dining": (
        Want("table", 1, 1.0, "dining"),
        Want("cabinet", 2, 0.7, "wall"),
        Want("plant", 2, 0.5, "corner"),
        Want("bookshelf", 1, 0.4, "wall"),
        Want("sofa", 1, 0.3, "wall"),
        Want("lamp", 1, 0.3, "corner"),
        Want("piano", 1, 0.1, "wall"),
    ),
    "bathroom": (
        Want("bathtub", 1, 0.7, "wall"),
        Want("sink", 2, 0.8, "wall"),
        Want("toilet", 2, 0.7, "wall"),
        Want("shower", 1, 0.4, "corner"),
        Want("washing machine", 1, 0.4, "wall"),
        Want("cabinet", 1, 0.5, "wall"),
        Want("towel", 2, 0.7, "mount"),
        Want("radiator", 1, 0.4, "wall"),
        Want("bin", 1, 0.4, "corner"),
    ),
    "mixed": (
        Want("sofa", 1, 0.6, "wall"),
        Want("desk", 1, 0.6, "desk"),
        Want("bed", 1, 0.4, "wall"),
        Want("bookshelf", 2, 0.6, "wall"),
        Want("table", 1, 0.6, "dining"),
        Want("chair", 2, 0.6, "seat"),
        Want("tv", 1, 0.5, "tvstand"),
        Want("plant", 1, 0.6, "corner"),
        Want("cabinet", 2, 0.5, "wall"),
    ),
}
RARE: tuple[str, ...] = (
    "refrigerator",
    "oven",
    "sink",
    "toilet",
    "bathtub",
    "shower",
    "piano",
    "radiator",
    "fan",
    "washing machine",
    "box",
    "bin",
    "plant",
    "lamp",
    "bag",
    "bed",
    "desk",
    "tv",
    "bookshelf",
    "chair",
    "void",
    "vase",
    "towel",
)


class Furnisher:
    """Places furniture into one room; every draw comes from the generator it is given."""

    def __init__(self, builder: SceneBuilder, rng: Rng, pool: FurniturePool, shell: Shell) -> None:
        self.builder, self.rng, self.pool, self.shell = builder, rng, pool, shell

    def furnish(self, kind: str) -> None:
        """Follow the recipe of a room kind, in large rooms others after it; then add some rare objects."""
        area = self.shell.size[0] * self.shell.size[1]
        kinds = [kind, *self.rng.choice(["living", "kitchen", "office", "dining", "mixed"], 2)]
        for name in kinds[: 1 + (area > 24) + (area > 42)]:
            for want in RECIPES[str(name)]:
                for _ in range(want.count):
                    if self.rng.random() < want.chance:
                        self._want(want)
        for _ in range(int(self.rng.integers(1, 5) + area / 10)):
            label = RARE[int(self.rng.integers(len(RARE)))]
            self._wall(label) if self.rng.random() < 0.6 else self._corner(label)

    def _want(self, want: Want) -> None:
        actions: dict[str, Callable[[], object]] = {
            "wall": lambda: self._wall(want.label),
            "corner": lambda: self._corner(want.label),
            "mount": lambda: self._wall(want.label),
            "seat": lambda: self._free(want.label),
            "low": lambda: self._free(want.label, lambda e: e.height_m < 0.6),
            "dining": self._dining,
            "desk": self._desk,
            "tvstand": self._tv,
            "kitchen": self._kitchen,
        }
        actions[want.where]()

    def pick(self, label: str, suits: Filter | None = None) -> PreparedModel | None:
        """Draw a model of a class that fits rooms, or None."""
        room = self.shell.size
        entries = [
            e
            for e in self.pool.entries(label)
            if max(e.width_m, e.depth_m) < min(MAX_FOOTPRINT_M, max(room[:2]) - 0.3)
            and e.height_m + e.elevation_m < room[2] - 0.02
            and (suits is None or suits(e))
        ]
        if not entries:
            return None
        return self.pool.load(entries[int(self.rng.integers(len(entries)))])

    def place(self, model: PreparedModel, at: np.ndarray, yaw: float) -> bool:
        """Place a model if it fits."""
        return place_model(self.builder, self.rng, model, at, yaw, self.shell.size)

    def _against(self, model: PreparedModel, wall: Wall, t: float, gap: float) -> bool:
        at = wall.point(t, model.size[1] / 2 + gap, model.entry.elevation_m)
        return self.place(model, at, wall.yaw)

    def _wall(self, label: str, suits: Filter | None = None, attempts: int = 10) -> PreparedModel | None:
        ground = suits or (lambda e: e.height_m > 0.25 or e.elevation_m > 0.0)
        for _ in range(attempts):
            model = self.pick(label, ground)
            if model is None:
                return None
            wall = self.shell.walls[int(self.rng.integers(len(self.shell.walls)))]
            slack = wall.length - model.size[0]
            if slack < 0.02:
                continue
            t = model.size[0] / 2 + float(self.rng.uniform(0, slack))
            if self.rng.random() < 0.3:
                t = model.size[0] / 2 + (0.02 if self.rng.random() < 0.5 else slack)
            gap = 0.01 if model.entry.elevation_m > 0.05 else float(self.rng.choice([0.01, 0.03, 0.1]))
            if self._against(model, wall, t, gap):
                return model
        return None

    def _corner(self, label: str) -> PreparedModel | None:
        width, depth, _ = self.shell.size
        for _ in range(8):
            model = self.pick(label, lambda e: e.height_m > 0.25 and e.elevation_m < 0.05)
            if model is None:
                return None
            reach = max(model.size[:2]) / 2 + float(self.rng.uniform(0.02, 0.5))
            x = reach if self.rng.random() < 0.5 else width - reach
            y = reach if self.rng.random() < 0.5 else depth - reach
            if self.rng.random() < 0.5:
                x = float(self.rng.uniform(reach, max(reach + 0.01, width - reach)))
            if self.place(model, np.array([x, y, 0.0]), float(self.rng.integers(4)) * np.pi / 2):
                return model
        return None

    def _free(self, label: str, suits: Filter | None = None) -> tuple[PreparedModel, np.ndarray, float] | None:
        width, depth, _ = self.shell.size
        for _ in range(10):
            model = self.pick(label, suits)
            if model is None:
                return None
            margin = max(model.size[:2]) / 2 + 0.05
            if 2 * margin > min(width, depth) - 0.1:
                continue
            at = np.array([self.rng.uniform(margin, width - margin), self.rng.uniform(margin, depth - margin), 0.0])
            yaw = float(self.rng.integers(4)) * np.pi / 2
            if self.rng.random() < 0.5:
                yaw += float(self.rng.normal(0.0, 0.3))
            if self.place(model, at, yaw):
                return model, at, yaw
        return None

    def _chairs_around(self, model: PreparedModel, at: np.ndarray, yaw: float, *, front_only: bool) -> None:
        chair = self.pick("chair", lambda e: e.width_m < 0.75 and e.depth_m < 0.75 and e.height_m > 0.4)
        if chair is None:
            return
        c, s = np.cos(yaw), np.sin(yaw)
        sides = [(0, -1)] if front_only else [(0, -1), (0, 1), (1, 0), (-1, 0)]
        look = int(self.rng.integers(2**31))
        for side in sides:
            span = model.size[0] if side[0] == 0 else model.size[1]
            count = 1 if front_only else max(1, min(3, int(span / 0.6)))
            for k in range(count):
                if self.rng.random() < 0.2:
                    continue
                along = (k + 0.5) / count * span - span / 2
                out = (model.size[1] if side[0] == 0 else model.size[0]) / 2 + chair.size[1] / 2
                out += float(self.rng.uniform(0.02, 0.3))
                local = np.array(
                    [along if side[0] == 0 else side[0] * out, side[1] * out if side[0] == 0 else along]
                )
                where = np.asarray(at)[:2] + np.array([c * local[0] - s * local[1], s * local[0] + c * local[1]])
                facing = yaw + float(np.arctan2(side[0], -side[1])) + np.pi + float(self.rng.normal(0, 0.15))
                place_model(
                    self.builder,
                    np.random.default_rng(look),
                    chair,
                    np.array([*where, 0.0]),
                    facing,
                    self.shell.size,
                    margin=0.0,
                )

    def _dining(self) -> None:
        found = self._free("table", lambda e: e.height_m > 0.6)
        if found is not None:
            self._chairs_around(*found, front_only=False)

    def _desk(self) -> None:
        for _ in range(6):
            model = self.pick("desk" if self.rng.random() < 0.8 else "table", lambda e: e.height_m > 0.6)
            if model is None:
                return
            wall = self.shell.walls[int(self.rng.integers(len(self.shell.walls)))]
            if wall.length < model.size[0] + 0.1:
                continue
            t = float(self.rng.uniform(model.size[0] / 2, wall.length - model.size[0] / 2))
            if self._against(model, wall, t, 0.02):
                at = wall.point(t, model.size[1] / 2 + 0.02, 0.0)
                self._chairs_around(model, at, wall.yaw, front_only=True)
                return

    def _tv(self) -> None:
        mounted = self._wall("tv", lambda e: e.elevation_m > 0.3) if self.rng.random() < 0.3 else None
        if mounted is None:
            self._wall("cabinet", lambda e: e.height_m < 0.9 and e.width_m > 0.8 and e.elevation_m < 0.05)

    def _kitchen(self) -> None:
        """Stand units side by side along one wall, with wall cabinets and a hood above."""
        wall = self.shell.walls[int(self.rng.integers(len(self.shell.walls)))]
        t = float(self.rng.uniform(0.02, max(0.03, wall.length * 0.3)))
        end = wall.length - 0.02
        base = self.pick(
            "cabinet", lambda e: 0.7 < e.height_m < 1.0 and e.elevation_m < 0.05 and 0.4 < e.depth_m < 0.75
        )
        look = int(self.rng.integers(2**31))
        while t < end:
            label = str(
                self.rng.choice(
                    ["cabinet", "oven", "sink", "refrigerator", "washing machine"], p=[0.5, 0.15, 0.15, 0.12, 0.08]
                )
            )
            model = (
                base
                if label == "cabinet"
                else self.pick(
                    label,
                    lambda e: e.height_m > 0.6 and e.depth_m > 0.35 and e.width_m < 1.1 and e.elevation_m < 0.1,
                )
            )
            model = model or base
            if model is None or t + model.size[0] > end:
                return
            at = wall.point(t + model.size[0] / 2, model.size[1] / 2 + 0.01, 0.0)
            rng = np.random.default_rng(look) if model is base else self.rng
            place_model(self.builder, rng, model, at, wall.yaw, self.shell.size, margin=-0.005)
            if model.size[2] < 1.1 and self.rng.random() < 0.7:
                upper = self.pick(
                    "oven" if label == "oven" else "cabinet", lambda e: e.elevation_m > 1.0 and e.width_m < 1.3
                )
                if upper is not None:
                    high = wall.point(t + model.size[0] / 2, upper.size[1] / 2 + 0.01, upper.entry.elevation_m)
                    place_model(
                        self.builder,
                        np.random.default_rng(look),
                        upper,
                        high,
                        wall.yaw,
                        self.shell.size,
                        margin=-0.005,
                    )
            t += model.size[0] + 0.005
