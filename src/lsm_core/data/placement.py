"""Puts a prepared furniture model into the scene, with small changes of colour and surface."""

from __future__ import annotations

import numpy as np

from lsm_core.data import textures as tex
from lsm_core.data.furniture import PreparedModel
from lsm_core.data.scene import SceneBuilder, box_uv, label_id, rotation_z

Rng = np.random.Generator
_SOFT = frozenset({"sofa", "bed", "chair", "curtain", "towel", "clothes", "bag", "rug", "pillow"})
_WOODEN = frozenset({"table", "desk", "bookshelf", "cabinet", "door", "piano", "chair", "bed", "box"})
_SHINY = frozenset(
    {
        "refrigerator",
        "oven",
        "sink",
        "toilet",
        "bathtub",
        "vase",
        "cup",
        "bottle",
        "tv",
        "piano",
        "washing machine",
        "coffee machine",
    }
)
DARK_SHARE = 0.18


def footprint(model: PreparedModel, at: np.ndarray, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the axis-aligned box (low, high) of a model standing at ``at`` turned by ``yaw``."""
    c, s = abs(float(np.cos(yaw))), abs(float(np.sin(yaw)))
    half_x, half_y = model.size[0] / 2, model.size[1] / 2
    reach = np.array([c * half_x + s * half_y, s * half_x + c * half_y, 0.0])
    base = np.asarray(at, float)
    return base - reach, base + reach + np.array([0, 0, model.size[2]])


def vary_colours(rng: Rng, colours: np.ndarray, amount: float) -> np.ndarray:
    """Change colours [T, 3] a little and pull glaring ones towards grey."""
    grey = colours.mean(1, keepdims=True)
    saturation = colours.max(1, keepdims=True) - colours.min(1, keepdims=True)
    calm = np.where(saturation > 0.5, float(rng.uniform(0.4, 0.8)), 1.0)
    out = grey + (colours - grey) * calm
    if rng.random() < DARK_SHARE:
        out = out * float(rng.uniform(0.06, 0.35))  # black chairs, dark fronts
    elif rng.random() < amount:
        tint = 1.0 + rng.normal(0.0, 0.06, 3)
        out = (grey + (out - grey) * float(rng.uniform(0.5, 1.1))) * tint * float(rng.uniform(0.75, 1.15))
    return np.clip(out, 0.02, 0.93).astype(np.float32)


def _detail(rng: Rng, label: str) -> np.ndarray | None:
    """Return a near-white texture that gives an untextured surface its material, or None."""
    light = np.full(3, 0.88)
    if label == "door" and rng.random() < 0.6:
        return None
    if label in _WOODEN and rng.random() < (0.6 if label not in _SOFT else 0.35):
        return tex.wood(rng, light)
    if label in _SOFT:
        return tex.fabric(rng, light) if rng.random() < 0.7 else tex.carpet(rng, light)
    return tex.plaster(rng, light) if rng.random() < 0.15 else None


def put_model(
    builder: SceneBuilder,
    rng: Rng,
    model: PreparedModel,
    at: np.ndarray,
    yaw: float,
    *,
    recolour: float = 0.4,
    label: str | None = None,
    scale: float = 1.0,
) -> None:
    """Add a model standing at ``at`` (world metres, its bottom centre); does not record an obstacle."""
    name = label or model.entry.label or "void"
    turn = rotation_z(yaw)
    positions = (model.positions * scale) @ turn.T + np.asarray(at, np.float32)
    layers = model.layers.copy()
    uvs = model.uvs.copy()
    uvs[..., 1] = 1.0 - uvs[..., 1]  # OBJ puts v = 0 at the bottom row of the image
    first = [builder.texture(t) for t in model.textures]
    for index, layer in enumerate(first):
        layers[model.layers == index] = layer
    bare = model.layers < 0
    colours = vary_colours(rng, model.colours, recolour)
    detail = _detail(rng, name) if bare.mean() > 0.2 else None
    if detail is not None:
        layers[bare] = builder.texture(detail)
        uvs[bare] = box_uv(model.positions[bare], model.normals[bare], float(rng.uniform(0.4, 1.0)))
    glow = 0.0
    if name == "lamp":
        bright = (colours.min(1) > 0.7) & bare
        glow_value = float(rng.uniform(0.3, 1.2)) if rng.random() < 0.5 else 0.0
        builder.triangles(
            positions,
            model.normals @ turn.T,
            uvs,
            colours,
            layers,
            label_id(name),
            emission=np.where(bright, glow_value, 0.0),
        )
        return
    gloss = float(rng.uniform(0.1, 0.5)) if name in _SHINY else float(rng.choice([0.0, 0.0, 0.1]))
    builder.triangles(
        positions, model.normals @ turn.T, uvs, colours, layers, label_id(name), emission=glow, gloss=gloss
    )


def place_model(
    builder: SceneBuilder,
    rng: Rng,
    model: PreparedModel,
    at: np.ndarray,
    yaw: float,
    room: tuple[float, float, float],
    *,
    margin: float = 0.02,
) -> bool:
    """Add a model where it fits into the room without touching anything; tell whether it did."""
    low, high = footprint(model, at, yaw)
    inside = (low[:2] > -0.03).all() and high[0] < room[0] + 0.03 and high[1] < room[1] + 0.03
    if not inside or high[2] > room[2] or builder.collides(low, high, margin):
        return False
    put_model(builder, rng, model, at, yaw)
    builder.add_item(model.entry.label or "void", low, high)
    builder.placed.append((model, np.asarray(at, float), yaw))
    return True
