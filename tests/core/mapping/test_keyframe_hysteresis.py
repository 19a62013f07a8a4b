"""Noise around a threshold of the keyframe selection makes no bursts: simulated tracks with noise and drop-outs."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from lsm_core.mapping import KeyframeAction, KeyframeConfig, KeyframeDecision, KeyframeReason, KeyframeSelector
from lsm_core.mapping import keyframes as module

from .scenes import K_SMALL, SIZE, pose, texture, wall_view

TENTH = 100_000_000
Motion = Callable[[int], np.ndarray]


class Scene:
    """Points in space that stand for corners; their images carry noise, and some drop out for good.

    Args:
        count: corners of each new reference.
        noise_px: standard deviation of each tracked position.
        survive: share of the tracks that outlive one frame.
    """

    def __init__(self, count: int, noise_px: float, survive: float = 1.0) -> None:
        self.rng = np.random.default_rng(5)
        self.count, self.noise_px, self.survive = count, noise_px, survive
        self.T_world_cam = np.eye(4)

    def tracks(self, _gray: np.ndarray, _max_corners: int, _check_px: float) -> SimulatedTracks:
        return SimulatedTracks(self)


class SimulatedTracks:
    """Stands in for CornerTracks: corners of a Scene seen from where its camera is."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        pixels = scene.rng.uniform([0, 0], [SIZE[1] - 1, SIZE[0] - 1], (scene.count, 2))
        depth = scene.rng.uniform(2.0, 4.0, scene.count)
        rays = np.c_[pixels, np.ones(scene.count)] @ np.linalg.inv(K_SMALL).T
        self._points = rays * depth[:, None] @ scene.T_world_cam[:3, :3].T + scene.T_world_cam[:3, 3]
        self.started = scene.count
        self.reference = self.current = pixels.astype(np.float32)

    def advance(self, _gray: np.ndarray) -> None:
        scene = self._scene
        T = np.linalg.inv(scene.T_world_cam)
        seen = (self._points @ T[:3, :3].T + T[:3, 3]) @ K_SMALL.T
        pixels = seen[:, :2] / seen[:, 2:] + scene.rng.normal(0, scene.noise_px, (len(seen), 2))
        inside = (seen[:, 2] > 0.1) & (pixels >= 0).all(1) & (pixels < [SIZE[1], SIZE[0]]).all(1)
        keep = inside & (scene.rng.random(len(seen)) < scene.survive)
        self._points, self.reference = self._points[keep], self.reference[keep]
        self.current = pixels[keep].astype(np.float32)

    @property
    def survived(self) -> float:
        return len(self.current) / self.started

    @property
    def flow_px(self) -> float:
        return float(np.median(np.linalg.norm(self.current - self.reference, axis=1))) if len(self.current) else 0.0


def run(
    monkeypatch: pytest.MonkeyPatch, scene: Scene, motion: Motion, frames: int, config: KeyframeConfig | None = None
) -> list[KeyframeDecision]:
    """Move the camera at 10 Hz, accept what is to be kept, and return all decisions."""
    monkeypatch.setattr(module, "CornerTracks", scene.tracks)
    wall = texture()
    selector = KeyframeSelector(config)
    out = []
    for i in range(frames):
        scene.T_world_cam = motion(i)
        decision = selector.consider(picture(wall, scene.T_world_cam), (i + 1) * TENTH, K_SMALL)
        if decision.action is not KeyframeAction.SKIP:
            selector.accept(decision.stamp_ns)
        out.append(decision)
    return out


def picture(wall: np.ndarray, T_world_cam: np.ndarray) -> np.ndarray:
    """Return a part of the wall that shifts as the view does; only how much it changes matters."""
    yaw = np.arctan2(T_world_cam[0, 2], T_world_cam[2, 2])
    x = 800 + round(float(K_SMALL[0, 0]) * (yaw + T_world_cam[0, 3] / 3.0))
    return wall[800 : 800 + SIZE[0], x : x + SIZE[1]].copy()


def kept(decisions: list[KeyframeDecision]) -> list[KeyframeDecision]:
    return [d for d in decisions if d.action is KeyframeAction.KEEP and d.reason is not KeyframeReason.FIRST]


def still(_frame: int) -> np.ndarray:
    return pose()


def hovering(metres: float, swing: float) -> Motion:
    """Go to a distance in six frames, and swing about it from then on."""
    return lambda i: pose(t=(min(metres * i / 6, metres) + (swing * (-1) ** i if i > 6 else 0.0), 0, 0))


@pytest.mark.parametrize("count", [22, 38, 200])
@pytest.mark.parametrize("survive", [1.0, 0.93, 0.0])
def test_a_camera_that_stands_still_makes_no_keyframe_faster_than_by_age(
    monkeypatch: pytest.MonkeyPatch, count: int, survive: float
) -> None:
    decisions = run(monkeypatch, Scene(count, 0.7, survive), still, 100)
    used = [d for d in decisions[1:] if d.action is not KeyframeAction.SKIP]
    assert len(used) <= 3 and {d.reason for d in used} <= {KeyframeReason.AGE}


@pytest.mark.parametrize("metres", [0.12, 0.15, 0.18])  # parallax of 2.4, 3.0, 3.6 degrees
@pytest.mark.parametrize("count", [40, 200])
def test_hovering_at_the_parallax_threshold_makes_one_keyframe(
    monkeypatch: pytest.MonkeyPatch, metres: float, count: int
) -> None:
    decisions = run(monkeypatch, Scene(count, 0.5), hovering(metres, 0.01), 60)
    by_parallax = [d for d in kept(decisions) if d.reason is KeyframeReason.PARALLAX]
    assert len(by_parallax) <= 1 and len(kept(decisions)) <= 2


@pytest.mark.parametrize("yaw_deg", [20.0, 22.0, 24.0])  # overlaps about the target of 0.65
def test_hovering_at_the_overlap_threshold_makes_one_keyframe(
    monkeypatch: pytest.MonkeyPatch, yaw_deg: float
) -> None:
    swing = lambda i: pose(min(yaw_deg * i / 6, yaw_deg) + (0.5 * (-1) ** i if i > 6 else 0.0))  # noqa: E731
    decisions = run(monkeypatch, Scene(200, 0.5), swing, 60)
    assert len([d for d in kept(decisions) if d.reason is KeyframeReason.OVERLAP]) <= 1


def test_steady_motion_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    config = KeyframeConfig()
    for count in (45, 200):
        decisions = run(monkeypatch, Scene(count, 0.3), lambda i: pose(t=(0.04 * i, 0, 0)), 40, config)
        chosen = [d for d in kept(decisions) if d.reason is KeyframeReason.PARALLAX]
        assert len(chosen) >= 6, count
        assert max(d.parallax_deg for d in chosen) < 2 * config.min_parallax_deg


@pytest.mark.parametrize("changed", [False, True])
def test_one_wrong_estimate_makes_no_keyframe_while_the_picture_stays(
    monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    at = 7
    angles = iter(5.0 if i == at - 1 else 0.1 for i in range(20))
    monkeypatch.setattr(module, "parallax_deg", lambda *_: next(angles))
    decisions = run(monkeypatch, Scene(100, 0.3), lambda i: pose(t=(0.1 * (changed and i == at), 0, 0)), 20)
    assert decisions[at].parallax_deg == 5.0
    assert (decisions[at].action is KeyframeAction.KEEP) is changed


def test_a_cut_to_another_view_is_lost_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = run(monkeypatch, Scene(120, 0.3), lambda i: pose(0.0 if i < 9 else 150.0), 12)
    assert [d.reason for d in kept(decisions)] == [KeyframeReason.LOST]
    assert decisions[9].reason is KeyframeReason.LOST


def test_noisy_images_of_a_bare_wall_make_no_bursts() -> None:
    """With real corner tracking: a wall with a few marks, a still camera, strong noise."""
    rng = np.random.default_rng(3)
    wall = np.full((2000, 2000), 120, np.uint8)
    for x, y, grey in rng.integers([0, 0, 0], [2000, 2000, 255], (26, 3)).tolist():
        cv2.rectangle(wall, (x, y), (x + 50, y + 50), grey, -1)
    clean = wall_view(wall, pose()).astype(np.float32)
    selector = KeyframeSelector()
    used = []
    for i in range(70):
        gray = np.clip(clean + rng.normal(0, 5, clean.shape), 0, 255).astype(np.uint8)
        decision = selector.consider(gray, (i + 1) * TENTH, K_SMALL)
        if decision.action is not KeyframeAction.SKIP:
            selector.accept(decision.stamp_ns)
            used.append(decision.reason)
    assert used == [KeyframeReason.FIRST, KeyframeReason.AGE, KeyframeReason.AGE]
