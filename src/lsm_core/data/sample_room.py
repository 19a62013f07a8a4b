"""The room and the walk of the packaged sample sequence; models of both splits, chosen to be told apart."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from lsm_core.data import textures as tex
from lsm_core.data.clutter import Clutterer
from lsm_core.data.furniture import FurniturePool, PreparedModel
from lsm_core.data.placement import place_model, put_model
from lsm_core.data.scene import Light, Scene, SceneBuilder, label_id
from lsm_core.data.shell import build_shell
from lsm_core.data.trajectories import look_at
from lsm_core.data.wall_decor import WallDecorator
from lsm_core.errors import DependencyError, FileFormatError

ROOM_SIZE_M = (6.6, 4.6, 2.6)
SEED = 8
# pack and model, x, y, turn in degrees (0 = front towards -y, 90 = towards +x)
FURNITURE: tuple[tuple[str, float, float, float], ...] = (
    ("KatorLegaz/full-bookcase", 0.62, 4.40, 0.0),
    ("Scopia/kids_shelves", 1.62, 4.36, 0.0),
    ("Scopia/wooden_office_pear_table_rect", 2.05, 2.90, 0.0),
    ("BlendSwap-CC-BY/kitchenChair", 1.70, 2.18, 172.0),
    ("BlendSwap-CC-BY/kitchenChair", 2.45, 2.18, 188.0),
    ("BlendSwap-CC-BY/kitchenChair", 1.62, 3.55, 5.0),
    ("BlendSwap-CC-BY/kitchenChair", 2.42, 3.60, -8.0),
    ("Scopia/living_lamp", 2.85, 4.22, 0.0),
    ("BlendSwap-CC-0/sofa2", 4.20, 4.12, 0.0),
    ("Scopia/living_room_table", 4.20, 3.05, 0.0),
    ("BlendSwap-CC-0/plant", 5.50, 4.12, 0.0),
    ("BlendSwap-CC-BY/tvStand", 6.30, 3.05, -90.0),
    ("BlendSwap-CC-0/bed1", 5.48, 1.05, -90.0),
    ("BlendSwap-CC-BY/bedsideTable", 6.32, 2.12, -90.0),
)
# model, what it stands on (index in FURNITURE), offset x, y, turn
ON_TOP: tuple[tuple[str, int, float, float, float], ...] = (
    ("Scopia/tv", 11, 0.05, 0.0, -90.0),
    ("Scopia/little_lamp3", 13, 0.0, 0.0, 0.0),
    ("BlendSwap-CC-BY/laptop", 2, -0.35, 0.05, 160.0),
    ("Scopia/apples", 2, 0.40, 0.05, 0.0),
    ("Scopia/vase2", 9, 0.25, 0.0, 0.0),
)
# time share, eye x y z, target x y z
WAYPOINTS: tuple[tuple[float, ...], ...] = (
    (0.00, 0.85, 0.75, 1.50, 1.15, 4.0, 0.75),
    (0.22, 1.90, 0.80, 1.48, 2.05, 3.6, 0.65),
    (0.44, 3.00, 0.85, 1.42, 3.65, 3.9, 0.55),
    (0.63, 3.75, 1.15, 1.38, 5.00, 3.9, 0.60),
    (0.80, 3.85, 1.70, 1.38, 6.00, 3.1, 0.60),
    (1.00, 3.45, 2.25, 1.42, 5.80, 1.35, 0.45),
)


def _model(pool: FurniturePool, name: str) -> PreparedModel:
    pack, model_name = name.split("/")
    for label in pool.labels:
        for entry in pool.entries(label):
            if entry.pack == pack and entry.key.split("#")[-1] == model_name:
                model = pool.load(entry)
                if model is not None:
                    return model
    raise DependencyError(f"No furniture model {name}.", "install the package sweethome3d-furniture 1.8.")


def build_sample_room(pool: FurniturePool) -> Scene:
    """Build the sample room.

    Raises:
        DependencyError: a model of the layout is not installed.
        FileFormatError: a model of another size no longer fits.
    """
    rng = np.random.default_rng(SEED)
    builder = SceneBuilder()
    shell = build_shell(builder, rng, pool, compact=False, size=ROOM_SIZE_M)
    clutter = Clutterer(builder, rng, pool, shell)
    _lay_rug(builder, rng)
    for name, x, y, turn in FURNITURE:
        model, at, yaw = _model(pool, name), np.array([x, y, 0.0]), np.deg2rad(turn)
        if not place_model(builder, np.random.default_rng(len(name)), model, at, yaw, shell.size, margin=-0.02):
            raise FileFormatError(f"{name} does not fit into the sample room.", "change the layout or the seed.")
        if model.entry.label in ("bookshelf", "sofa", "bed"):
            clutter.fill_supports(model, at, yaw, 1.2)
    for name, base, dx, dy, turn in ON_TOP:
        under, model = _model(pool, FURNITURE[base][0]), _model(pool, name)
        top = max((s.height for s in under.supports), default=under.size[2])
        at = np.array([FURNITURE[base][1] + dx, FURNITURE[base][2] + dy, top])
        put_model(builder, rng, model, at, np.deg2rad(turn))
    WallDecorator(builder, rng, pool, shell).hang(9)
    lights = (*shell.lights, *clutter.ceiling(2.0))
    strongest: list[Light] = sorted(lights, key=lambda item: -sum(item.colour))[:4]
    return builder.build(tuple(strongest), shell.size, (0.55, 0.55, 0.54), (0.3, 0.27, 0.24))


def _lay_rug(builder: SceneBuilder, rng: np.random.Generator) -> None:
    layer = builder.texture(tex.rug_pattern(rng, np.array([0.55, 0.3, 0.25])))
    size = np.array([2.2, 1.6, 0.008])
    builder.box(np.array([4.1, 2.95, 0.004]), size, 0.0, label_id("rug"), layer=layer)


def sample_walk(count: int) -> np.ndarray:
    """Return the walk [count, 4, 4] float64: T_world_cam of the optical frame, smooth, equal time steps."""
    points = np.array(WAYPOINTS)
    spline = CubicSpline(points[:, 0], points[:, 1:], bc_type="natural")
    share = np.linspace(0.0, 1.0, count)
    sway = 1.2 * np.sin(2 * np.pi * share * 5.0)
    return np.stack([look_at(p[:3], p[3:], np.deg2rad(r)) for p, r in zip(spline(share), sway, strict=True)])
