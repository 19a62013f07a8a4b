"""What the pictures show is what is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from room import FLOOR, HEIGHT, WALL, WIDTH, K, camera, look, psnr, room

from lsm_core import load_backend
from lsm_core.data.sample import sample_path
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.io import open_bag
from lsm_core.io.scale_bars import bar_width
from lsm_core.types import Camera
from lsm_core.views import Kind, Painter, Scene, frame_scene, parse_kinds, scene_of


def test_a_known_camera_gives_the_view_it_saw(known_room: Scene) -> None:
    painter = Painter(known_room, [Kind.RGB], known_room.cameras)
    for view in known_room.cameras:
        truth = 255 * look(view)[1].numpy()
        assert psnr(painter.paint(view)["rgb"], truth) > 27
    between = camera(0.0)
    assert psnr(painter.paint(between)["rgb"], 255 * look(between)[1].numpy()) > 24


def test_a_known_camera_gives_the_image_of_the_packaged_recording() -> None:
    """Measured 28.3 dB; a camera that is 5 degrees off gives less than 16."""
    with open_bag(sample_path()) as bag:
        images = [frame.image for frame in bag.frames(bag.image_topic(None))]
    pair = [images[40], images[46]]
    prediction = load_backend("lsm-tiny", "cpu").predict(pair)
    scene = scene_of(prediction, pair)
    truth = prediction.colors[0]
    painter = Painter(scene, [Kind.RGB], scene.cameras)
    turned = camera(0.0, 5.0).T_scene_cam
    found = psnr(painter.paint(scene.cameras[0])["rgb"], truth)
    assert (
        found > 23 and psnr(painter.paint(replace(scene.cameras[0], T_scene_cam=turned))["rgb"], truth) < found - 4
    )


def test_depth_is_that_of_the_room_by_the_colours_of_its_bar(known_room: Scene) -> None:
    view = camera(0.1, 2.0)
    painter = Painter(known_room, [Kind.DEPTH], [view])
    picture = painter.paint(view)["depth"]
    assert picture.shape == (HEIGHT, WIDTH + bar_width(HEIGHT), 3)
    assert painter.depth_scale is not None and painter.depth_scale.metric
    points, _, floor = look(view)
    truth = ((points - view.T_scene_cam[:3, 3]) @ view.T_scene_cam[:3, 2]).numpy()
    steps = np.geomspace(painter.depth_scale.nearest, painter.depth_scale.farthest, 500)
    colours = painter.depth_scale.color(steps[None])[0].astype(int)
    seen = picture[2:-2, 10 : WIDTH - 10].reshape(-1, 1, 3).astype(int)
    read = steps[np.abs(seen - colours).sum(2).argmin(1)]
    error = np.abs(read / truth[2:-2, 10:-10].ravel() - 1)
    on_floor = floor[2:-2, 10:-10].flatten().numpy()
    assert np.percentile(error[~on_floor], 95) < 0.015
    assert np.median(error[on_floor]) < 0.05  # one row of the floor is 3 % deeper than the next


@pytest.mark.parametrize("discs", [True, False])
def test_normals_are_those_of_floor_and_wall_from_every_camera(discs: bool) -> None:
    scene = room(discs)
    for view in (camera(-0.2, 2.0), camera(0.2, -4.0)):
        normals = Painter(scene, [Kind.NORMALS], [view]).paint(view)["normals"].astype(int)
        floor = look(view)[2].numpy()
        assert 0.2 < floor.mean() < 0.6
        up, towards = normals[floor], normals[~floor]
        tolerance = 8 if discs else 25
        assert np.abs(np.median(up, 0) - [128, 255, 128]).max() < tolerance
        assert np.abs(np.median(towards, 0) - [128, 128, 255]).max() < tolerance


def test_a_disc_shows_the_same_normal_whichever_side_its_axis_points(known_room: Scene) -> None:
    scene = known_room.gaussians
    w, x, y, z = scene.quats.unbind(1)
    upside_down = torch.stack([-x, w, z, -y], 1)  # turned half about its own first axis
    flip = torch.arange(len(scene)) % 2 == 0
    mixed = replace(scene, quats=torch.where(flip[:, None], upside_down, scene.quats))
    view = camera()
    one, two = (
        Painter(replace(known_room, gaussians=g), [Kind.NORMALS], [view]).paint(view)["normals"].astype(int)
        for g in (scene, mixed)
    )
    np.testing.assert_allclose(one, two, atol=2)


def test_the_normal_of_a_tilted_plane_is_its_own() -> None:
    """A plane through (0, 0, 3) whose normal towards the camera is (-0.6, 0, -0.8)."""
    from lsm_core.backends.tiny_gaussians import SurfaceView, surface_gaussians
    from lsm_core.geometry.camera import rays

    normal = torch.tensor([-0.6, 0.0, -0.8])
    directions = rays(K, HEIGHT, WIDTH)
    depth = (-0.8 * 3) / (directions @ normal)
    surface = SurfaceView(
        directions * depth[..., None],
        depth,
        torch.full((HEIGHT, WIDTH, 3), 128, dtype=torch.uint8),
        torch.full((HEIGHT, WIDTH), 0.9),
        torch.zeros(HEIGHT, WIDTH, 3),
        80.0,
        torch.eye(4),
    )
    view = Camera(K, WIDTH, HEIGHT)
    picture = Painter(Scene(surface_gaussians(surface)), [Kind.NORMALS], [view]).paint(view)["normals"]
    wanted = 127.5 * (1 + np.array([-0.6, 0.0, 0.8]))
    np.testing.assert_allclose(np.median(picture.reshape(-1, 3).astype(float), 0), wanted, atol=4)


def test_what_is_not_covered_is_dark_in_every_picture(known_room: Scene) -> None:
    away = camera(0.0, 180.0)
    pictures = Painter(known_room, [Kind.DEPTH, Kind.NORMALS, Kind.FEATURES], known_room.cameras).paint(away)
    for picture in pictures.values():
        assert picture[:, :WIDTH].max() < 60


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "sh", "features"])
def test_gaussians_that_are_not_finite_change_nothing_else(
    known_room: Scene, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = getattr(known_room.gaussians, name).clone()
    broken[::500] = float("nan")
    scene = replace(known_room, gaussians=replace(known_room.gaussians, **{name: broken}))
    assert "28 of 13824 Gaussians" in caplog.text
    view = frame_scene(scene, WIDTH, HEIGHT).camera
    kinds = [Kind.RGB, Kind.DEPTH, Kind.NORMALS, Kind.FEATURES]
    found, given = (Painter(s, kinds, [view]).paint(view) for s in (scene, known_room))
    for kind in kinds:
        assert np.abs(found[kind].astype(int) - given[kind]).mean() < 3
    assert caplog.text.count("not finite") == 1


def test_pictures_that_cannot_be_drawn_say_why(known_room: Scene) -> None:
    with pytest.raises(InputError, match="need words"):
        Painter(known_room, [Kind.MASKS], known_room.cameras)
    bare = replace(known_room, gaussians=replace(known_room.gaussians, features=None))
    with pytest.raises(UnsupportedError, match="no language features"):
        Painter(bare, [Kind.FEATURES], known_room.cameras)
    with pytest.raises(InputError, match="normals"):
        parse_kinds(["rgb,normal"])


def test_the_room_is_as_the_tests_say() -> None:
    points, _, floor = look(camera(0.2, 3.0))
    assert bool((points[floor][:, 1] - FLOOR).abs().max() < 1e-4)
    assert bool((points[~floor][:, 2] - WALL).abs().max() < 1e-4)
