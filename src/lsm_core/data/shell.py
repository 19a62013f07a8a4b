"""The empty room: floor, ceiling, walls with openings, skirting, windows, doors and curtains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_core.data import textures as tex
from lsm_core.data.furniture import FurniturePool
from lsm_core.data.placement import put_model
from lsm_core.data.scene import NO_DEPTH, Light, SceneBuilder, label_id

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


@dataclass(frozen=True)
class Shell:
    """The walls of a room and what of it is known to the furnisher."""

    size: tuple[float, float, float]
    walls: tuple[Wall, ...]
    lights: tuple[Light, ...]
    daylight: float


def _corner_box(rng: Rng, width: float, depth: float) -> tuple[float, float]:
    """Return the size of a block in the (width, depth) corner, 0 for a plain box room."""
    if rng.random() < 0.6:
        return 0.0, 0.0
    if rng.random() < 0.4:
        return float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.25, 0.6))
    return float(rng.uniform(0.2, 0.5)) * width, float(rng.uniform(0.2, 0.5)) * depth


def _walls(width: float, depth: float, cut: tuple[float, float]) -> tuple[Wall, ...]:
    """Return the walls counter-clockwise around [0, width] x [0, depth] minus the corner block."""
    corners = [(0.0, 0.0), (width, 0.0)]
    if cut[0] > 0:
        corners += [(width, depth - cut[1]), (width - cut[0], depth - cut[1]), (width - cut[0], depth)]
    else:
        corners.append((width, depth))
    corners.append((0.0, depth))
    walls = []
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        delta = np.subtract(b, a)
        length = float(np.linalg.norm(delta))
        along = delta / length
        walls.append(Wall(a, (float(along[0]), float(along[1])), (float(-along[1]), float(along[0])), length))
    return tuple(walls)


def _wall_surface(builder: SceneBuilder, wall: Wall, height: float, holes: list[Opening],
                  look: SurfaceLook) -> None:
    """Fill a wall around its openings, with reveals 0.15 m deep."""
    xs = sorted({0.0, wall.length, *(h.left for h in holes), *(h.right for h in holes)})
    zs = sorted({0.0, height, *(h.bottom for h in holes), *(h.top for h in holes)})
    wall_id = label_id("wall")
    for x0, x1 in zip(xs[:-1], xs[1:], strict=True):
        for z0, z1 in zip(zs[:-1], zs[1:], strict=True):
            mx, mz = (x0 + x1) / 2, (z0 + z1) / 2
            if any(h.left < mx < h.right and h.bottom < mz < h.top for h in holes):
                continue
            corner = wall.point(x0, 0.0, z0)
            builder.quad(corner, wall.point(x1, 0.0, z0) - corner, np.array([0, 0, z1 - z0]), wall_id,
                         layer=look.layer, tile_m=look.tile_m, offset=(x0 / look.tile_m, z0 / look.tile_m),
                         gloss=look.gloss)
    for h in holes:
        out = wall.point(0, -0.15, 0) - wall.point(0, 0, 0)
        up = np.array([0, 0, h.top - h.bottom], np.float32)
        across = wall.point(h.right, 0, 0) - wall.point(h.left, 0, 0)
        for corner, edge in ((wall.point(h.left, 0, h.bottom), up), (wall.point(h.right, 0, h.bottom), up),
                             (wall.point(h.left, 0, h.bottom), across), (wall.point(h.left, 0, h.top), across)):
            builder.quad(corner, edge, out, label_id("window"), colour=(0.85, 0.85, 0.83))


@dataclass(frozen=True)
class SurfaceLook:
    """The texture layer of a surface, the metres one tile covers, and its gloss."""

    layer: int
    tile_m: float
    gloss: float


def wall_look(rng: Rng, builder: SceneBuilder) -> SurfaceLook:
    """Choose a wall finish; about a third is low-texture paint."""
    colour = tex.wall_colour(rng)
    pick = rng.random()
    if pick < 0.36:
        return SurfaceLook(builder.texture(tex.plain(rng, colour)), 2.0, 0.0)
    if pick < 0.68:
        return SurfaceLook(builder.texture(tex.plaster(rng, colour)), float(rng.uniform(0.7, 1.8)), 0.0)
    if pick < 0.82:
        return SurfaceLook(builder.texture(tex.wallpaper(rng, colour)), float(rng.uniform(0.4, 1.2)), 0.0)
    if pick < 0.93:
        return SurfaceLook(builder.texture(tex.tiles(rng, colour)), float(rng.uniform(0.5, 1.4)), 0.15)
    return SurfaceLook(builder.texture(tex.wood(rng, tex.wood_colour(rng))), 1.2, 0.05)


def floor_look(rng: Rng, builder: SceneBuilder) -> SurfaceLook:
    """Choose a floor: boards, tiles, carpet, or concrete and linoleum."""
    pick = rng.random()
    if pick < 0.45:
        return SurfaceLook(builder.texture(tex.planks(rng, tex.wood_colour(rng))), float(rng.uniform(0.8, 2.0)),
                           float(rng.uniform(0.0, 0.25)))
    if pick < 0.65:
        return SurfaceLook(builder.texture(tex.tiles(rng, tex.wall_colour(rng))), float(rng.uniform(0.8, 1.8)), 0.25)
    if pick < 0.85:
        return SurfaceLook(builder.texture(tex.carpet(rng, tex.muted_colour(rng))), float(rng.uniform(0.5, 1.2)), 0.0)
    return SurfaceLook(builder.texture(tex.concrete(rng, tex.wall_colour(rng) * 0.85)), float(rng.uniform(1.0, 2.5)), 0.1)


def _floor_zone(builder: SceneBuilder, rng: Rng, width: float, depth: float) -> None:
    """Cover one end of the floor with a second material."""
    look = floor_look(rng, builder)
    share = float(rng.uniform(0.25, 0.7))
    lengthwise = rng.random() < 0.5
    along = np.array([width * share if lengthwise else width, 0, 0])
    across = np.array([0, depth if lengthwise else depth * share, 0])
    builder.quad(np.array([0, 0, 0.002]), along, across, label_id("floor"), layer=look.layer, tile_m=look.tile_m,
                 gloss=look.gloss)


def _skirting(builder: SceneBuilder, rng: Rng, walls: tuple[Wall, ...]) -> None:
    height, shade = float(rng.uniform(0.05, 0.12)), float(rng.uniform(0.3, 0.9))
    for wall in walls:
        corner = wall.point(0, 0.012, 0)
        builder.quad(corner, wall.point(wall.length, 0.012, 0) - corner, np.array([0, 0, height]),
                     label_id("wall"), colour=(shade, shade * 0.97, shade * 0.93))


def _window(builder: SceneBuilder, rng: Rng, pool: FurniturePool, wall: Wall, height: float,
            daylight: float) -> tuple[Opening, Light] | None:
    """Cut a window, put a model or a plain frame in it, the outside behind it, maybe curtains."""
    entries = [e for e in pool.entries("window") if e.elevation_m + e.height_m < height - 0.05
               and e.width_m < wall.length - 0.5]
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
    if rng.random() < 0.45:
        _curtains(builder, rng, wall, hole, height)
    light = Light(
        tuple(float(v) for v in wall.point(centre_t, -0.1, sill + tall * 0.6)),  # type: ignore[arg-type]
        (wall.inward[0] * 0.9, wall.inward[1] * 0.9, -0.43),
        tuple(float(v) for v in daylight * width * tall * np.array([0.95, 1.0, 1.08])),  # type: ignore[arg-type]
        max(0.4, (width + tall) / 3), 1.0, True,
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
        builder.box(wall.point(t, -0.08, (hole.bottom + hole.top) / 2),
                    np.array([bar, 0.05, hole.top - hole.bottom]), yaw, label_id("window"), colour=colour)
    for k in range(rows + 1):
        z = hole.bottom + (hole.top - hole.bottom) * k / rows
        builder.box(wall.point((hole.left + hole.right) / 2, -0.08, z),
                    np.array([hole.right - hole.left, 0.05, bar]), yaw, label_id("window"), colour=colour)
    if rng.random() < 0.6:
        builder.box(wall.point((hole.left + hole.right) / 2, 0.05, hole.bottom - 0.02),
                    np.array([hole.right - hole.left + 0.1, 0.25, 0.03]), yaw, label_id("window"),
                    colour=(0.85, 0.84, 0.8))


def _outside(builder: SceneBuilder, rng: Rng, wall: Wall, hole: Opening, daylight: float) -> None:
    """Add the view through a window: bright, far, without depth."""
    distance = float(rng.uniform(5.0, 14.0))
    reach = distance * 3.0
    layer = builder.texture(tex.outdoors(rng))
    corner = wall.point((hole.left + hole.right) / 2 - reach, -distance, -distance * 0.9)
    across = wall.point((hole.left + hole.right) / 2 + reach, -distance, -distance * 0.9) - corner
    # the texture's first row is its top: start uv at the top by flipping v
    builder.quad(corner + np.array([0, 0, distance * 2.6]), across, np.array([0, 0, -distance * 2.6]),
                 label_id("window") + NO_DEPTH, layer=layer, emission=max(0.15, daylight * 0.45))


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
        for a, b in zip(ts[:-1], ts[1:], strict=True):
            pa = wall.point(a, 0.09 + depth * np.sin(2 * np.pi * a / period), bottom)
            pb = wall.point(b, 0.09 + depth * np.sin(2 * np.pi * b / period), bottom)
            builder.quad(pa, pb - pa, np.array([0, 0, top - bottom]), label_id("curtain"), layer=layer,
                         tile_m=0.6, offset=(a / 0.6, 0.0))
        low, high = wall.point(left, 0.0, bottom), wall.point(right, 0.15, top)
        builder.add_item("curtain", np.minimum(low, high), np.maximum(low, high))


def _door(builder: SceneBuilder, rng: Rng, pool: FurniturePool, wall: Wall, height: float) -> None:
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
        low, high = wall.point(t - entry.width_m / 2, 0.0, 0.0), wall.point(t + entry.width_m / 2, 0.12, entry.height_m)
        box = np.minimum(low, high), np.maximum(low, high)
        if builder.collides(*box, margin=0.05):
            continue
        shift = float(rng.uniform(-0.02, 0.03))
        put_model(builder, rng, model, wall.point(t, shift, 0.0), wall.yaw, recolour=0.5)
        backing = wall.point(t - entry.width_m / 2 + 0.02, 0.004, 0.0)
        builder.quad(backing, wall.point(t + entry.width_m / 2 - 0.02, 0.004, 0.0) - backing,
                     np.array([0, 0, entry.height_m - 0.02]), label_id("door"),
                     colour=tuple(float(v) for v in tex.wall_colour(rng)))  # type: ignore[arg-type]
        builder.add_item("door", *box)
        far = wall.point(t + entry.width_m / 2, 0.7, 1.2)
        keep = np.minimum(low, far), np.maximum(low, far)
        builder.obstacles.append((*(float(v) for v in keep[0][:2]), 0.0, *(float(v) for v in keep[1][:2]), 1.2))
        return


def build_shell(builder: SceneBuilder, rng: Rng, pool: FurniturePool, *, compact: bool) -> Shell:
    """Build floor, ceiling, walls, doors and windows; ``compact`` makes bathroom-sized rooms."""
    span = (1.9, 3.6) if compact else (2.6, 6.8)
    width, depth = float(rng.uniform(*span)), float(rng.uniform(*span))
    if not compact and rng.random() < 0.3:
        depth = float(rng.uniform(6.5, 10.0))
    height = float(rng.uniform(2.3, 3.1))
    cut = (0.0, 0.0) if compact else _corner_box(rng, width, depth)
    walls = _walls(width, depth, cut)
    floor, ceiling = floor_look(rng, builder), tex.plain if rng.random() < 0.7 else tex.plaster
    ceiling_layer = builder.texture(ceiling(rng, np.clip(tex.wall_colour(rng) * 0.5 + 0.45, 0, 0.95)))
    x_axis, y_axis = np.array([width, 0, 0]), np.array([0, depth, 0])
    turn = rng.random() < 0.5
    first, second = (x_axis, y_axis) if turn else (y_axis, x_axis)
    builder.quad(np.zeros(3), first, second, label_id("floor"), layer=floor.layer, tile_m=floor.tile_m,
                 gloss=floor.gloss)
    if not compact and rng.random() < 0.25:
        _floor_zone(builder, rng, width, depth)
    builder.quad(np.array([0, 0, height]), x_axis, y_axis, label_id("ceiling"), layer=ceiling_layer, tile_m=2.0)
    if cut[0] > 0:
        builder.obstacles.append((width - cut[0], depth - cut[1], 0.0, width, depth, height))
    looks = [wall_look(rng, builder)]
    if rng.random() < 0.4:
        looks.append(wall_look(rng, builder))
    order = [int(i) for i in rng.permutation(len(walls))]
    for index in order[: 2 if rng.random() < 0.4 else 1]:
        _door(builder, rng, pool, walls[index], height)
    daylight = float(rng.choice([0.15, 1.0])) * float(rng.uniform(0.6, 2.2))
    lights: list[Light] = []
    holes: dict[int, list[Opening]] = {i: [] for i in range(len(walls))}
    for _ in range(int(rng.choice([0, 1, 1, 2, 2, 3, 4]))):
        index = int(rng.integers(len(walls)))
        if walls[index].length < 1.2 or (holes[index] and rng.random() < 0.5):
            continue
        made = _window(builder, rng, pool, walls[index], height, daylight)
        if made is not None:
            holes[index].append(made[0])
            lights.append(made[1])
    for index, wall in enumerate(walls):
        look = looks[index % len(looks)] if index == 0 else looks[0]
        _wall_surface(builder, wall, height, holes[index], look)
    if rng.random() < 0.75:
        _skirting(builder, rng, walls)
    return Shell((width, depth, height), walls, tuple(lights), daylight)
