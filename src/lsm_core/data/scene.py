"""Gathers the triangles, textures, lights and objects of one room into a renderable scene.

World frame: metres, z up, floor at z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lsm_core.data.classes import CLASS_ID
from lsm_core.data.furniture import PreparedModel

NO_DEPTH = 64  # added to the label of surfaces that carry no depth (what is outside a window)
TUBE_SIDES = 6
VERTEX_FLOATS = 15  # position 3, normal 3, uv 2, colour 3, layer, label, emission, gloss


@dataclass(frozen=True)
class Light:
    """A lamp or a window; ``direction`` is where it shines, ``size_m`` softens it nearby."""

    position: tuple[float, float, float]
    direction: tuple[float, float, float]
    colour: tuple[float, float, float]  # linear intensity
    size_m: float
    spread: float  # 0 = all directions alike, 1 = cosine lobe, above 1 the power of the cosine (a spot)
    shadow: bool


@dataclass(frozen=True)
class Reflector:
    """A flat rectangle that reflects: a mirror, a pane of glass, a polished floor."""

    corner: tuple[float, float, float]
    along: tuple[float, float, float]
    up: tuple[float, float, float]
    strength: float  # share of the light reflected head-on, 0 to 1; more at grazing angles (Schlick)
    blur_px: float = 0.0  # of the reflection
    label: int | None = None  # only pixels of this label reflect (a floor, not what stands on it)


@dataclass(frozen=True)
class Item:
    """An object in the room: what it is and its axis-aligned box in world metres."""

    label: str
    low: tuple[float, float, float]
    high: tuple[float, float, float]

    @property
    def centre(self) -> np.ndarray:
        """Return the box centre [3]."""
        return (np.array(self.low) + np.array(self.high)) / 2


@dataclass(frozen=True)
class Scene:
    """Everything the renderer and the camera planner need about a room."""

    vertices: np.ndarray  # [3 T, VERTEX_FLOATS] float32
    textures: np.ndarray  # [L, 256, 256, 4] uint8
    lights: tuple[Light, ...]
    items: tuple[Item, ...]
    obstacles: np.ndarray  # [N, 6] float32: low xyz, high xyz
    size: tuple[float, float, float]  # room extent, metres
    ambient: tuple[float, float, float]  # linear, from above
    bounce: tuple[float, float, float]  # linear, from below
    reflectors: tuple[Reflector, ...] = ()


def triple(values: np.ndarray) -> tuple[float, float, float]:
    """Return three numbers as a tuple of floats."""
    return float(values[0]), float(values[1]), float(values[2])


def rotation_z(angle: float) -> np.ndarray:
    """Return the 3x3 rotation about z by ``angle`` radians."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], np.float32)


def box_uv(positions: np.ndarray, normals: np.ndarray, tile_m: float) -> np.ndarray:
    """Project corners [T, 3, 3] on the main plane of each face normal: uv [T, 3, 2]."""
    axis = np.abs(normals.mean(1)).argmax(-1)
    pairs = np.array([[1, 2], [0, 2], [0, 1]])[axis]
    return np.take_along_axis(positions, pairs[:, None, :].repeat(3, 1), axis=2) / tile_m


_FACES = (  # outward normal axis, sign
    (0, 1.0),
    (0, -1.0),
    (1, 1.0),
    (1, -1.0),
    (2, 1.0),
    (2, -1.0),
)


class SceneBuilder:
    """Collects triangles and textures; ``layer`` -1 means no texture."""

    def __init__(self) -> None:
        self._chunks: list[np.ndarray] = []
        self._textures: list[np.ndarray] = []
        self._layer_of: dict[int, int] = {}
        self.items: list[Item] = []
        self.placed: list[tuple[PreparedModel, np.ndarray, float]] = []
        self.obstacles: list[tuple[float, ...]] = []
        self.reflectors: list[Reflector] = []

    def texture(self, rgba: np.ndarray) -> int:
        """Add a texture [256, 256, 4] and return its layer; equal textures share one."""
        key = hash(rgba.tobytes())
        if key not in self._layer_of:
            self._layer_of[key] = len(self._textures)
            self._textures.append(rgba)
        return self._layer_of[key]

    def triangles(
        self,
        positions: np.ndarray,
        normals: np.ndarray,
        uvs: np.ndarray,
        colours: np.ndarray,
        layers: np.ndarray | int,
        label: int,
        *,
        emission: float | np.ndarray = 0.0,
        gloss: float = 0.0,
    ) -> None:
        """Add triangles: corners [T, 3, 3], normals alike, uv [T, 3, 2], colour [T, 3] or [3]."""
        count = len(positions)
        out = np.empty((count, 3, VERTEX_FLOATS), np.float32)
        out[..., 0:3], out[..., 3:6], out[..., 6:8] = positions, normals, uvs
        out[..., 8:11] = np.broadcast_to(np.asarray(colours, np.float32), (count, 3))[:, None, :]
        out[..., 11] = np.broadcast_to(np.asarray(layers), (count,))[:, None]
        out[..., 12] = label
        out[..., 13] = np.broadcast_to(np.asarray(emission), (count,))[:, None]
        out[..., 14] = gloss
        self._chunks.append(out.reshape(-1, VERTEX_FLOATS))

    def quad(
        self,
        corner: np.ndarray,
        along: np.ndarray,
        up: np.ndarray,
        label: int,
        *,
        colour: tuple[float, float, float] = (1.0, 1.0, 1.0),
        layer: int = -1,
        tile_m: float | None = None,
        offset: tuple[float, float] = (0.0, 0.0),
        emission: float = 0.0,
        gloss: float = 0.0,
    ) -> None:
        """Add the parallelogram ``corner + s along + t up``; uv in tiles, or 0..1 without a tile size."""
        corner, along, up = (np.asarray(v, np.float32) for v in (corner, along, up))
        p = np.stack([corner, corner + along, corner + along + up, corner + up])
        width, height = float(np.linalg.norm(along)), float(np.linalg.norm(up))
        u, v = (width / tile_m, height / tile_m) if tile_m else (1.0, 1.0)
        uv = np.array([[0, 0], [u, 0], [u, v], [0, v]], np.float32) + np.array(offset, np.float32)
        normal = np.cross(along, up)
        normal = normal / max(1e-9, float(np.linalg.norm(normal)))
        index = np.array([[0, 1, 2], [0, 2, 3]])
        self.triangles(
            p[index],
            np.broadcast_to(normal, (2, 3, 3)),
            uv[index],
            np.array(colour),
            layer,
            label,
            emission=emission,
            gloss=gloss,
        )

    def box(
        self,
        centre: np.ndarray,
        size: np.ndarray,
        yaw: float,
        label: int,
        *,
        colour: tuple[float, float, float] = (1.0, 1.0, 1.0),
        layer: int = -1,
        tile_m: float | None = None,
        gloss: float = 0.0,
        emission: float = 0.0,
    ) -> None:
        """Add a box turned about z; ``centre`` is the middle of the box."""
        turn = rotation_z(yaw)
        half = np.asarray(size, np.float32) / 2
        for axis, sign in _FACES:
            first, second = [(1, 2), (2, 0), (0, 1)][axis]
            if sign < 0:
                first, second = second, first
            along, up = np.zeros(3, np.float32), np.zeros(3, np.float32)
            along[first], up[second] = 2 * half[first], 2 * half[second]
            corner = -(along + up) / 2
            corner[axis] = sign * half[axis]
            self.quad(
                np.asarray(centre) + turn @ corner,
                turn @ along,
                turn @ up,
                label,
                colour=colour,
                layer=layer,
                tile_m=tile_m,
                gloss=gloss,
                emission=emission,
            )

    def tube(
        self,
        points: np.ndarray,
        radius: float,
        label: int,
        *,
        colour: tuple[float, float, float],
        gloss: float = 0.0,
    ) -> None:
        """Add a thin pipe of ``TUBE_SIDES`` sides along a polyline [N, 3]."""
        points = np.asarray(points, np.float64)
        angle = 2 * np.pi * np.arange(TUBE_SIDES + 1) / TUBE_SIDES
        for a, b in pairwise(points):
            axis = (b - a) / max(1e-9, float(np.linalg.norm(b - a)))
            side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
            side /= np.linalg.norm(side)
            rim = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * np.cross(axis, side)
            low, high = a - 0.5 * radius * axis + radius * rim, b + 0.5 * radius * axis + radius * rim
            first = np.stack([low[:-1], low[1:], high[1:]], 1)
            second = np.stack([low[:-1], high[1:], high[:-1]], 1)
            normals = np.concatenate(
                [np.stack([rim[:-1], rim[1:], rim[1:]], 1), np.stack([rim[:-1], rim[1:], rim[:-1]], 1)]
            )
            corners = np.concatenate([first, second])
            self.triangles(
                corners, normals, np.zeros((len(corners), 3, 2)), np.array(colour), -1, label, gloss=gloss
            )

    def add_item(self, label: str, low: np.ndarray, high: np.ndarray, *, blocks: bool = True) -> None:
        """Record an object and, where it blocks, its box as an obstacle."""
        lows = (float(low[0]), float(low[1]), float(low[2]))
        highs = (float(high[0]), float(high[1]), float(high[2]))
        self.items.append(Item(label, lows, highs))
        if blocks:
            self.obstacles.append((*lows, *highs))

    def collides(self, low: np.ndarray, high: np.ndarray, margin: float = 0.0) -> bool:
        """Tell whether a box (world metres) overlaps any obstacle."""
        if not self.obstacles:
            return False
        boxes = np.array(self.obstacles)
        inside = (boxes[:, :3] < np.asarray(high) + margin) & (boxes[:, 3:] > np.asarray(low) - margin)
        return bool(inside.all(1).any())

    def build(
        self,
        lights: tuple[Light, ...],
        size: tuple[float, float, float],
        ambient: tuple[float, float, float],
        bounce: tuple[float, float, float],
    ) -> Scene:
        """Freeze what was gathered."""
        blank = np.full((1, 256, 256, 4), 255, np.uint8)
        return Scene(
            vertices=np.concatenate(self._chunks),
            textures=np.stack(self._textures) if self._textures else blank,
            lights=lights,
            items=tuple(self.items),
            obstacles=np.array(self.obstacles, np.float32).reshape(-1, 6),
            size=size,
            ambient=ambient,
            bounce=bounce,
            reflectors=tuple(self.reflectors),
        )


def label_id(name: str) -> int:
    """Return the index of a class name in ``CLASSES``."""
    return CLASS_ID[name]
