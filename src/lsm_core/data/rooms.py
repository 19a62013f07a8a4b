"""Builds one furnished room from a seed."""

from __future__ import annotations

import numpy as np

from lsm_core.data.clutter import Clutterer
from lsm_core.data.furnish import KIND_WEIGHTS, ROOM_KINDS, Furnisher
from lsm_core.data.furniture import FurniturePool
from lsm_core.data.lighting import light_room
from lsm_core.data.scene import Scene, SceneBuilder
from lsm_core.data.shell import build_shell
from lsm_core.data.thin_things import ThinThings
from lsm_core.data.wall_decor import WallDecorator


def build_room(seed: int, pool: FurniturePool, kind: str | None = None) -> Scene:
    """Build a room: shell, furniture, clutter, light. Equal seeds and pools give equal rooms.

    Args:
        seed: non-negative integer.
        pool: the models to furnish with.
        kind: one of ``ROOM_KINDS``; drawn from the seed when None.
    """
    rng = np.random.default_rng(seed)
    drawn = str(rng.choice(ROOM_KINDS, p=np.array(KIND_WEIGHTS) / sum(KIND_WEIGHTS)))
    kind = kind or drawn
    builder = SceneBuilder()
    shell = build_shell(builder, rng, pool, compact=kind == "bathroom" and rng.random() < 0.8)
    clutter = Clutterer(builder, rng, pool, shell)
    furnisher = Furnisher(builder, rng, pool, shell)
    furnisher.furnish(kind)
    density = float(rng.choice([0.4, 1.0, 1.8]))
    for model, at, yaw in list(builder.placed):
        if model.entry.label in (
            "table",
            "desk",
            "bookshelf",
            "cabinet",
            "sofa",
            "bed",
            "piano",
            "washing machine",
        ):
            clutter.fill_supports(model, at, yaw, density)
    clutter.rugs()
    WallDecorator(builder, rng, pool, shell).hang(int(2 * (shell.size[0] + shell.size[1]) * rng.uniform(0.2, 0.9)))
    clutter.floor(int(rng.poisson((2 + 0.15 * shell.size[0] * shell.size[1]) * density)))
    lamps_on = not shell.lights or shell.daylight < 0.5 or rng.random() < 0.4
    power = float(rng.uniform(1.2, 3.0)) if lamps_on else 0.0
    ThinThings(builder, rng, shell).scatter()
    return light_room(builder, rng, shell, clutter.ceiling(power), power)
