"""The renderer against geometry that is known in closed form, and rooms against themselves."""

from __future__ import annotations

import numpy as np
import pytest

from lsm_core.data.catalog import FurnitureEntry, entries_for_split
from lsm_core.data.classes import CLASSES
from lsm_core.data.frames import photograph_walk
from lsm_core.data.furniture import FurniturePool, find_supports, prepare
from lsm_core.data.gl_renderer import Renderer
from lsm_core.data.overlap import pair_overlap, reproject
from lsm_core.data.reflections import facing_plane, mirrored, reflected_share
from lsm_core.data.rooms import build_room
from lsm_core.data.scene import NO_DEPTH, Light, Reflector, Scene, SceneBuilder, label_id
from lsm_core.data.trajectories import look_at

K = np.array([[100.0, 0, 60.0], [0, 98.0, 50.0], [0, 0, 1]])


def _box_scene() -> Scene:
    """A 4 x 5 x 3 m box with a table-labelled cube and a view to the outside."""
    builder = SceneBuilder()
    corner, x, y, z = np.zeros(3), np.array([4.0, 0, 0]), np.array([0, 5.0, 0]), np.array([0, 0, 3.0])
    for start, a, b, name in (
        (corner, x, y, "floor"),
        (corner + z, x, y, "ceiling"),
        (corner, x, z, "wall"),
        (corner, y, z, "wall"),
        (corner + x, y, z, "wall"),
    ):
        builder.quad(start, a, b, label_id(name), colour=(0.7, 0.7, 0.7))
    builder.quad(corner + y, x, z, label_id("window") + NO_DEPTH, emission=1.0)
    builder.box(np.array([2.0, 3.0, 0.5]), np.array([1.0, 1.0, 1.0]), 0.0, label_id("table"))
    light = Light((2.0, 2.0, 2.8), (0.0, 0.0, -1.0), (2.0, 2.0, 2.0), 0.3, 0.3, True)
    return builder.build((light,), (4.0, 5.0, 3.0), (0.3, 0.3, 0.3), (0.2, 0.2, 0.2))


def test_depth_is_the_distance_along_the_axis_at_pixel_centres(renderer: Renderer) -> None:
    renderer.load(_box_scene())
    pose = look_at(np.array([2.0, 1.0, 0.5]), np.array([2.0, 4.0, 0.5]), 0.0)
    frame = renderer.render(K, pose)
    row, column = 50, 60  # the principal point: the cube's front face, 1.5 m ahead
    assert frame.depth[row, column] == pytest.approx(1.5, abs=1e-3)
    assert CLASSES[frame.label[row, column]] == "table"
    floor_row = 90
    expected = 0.5 / ((floor_row - K[1, 2]) / K[1, 1])  # height over the slope of the pixel's ray
    assert frame.depth[floor_row, 5] == pytest.approx(expected, rel=2e-3)
    assert CLASSES[frame.label[floor_row, 5]] == "floor"


def test_the_outside_has_a_label_but_no_depth(renderer: Renderer) -> None:
    renderer.load(_box_scene())
    frame = renderer.render(K, look_at(np.array([2.0, 1.0, 1.5]), np.array([2.0, 4.0, 1.6]), 0.0))
    outside = frame.label == CLASSES.index("window")
    assert outside.any() and (frame.depth[outside] == 0).all()
    assert (frame.depth[~outside] > 0).all()


def test_colours_are_finite_and_lit(renderer: Renderer) -> None:
    renderer.load(_box_scene())
    frame = renderer.render(K, look_at(np.array([1.0, 1.0, 1.5]), np.array([2.0, 4.0, 0.6]), 0.1))
    assert np.isfinite(frame.colour).all() and frame.colour.min() >= 0.0 and frame.colour.mean() > 0.02


def test_a_shadow_is_darker_than_the_lit_floor_beside_it(renderer: Renderer) -> None:
    renderer.load(_box_scene())
    frame = renderer.render(K, look_at(np.array([0.5, 4.6, 2.0]), np.array([2.0, 3.4, 0.0]), 0.0))
    floor = frame.colour.mean(-1)[frame.label == CLASSES.index("floor")]
    assert np.percentile(floor, 95) > 1.5 * np.percentile(floor, 5)


def test_reprojected_depth_agrees_between_views(renderer: Renderer) -> None:
    renderer.load(_box_scene())
    poses = np.stack(
        [
            look_at(np.array([1.0, 0.7, 1.4]), np.array([2.0, 3.5, 0.6]), 0.05),
            look_at(np.array([1.4, 0.9, 1.2]), np.array([2.1, 3.4, 0.5]), -0.1),
        ]
    )
    frames = [renderer.render(K, pose) for pose in poses]
    uv, z = reproject(frames[0].depth, K, np.linalg.inv(poses[1]) @ poses[0], K, stride=1)
    inside = np.isfinite(z) & (uv > 0).all(1) & (uv[:, 0] < 126) & (uv[:, 1] < 94)
    column, row = np.rint(uv[inside]).astype(int).T
    error = np.abs(frames[1].depth[row, column] - z[inside]) / z[inside]
    assert np.median(error) < 0.01 and (error < 0.05).mean() > 0.9


def test_overlap_is_one_for_the_same_view_and_none_back_to_back(renderer: Renderer) -> None:
    renderer.load(_box_scene())
    eye = np.array([2.0, 1.5, 1.5])
    poses = np.stack([look_at(eye, eye + d, 0.0) for d in ([-1.0, 0, -0.3], [-1.0, 0, -0.3], [1.0, 0, -0.3])])
    depth = np.stack([renderer.render(K, p).depth for p in poses])
    stacked = np.broadcast_to(K, (3, 3, 3))
    assert pair_overlap(depth, stacked, poses, 0, 1) > 0.98
    assert pair_overlap(depth, stacked, poses, 0, 2) < 0.05


def test_a_mirror_shows_what_is_behind_the_camera_and_has_no_depth(renderer: Renderer) -> None:
    mirror = Reflector((1.0, 4.99, 0.5), (2.0, 0.0, 0.0), (0.0, 0.0, 2.0), 0.95)
    builder = SceneBuilder()
    x, y, z = np.array([4.0, 0, 0]), np.array([0, 5.0, 0]), np.array([0, 0, 3.0])
    for start, a, b in ((0 * x, x, y), (y, x, z), (0 * x, y, z), (x, y, z)):
        builder.quad(start, a, b, label_id("wall"), colour=(0.6, 0.6, 0.6))
    builder.quad(np.zeros(3), x, z, label_id("wall"), colour=(0.9, 0.1, 0.1))  # the wall behind the camera is red
    builder.quad(mirror.corner, mirror.along, mirror.up, label_id("void") + NO_DEPTH)
    builder.reflectors.append(mirror)
    renderer.load(builder.build((), (4, 5, 3), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)))
    frame = renderer.render(K, look_at(np.array([2.0, 2.0, 1.5]), np.array([2.0, 5.0, 1.5]), 0.0))
    row, column = 50, 60
    assert frame.depth[row, column] == 0 and frame.label[row, column] == 0
    red, green, _ = frame.colour[row, column]
    assert red > 4 * green
    beside = frame.colour[row, 2]
    assert beside[0] == pytest.approx(beside[1], rel=0.2)


def test_a_reflector_is_hidden_by_what_stands_before_it() -> None:
    pane = Reflector((-1.0, -1.0, 2.0), (2.0, 0, 0), (0, 2.0, 0), 0.1)
    depth, label = np.full((96, 128), 3.0), np.zeros((96, 128), np.uint8)
    depth[:, 64:] = 1.0
    share = reflected_share(pane, K, np.eye(4), depth, label)
    assert (share[40:60, 20:60] >= 0.1).all() and (share[:, 64:] == 0).all()
    camera = mirrored(facing_plane(pane, np.eye(4)), np.eye(4))
    np.testing.assert_allclose(camera[:3, 3], [0, 0, 4.0], atol=1e-12)
    np.testing.assert_allclose(camera[:3, 2], [0, 0, -1.0], atol=1e-12)


def test_a_tube_is_as_long_and_as_thick_as_asked() -> None:
    builder = SceneBuilder()
    builder.tube(np.array([[0, 0, 0], [0, 0, 1.0]]), 0.02, label_id("chair"), colour=(0.5, 0.5, 0.5))
    corners = builder.build((), (1, 1, 1), (0, 0, 0), (0, 0, 0)).vertices
    np.testing.assert_allclose(np.linalg.norm(corners[:, :2], axis=1), 0.02, atol=1e-6)
    np.testing.assert_allclose([corners[:, 2].min(), corners[:, 2].max()], [-0.01, 1.01], atol=1e-6)
    np.testing.assert_allclose((corners[:, 3:5] * corners[:, :2]).sum(1), 0.02, atol=1e-6)  # normals point out


def test_supports_are_found_on_a_table_top_and_a_shelf() -> None:
    builder = SceneBuilder()
    for height in (0.4, 0.8):
        builder.box(np.array([0, 0, height]), np.array([1.0, 0.6, 0.02]), 0.0, label_id("table"))
    scene = builder.build((), (1, 1, 1), (0, 0, 0), (0, 0, 0))
    supports = find_supports(scene.vertices[:, :3].reshape(-1, 3, 3), (1.0, 0.6, 0.81))
    assert [round(s.height, 2) for s in supports] == [0.41, 0.81]
    assert supports[0].clearance == pytest.approx(0.37, abs=0.01)


def _small_pool(catalog: list[FurnitureEntry]) -> FurniturePool:
    """A few small validation models, so that a room is built in little time."""
    wanted = {"chair": 2, "table": 1, "sofa": 1, "door": 1, "lamp": 1, "cabinet": 2}
    chosen: list[FurnitureEntry] = []
    for entry in entries_for_split(catalog, "val"):
        if entry.label in wanted and wanted[entry.label] > 0:
            wanted[entry.label] -= 1
            chosen.append(entry)
    return FurniturePool(chosen)


def test_a_model_is_metric_stands_on_the_floor_and_has_unit_normals(catalog: list[FurnitureEntry]) -> None:
    entry = next(e for e in catalog if e.label == "table" and e.pack == "Scopia")
    model = prepare(entry)
    extent = model.positions.max((0, 1)) - model.positions.min((0, 1))
    np.testing.assert_allclose(extent, [entry.width_m, entry.depth_m, entry.height_m], rtol=0.02)
    assert model.positions[..., 2].min() == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(np.linalg.norm(model.normals, axis=-1), 1.0, atol=1e-4)


def test_equal_seeds_give_equal_rooms_and_frames(catalog: list[FurnitureEntry], renderer: Renderer) -> None:
    pool = _small_pool(catalog)
    rooms = [build_room(5, pool, kind="living") for _ in range(2)]
    np.testing.assert_array_equal(rooms[0].vertices, rooms[1].vertices)
    assert rooms[0].items == rooms[1].items
    assert not np.array_equal(build_room(6, pool, kind="living").vertices[:300], rooms[0].vertices[:300])
    walks = []
    for room in rooms:
        renderer.load(room)
        walks.append(photograph_walk(renderer, room, np.random.default_rng(3), {}))
    first, second = walks
    assert first is not None and second is not None
    np.testing.assert_array_equal(first.rgb, second.rgb)
    np.testing.assert_array_equal(first.depth, second.depth)
    assert first.label.max() < len(CLASSES)
    assert len(first.pairs) and ((first.overlap >= 0.1) & (first.overlap <= 0.97)).all()
