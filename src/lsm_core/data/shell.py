"""The empty room: floor, ceiling, walls around their openings, skirting."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from lsm_core.data import textures as tex
from lsm_core.data.furniture import FurniturePool
from lsm_core.data.openings import Opening, Wall, add_door, add_window
from lsm_core.data.scene import Light, Reflector, SceneBuilder, label_id, triple

Rng = np.random.Generator


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


def _wall_surface(
    builder: SceneBuilder, wall: Wall, height: float, holes: list[Opening], look: SurfaceLook
) -> None:
    """Fill a wall around its openings, with reveals 0.15 m deep."""
    xs = sorted({0.0, wall.length, *(h.left for h in holes), *(h.right for h in holes)})
    zs = sorted({0.0, height, *(h.bottom for h in holes), *(h.top for h in holes)})
    wall_id = label_id("wall")
    for x0, x1 in itertools.pairwise(xs):
        for z0, z1 in itertools.pairwise(zs):
            mx, mz = (x0 + x1) / 2, (z0 + z1) / 2
            if any(h.left < mx < h.right and h.bottom < mz < h.top for h in holes):
                continue
            corner = wall.point(x0, 0.0, z0)
            builder.quad(
                corner,
                wall.point(x1, 0.0, z0) - corner,
                np.array([0, 0, z1 - z0]),
                wall_id,
                layer=look.layer,
                tile_m=look.tile_m,
                offset=(x0 / look.tile_m, z0 / look.tile_m),
                gloss=look.gloss,
            )
    for h in holes:
        out = wall.point(0, -0.15, 0) - wall.point(0, 0, 0)
        up = np.array([0, 0, h.top - h.bottom], np.float32)
        across = wall.point(h.right, 0, 0) - wall.point(h.left, 0, 0)
        for corner, edge in (
            (wall.point(h.left, 0, h.bottom), up),
            (wall.point(h.right, 0, h.bottom), up),
            (wall.point(h.left, 0, h.bottom), across),
            (wall.point(h.left, 0, h.top), across),
        ):
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
        return SurfaceLook(
            builder.texture(tex.planks(rng, tex.wood_colour(rng))),
            float(rng.uniform(0.8, 2.0)),
            float(rng.uniform(0.0, 0.25)),
        )
    if pick < 0.65:
        return SurfaceLook(
            builder.texture(tex.tiles(rng, tex.wall_colour(rng))), float(rng.uniform(0.8, 1.8)), 0.25
        )
    if pick < 0.85:
        return SurfaceLook(
            builder.texture(tex.carpet(rng, tex.carpet_colour(rng))), float(rng.uniform(0.5, 1.2)), 0.0
        )
    return SurfaceLook(
        builder.texture(tex.concrete(rng, tex.wall_colour(rng) * 0.85)), float(rng.uniform(1.0, 2.5)), 0.1
    )


def _floor_zone(builder: SceneBuilder, rng: Rng, width: float, depth: float) -> None:
    """Cover one end of the floor with a second material."""
    look = floor_look(rng, builder)
    share = float(rng.uniform(0.25, 0.7))
    lengthwise = rng.random() < 0.5
    along = np.array([width * share if lengthwise else width, 0, 0])
    across = np.array([0, depth if lengthwise else depth * share, 0])
    builder.quad(
        np.array([0, 0, 0.002]),
        along,
        across,
        label_id("floor"),
        layer=look.layer,
        tile_m=look.tile_m,
        gloss=look.gloss,
    )


def _partitions(
    builder: SceneBuilder, rng: Rng, walls: tuple[Wall, ...], size: tuple[float, float, float], look: SurfaceLook
) -> None:
    """Divide a large room: up to two stub walls, a column."""
    wall_id = label_id("wall")
    for _ in range(int(rng.integers(0, 3))):
        wall = walls[int(rng.integers(len(walls)))]
        length, thick = float(rng.uniform(0.6, 2.5)), float(rng.uniform(0.1, 0.25))
        t = float(rng.uniform(0.8, max(0.9, wall.length - 0.8)))
        height = size[2] if rng.random() < 0.7 else float(rng.uniform(0.9, 1.4))
        a, b = wall.point(t - thick / 2, 0.0, 0.0), wall.point(t + thick / 2, length, height)
        _block(builder, np.minimum(a, b), np.maximum(a, b), wall_id, look)
    if rng.random() < 0.4:
        half = float(rng.uniform(0.12, 0.3))
        x, y = rng.uniform(0.25, 0.75, 2) * size[:2]
        _block(builder, np.array([x - half, y - half, 0]), np.array([x + half, y + half, size[2]]), wall_id, look)


def _block(builder: SceneBuilder, low: np.ndarray, high: np.ndarray, label: int, look: SurfaceLook) -> None:
    """Add a box of wall where nothing is yet."""
    if builder.collides(low, high, 0.05):
        return
    builder.box((low + high) / 2, high - low, 0.0, label, layer=look.layer, tile_m=look.tile_m, gloss=look.gloss)
    builder.obstacles.append((*(float(v) for v in low), *(float(v) for v in high)))


def _skirting(builder: SceneBuilder, rng: Rng, walls: tuple[Wall, ...]) -> None:
    height, shade = float(rng.uniform(0.05, 0.12)), float(rng.uniform(0.3, 0.9))
    for wall in walls:
        corner = wall.point(0, 0.012, 0)
        builder.quad(
            corner,
            wall.point(wall.length, 0.012, 0) - corner,
            np.array([0, 0, height]),
            label_id("wall"),
            colour=(shade, shade * 0.97, shade * 0.93),
        )


def build_shell(
    builder: SceneBuilder,
    rng: Rng,
    pool: FurniturePool,
    *,
    compact: bool,
    size: tuple[float, float, float] | None = None,
) -> Shell:
    """Build floor, ceiling, walls, doors and windows.

    Args:
        builder: receives the surfaces, openings and obstacles.
        rng: source of every choice.
        pool: models of doors and windows.
        compact: bathroom-sized, box-shaped, one floor.
        size: width, depth, height in metres of a plain box instead of the drawn ones.
    """
    span = (1.9, 3.6) if compact else (2.6, 6.8)
    width, depth = float(rng.uniform(*span)), float(rng.uniform(*span))
    if not compact and rng.random() < 0.35:
        depth = float(rng.uniform(6.5, 11.0))
        width = float(rng.uniform(4.0, 8.5)) if rng.random() < 0.5 else width
    height = float(rng.uniform(2.3, 3.1))
    cut = (0.0, 0.0) if compact else _corner_box(rng, width, depth)
    if size is not None:
        (width, depth, height), cut = size, (0.0, 0.0)
    walls = _walls(width, depth, cut)
    _floor_and_ceiling(builder, rng, (width, depth, height), zones=not compact)
    if cut[0] > 0:
        builder.obstacles.append((width - cut[0], depth - cut[1], 0.0, width, depth, height))
    look = wall_look(rng, builder)
    if rng.random() < 0.4:
        wall_look(rng, builder)  # unused; drawn so that a seed keeps meaning the room it meant at first
    order = [int(i) for i in rng.permutation(len(walls))]
    for index in order[: 2 if rng.random() < 0.4 else 1]:
        add_door(builder, rng, pool, walls[index], height)
    daylight = float(rng.choice([0.15, 1.0])) * float(rng.uniform(0.6, 2.2))
    holes, lights = _windows(builder, rng, pool, walls, height, daylight)
    for index, wall in enumerate(walls):
        _wall_surface(builder, wall, height, holes[index], look)
    if size is None and width * depth > 20:
        _partitions(builder, rng, walls, (width, depth, height), look)
    if rng.random() < 0.75:
        _skirting(builder, rng, walls)
    return Shell((width, depth, height), walls, tuple(lights), daylight)


def _floor_and_ceiling(builder: SceneBuilder, rng: Rng, size: tuple[float, float, float], *, zones: bool) -> None:
    """Lay the floor (with ``zones`` sometimes in two materials) and the ceiling."""
    width, depth, height = size
    floor, ceiling = floor_look(rng, builder), tex.plain if rng.random() < 0.7 else tex.plaster
    ceiling_layer = builder.texture(ceiling(rng, np.clip(tex.wall_colour(rng) * 0.5 + 0.45, 0, 0.95)))
    x_axis, y_axis = np.array([width, 0, 0]), np.array([0, depth, 0])
    turn = rng.random() < 0.5
    first, second = (x_axis, y_axis) if turn else (y_axis, x_axis)
    builder.quad(
        np.zeros(3), first, second, label_id("floor"), layer=floor.layer, tile_m=floor.tile_m, gloss=floor.gloss
    )
    if zones and rng.random() < 0.25:
        _floor_zone(builder, rng, width, depth)
    if floor.gloss > 0.04 and rng.random() < 0.6:
        origin, strength = (0.0, 0.0, 0.0), float(rng.uniform(0.02, 0.12))
        blur = float(rng.uniform(0.8, 4.0))
        floor_id = label_id("floor")
        builder.reflectors.append(Reflector(origin, triple(x_axis), triple(y_axis), strength, blur, floor_id))
    builder.quad(np.array([0, 0, height]), x_axis, y_axis, label_id("ceiling"), layer=ceiling_layer, tile_m=2.0)


def _windows(
    builder: SceneBuilder,
    rng: Rng,
    pool: FurniturePool,
    walls: tuple[Wall, ...],
    height: float,
    daylight: float,
) -> tuple[dict[int, list[Opening]], list[Light]]:
    """Cut up to four windows; return the holes by wall and their light."""
    lights: list[Light] = []
    holes: dict[int, list[Opening]] = {i: [] for i in range(len(walls))}
    for _ in range(int(rng.choice([0, 1, 1, 2, 2, 3, 4]))):
        index = int(rng.integers(len(walls)))
        if walls[index].length < 1.2 or (holes[index] and rng.random() < 0.5):
            continue
        made = add_window(builder, rng, pool, walls[index], height, daylight)
        if made is not None:
            holes[index].append(made[0])
            lights.append(made[1])
    return holes, lights
