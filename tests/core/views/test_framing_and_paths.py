"""Paths look at the scene, move smoothly and stay where the views support them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from room import WALL, camera, gaussians

from lsm_core.errors import InputError
from lsm_core.geometry.camera_path import spline_path
from lsm_core.io import Trajectory
from lsm_core.types import Camera, Gaussians
from lsm_core.views import Kind, Painter, Scene, along, fly_through, frame_scene, turntable
from lsm_core.views.framing import MAX_ANGLE_DEG, STEP_DEG, probe, supported_angle, turned


def yaw_of(view: Camera) -> float:
    """Return how far a camera looks to the right, degrees."""
    return float(np.rad2deg(np.arctan2(view.T_scene_cam[0, 2], view.T_scene_cam[2, 2])))


def test_the_turn_table_keeps_its_pivot_in_the_middle_and_its_distance(known_room: Scene) -> None:
    framing = frame_scene(known_room, 96, 72)
    path = turntable(known_room, framing, 16)
    for view in path:
        seen = view.T_cam_scene[:3, :3] @ torch.from_numpy(framing.pivot).float() + view.T_cam_scene[:3, 3]
        np.testing.assert_allclose(seen.numpy(), [0, 0, framing.distance], atol=1e-4)
    assert 2.0 < framing.distance <= WALL + 1e-4
    np.testing.assert_allclose(path[0].T_scene_cam, framing.camera.T_scene_cam, atol=1e-5)
    assert max(map(yaw_of, path)) > 5 and min(map(yaw_of, path)) < -5


def test_the_default_turn_ends_before_there_is_nothing_to_see(known_room: Scene) -> None:
    framing = frame_scene(known_room, 96, 72)
    path = turntable(known_room, framing, 24)
    first = probe(known_room.gaussians, path[0]).coverage
    assert min(probe(known_room.gaussians, view).coverage for view in path) > 0.7 * first
    assert max(abs(yaw_of(view)) for view in path) <= MAX_ANGLE_DEG + 1e-3


def test_more_views_support_a_wider_turn() -> None:
    one = Scene(gaussians([camera()]), (camera(),))
    framing = frame_scene(one, 96, 72)
    more = gaussians([camera(), camera(-3.0, 20.0), camera(3.0, -20.0)])
    small, wide = (supported_angle(g, framing, lambda a: turned(framing, a), 60.0) for g in (one.gaussians, more))
    assert small >= STEP_DEG and small + 5 <= wide


def test_a_turn_ends_before_the_camera_meets_a_surface(known_room: Scene) -> None:
    framing = frame_scene(known_room, 96, 72)
    column = gaussians([camera()]).select(torch.arange(400))
    start = turned(framing, 12.0).T_scene_cam  # something stands right before the camera at 12 degrees
    block = replace(
        column,
        means=start[:3, 3]
        + 0.15 * start[:3, 2]
        + 0.05 * torch.randn(400, 3, generator=torch.Generator().manual_seed(0)),
        scales=torch.full((400, 3), 0.03),
    )
    with_block = Gaussians.concatenate([known_room.gaussians, block])
    free = supported_angle(known_room.gaussians, framing, lambda a: turned(framing, a))
    blocked = supported_angle(with_block, framing, lambda a: turned(framing, a))
    assert blocked < 12.0 <= free


def test_an_angle_of_ones_own_is_kept_and_180_turns_all_the_way(known_room: Scene) -> None:
    framing = frame_scene(known_room, 96, 72)
    swing = [yaw_of(view) for view in turntable(known_room, framing, 40, 33.0)]
    assert max(swing) == pytest.approx(33, abs=0.3) and min(swing) == pytest.approx(-33, abs=0.3)
    full = [yaw_of(view) for view in turntable(known_room, framing, 8, 180)]
    np.testing.assert_allclose(np.diff(np.unwrap(full, period=360)), 45, atol=0.1)
    for wrong in (0.0, -3.0, 400.0, float("nan")):
        with pytest.raises(InputError, match="angle"):
            turntable(known_room, framing, 8, wrong)


def test_the_flight_passes_the_input_views_and_comes_back(known_room: Scene) -> None:
    framing = frame_scene(known_room, 96, 72)
    path = fly_through(known_room, framing, 20)
    for index, view in ((0, 0), (10, 1)):
        np.testing.assert_allclose(path[index].T_scene_cam, known_room.cameras[view].T_scene_cam, atol=1e-5)
    xs = np.array([float(view.T_scene_cam[0, 3]) for view in path])
    assert xs.min() >= -0.3 - 1e-6 and xs.max() <= 0.3 + 1e-6
    speed = np.abs(np.diff(np.append(xs, xs[0])))
    assert speed[0] < 0.3 * speed.max() and speed[9] < 0.3 * speed.max()  # slow at both ends


@pytest.mark.parametrize("path", ["turntable", "fly"])
def test_neighbouring_frames_differ_little_also_over_the_seam(known_room: Scene, path: str) -> None:
    framing = frame_scene(known_room, 96, 72)
    frames = 24
    cameras = {"turntable": turntable, "fly": fly_through}[path](known_room, framing, frames)
    painter = Painter(known_room, [Kind.RGB], cameras)
    pictures = [painter.paint(view)["rgb"].astype(float) for view in cameras]
    steps = np.array([np.abs(a - b).mean() for a, b in zip(pictures, [*pictures[1:], pictures[0]], strict=True)])
    far = np.abs(pictures[0] - pictures[frames // 2 if path == "fly" else frames // 4]).mean()
    # in the middle of the flight the two views' discs change their order: the picture changes there at most
    assert steps.max() < (0.5 * far if path == "fly" else 3 * np.median(steps))
    centres = np.stack([view.T_scene_cam[:3, 3].numpy() for view in [*cameras, *cameras[:2]]])
    jerk = np.linalg.norm(np.diff(centres, 2, axis=0), axis=1)
    assert jerk.max() < 0.5 * np.linalg.norm(np.diff(centres, axis=0), axis=1).max()


def test_a_path_through_many_poses_meets_them_and_does_not_swing_out() -> None:
    keys = np.tile(np.eye(4), (5, 1, 1))
    keys[:, :3, 3] = [[0, 0, 0], [0, 0, 1], [0, 0, 1.05], [1, 0, 1.1], [2, 0, 1.1]]
    dense = spline_path(keys, np.linspace(0, 1, 801))
    for key in keys:
        assert np.linalg.norm(dense[:, :3, 3] - key[:3, 3], axis=1).min() < 5e-3
    assert dense[:, 2, 3].max() <= 1.1 + 1e-9 and dense[:, 0, 3].min() >= -1e-9
    one = spline_path(keys[:1], np.linspace(0, 1, 3))
    np.testing.assert_allclose(one, np.tile(np.eye(4), (3, 1, 1)))
    still = spline_path(keys[[1, 1]], np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(still).all()


def test_a_path_of_ones_own_is_taken_as_it_is_or_resampled(known_room: Scene) -> None:
    framing = frame_scene(known_room, 96, 72)
    poses = np.stack([camera(x).T_scene_cam.double().numpy() for x in (-0.2, 0.0, 0.3)])
    trajectory = Trajectory(np.array([0, 10, 20], np.int64), poses)
    assert [float(c.T_scene_cam[0, 3]) for c in along(trajectory, framing)] == pytest.approx([-0.2, 0, 0.3])
    assert len(along(trajectory, framing, 11)) == 11
    with pytest.raises(InputError, match="no poses"):
        along(Trajectory(np.empty(0, np.int64), np.empty((0, 4, 4))), framing)


def test_a_scene_without_cameras_is_looked_at_from_its_front(known_room: Scene) -> None:
    bare = Scene(known_room.gaussians)
    framing = frame_scene(bare, 96, 72)
    np.testing.assert_allclose(framing.camera.T_scene_cam, torch.eye(4))  # `lsm reconstruct` looks from the origin
    shifted = replace(known_room.gaussians, means=known_room.gaussians.means - torch.tensor([0.0, 0.0, 9.0]))
    behind = frame_scene(Scene(shifted), 96, 72)
    assert probe(shifted, behind.camera).coverage > 0.3
    with pytest.raises(InputError, match="at least two"):
        fly_through(bare, framing, 8)
    with pytest.raises(InputError, match="no Gaussians"):
        frame_scene(Scene(known_room.gaussians.select(torch.arange(0))), 96, 72)


def test_the_near_plane_lies_before_what_the_views_see(known_room: Scene) -> None:
    framing = frame_scene(known_room, 96, 72)
    for view in (*turntable(known_room, framing, 8), *fly_through(known_room, framing, 8)):
        assert view.near < 0.5 * probe(known_room.gaussians, view).nearest
