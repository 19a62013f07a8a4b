"""Keyframes come from parallax, lost overlap and age; rotation alone gives no parallax."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lsm_core.errors import InputError
from lsm_core.mapping import KeyframeAction, KeyframeConfig, KeyframeDecision, KeyframeReason, KeyframeSelector

from .scenes import K_SMALL, pose, texture, wall_view

WALL = texture()
TENTH = 100_000_000
BASE = KeyframeConfig(min_parallax_deg=2.0, target_overlap=0.75)


def feed(
    selector: KeyframeSelector, poses: list[np.ndarray], accept: bool = True, start: int = 0
) -> list[KeyframeDecision]:
    """Show the wall from each pose at 10 Hz; accept what is to be kept."""
    out = []
    for i, T in enumerate(poses):
        decision = selector.consider(wall_view(WALL, T), (start + i + 1) * TENTH, K_SMALL)
        if accept and decision.action is not KeyframeAction.SKIP:
            selector.accept(decision.stamp_ns)
        out.append(decision)
    return out


def median_angle_deg(pixels: np.ndarray, baseline: float) -> float:
    """Return the median angle under which the wall's points at these pixels [N, 2] see a sideways baseline."""
    d = np.linalg.solve(K_SMALL, np.concatenate([pixels.T, np.ones((1, len(pixels)))])).T
    n = np.array([np.sin(np.radians(30)), 0, np.cos(np.radians(30))])
    a = d * (3.0 * n[2] / (d @ n))[:, None]  # on the wall
    b = a - [baseline, 0, 0]
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return float(np.median(np.degrees(np.arccos(cosine))))


def sideways(count: int, step: float = 0.05) -> list[np.ndarray]:
    return [pose(t=(step * i, 0, 0)) for i in range(count)]


def turning(count: int, step_deg: float = 1.5) -> list[np.ndarray]:
    return [pose(step_deg * i) for i in range(count)]


def test_first_frame_is_a_keyframe() -> None:
    (decision,) = feed(KeyframeSelector(BASE), sideways(1))
    assert (decision.action, decision.reason) == (KeyframeAction.KEEP, KeyframeReason.FIRST)
    assert np.isnan(decision.overlap) and np.isnan(decision.parallax_deg)


def test_parallax_is_the_angle_under_which_the_baseline_is_seen() -> None:
    selector = KeyframeSelector(KeyframeConfig(min_parallax_deg=90, target_overlap=0))
    decisions = feed(selector, sideways(9))
    assert selector._tracks is not None and decisions[-1].tracks > 100
    truth = median_angle_deg(selector._tracks.reference, 0.4)
    assert decisions[-1].parallax_deg == pytest.approx(truth, rel=0.03)
    angles = [d.parallax_deg for d in decisions[1:]]
    assert angles == sorted(angles)


def test_sideways_motion_makes_keyframes_by_parallax() -> None:
    decisions = feed(KeyframeSelector(BASE), sideways(12))
    kept = [d for d in decisions[1:] if d.action is KeyframeAction.KEEP]
    assert len(kept) >= 3 and {d.reason for d in kept} == {KeyframeReason.PARALLAX}
    assert all(d.parallax_deg >= BASE.min_parallax_deg for d in kept)


def test_pure_rotation_has_no_parallax_and_keeps_by_overlap() -> None:
    decisions = feed(KeyframeSelector(BASE), turning(14))
    assert all(d.parallax_deg < 0.5 for d in decisions[1:])
    kept = [d for d in decisions[1:] if d.action is KeyframeAction.KEEP]
    assert kept and {d.reason for d in kept} == {KeyframeReason.OVERLAP}


def test_overlap_under_rotation_is_the_share_of_the_view() -> None:
    selector = KeyframeSelector(KeyframeConfig(target_overlap=0, min_parallax_deg=90))
    decisions = feed(selector, turning(9))
    K_inv = np.linalg.inv(K_SMALL)
    R = pose(12.0)[:3, :3].T
    v, u = np.mgrid[0:239:40j, 0:319:40j]
    carried = (K_SMALL @ R @ K_inv @ np.stack([u.ravel(), v.ravel(), np.ones(u.size)])).T
    xy = carried[:, :2] / carried[:, 2:]
    truth = float(((xy >= 0) & (xy <= [319, 239])).all(1).mean())
    assert decisions[-1].overlap == pytest.approx(truth, abs=0.05)


def test_without_intrinsics_rotation_still_has_little_parallax() -> None:
    selector = KeyframeSelector(BASE)
    for i, T in enumerate(turning(6)):
        decision = selector.consider(wall_view(WALL, T), (i + 1) * TENTH)
        if decision.reason is KeyframeReason.FIRST:
            selector.accept()
    assert decision.parallax_deg < 1.0


def test_a_frame_that_is_not_accepted_leaves_the_reference() -> None:
    selector = KeyframeSelector(BASE)
    feed(selector, sideways(1))
    decisions = feed(selector, sideways(8)[1:], accept=False, start=1)
    due = [d for d in decisions if d.action is KeyframeAction.KEEP]
    assert len(due) >= 3 and selector.reference_stamp_ns == TENTH
    assert due[-1].parallax_deg > due[0].parallax_deg


def test_an_earlier_candidate_can_be_accepted_later() -> None:
    selector = KeyframeSelector(BASE)
    feed(selector, sideways(1))
    due = [d for d in feed(selector, sideways(8)[1:], accept=False, start=1) if d.action is KeyframeAction.KEEP]
    selector.accept(due[-2].stamp_ns)
    assert selector.reference_stamp_ns == due[-2].stamp_ns
    (after,) = feed(selector, sideways(9)[8:], accept=False, start=8)
    assert after.parallax_deg < due[-1].parallax_deg


def test_late_acceptance_follows_the_images_shown_since() -> None:
    """A slow model accepts an image long after it was shown; corners are followed image by image, not in a jump."""
    turns = turning(14, step_deg=2.0)
    selector = KeyframeSelector(replace(BASE, target_overlap=0.9))
    feed(selector, turns[:1])
    due = [d for d in feed(selector, turns[1:13], accept=False, start=1) if d.action is KeyframeAction.KEEP]
    selector.accept(due[0].stamp_ns)
    (after,) = feed(selector, turns[13:], accept=False, start=13)
    jumped = KeyframeSelector(replace(BASE, target_overlap=0.9))
    (first,) = feed(jumped, turns[due[0].stamp_ns // TENTH - 1 : due[0].stamp_ns // TENTH])
    (there,) = feed(jumped, turns[13:], accept=False, start=13)
    assert first.reason is KeyframeReason.FIRST
    assert after.reason is not KeyframeReason.LOST and after.tracks > 1.5 * there.tracks


def test_standing_still_is_static_then_refreshed_by_age_without_a_new_reference() -> None:
    decisions = feed(selector := KeyframeSelector(replace(BASE, max_age_s=1.0)), sideways(25, step=0.0))
    assert {d.reason for d in decisions[1:10]} == {KeyframeReason.STATIC}
    refreshed = [d for d in decisions if d.action is KeyframeAction.REFRESH]
    assert len(refreshed) == 2 and {d.reason for d in refreshed} == {KeyframeReason.AGE}
    assert selector.reference_stamp_ns == TENTH


def test_parallax_adds_up_across_refreshes() -> None:
    selector = KeyframeSelector(replace(BASE, max_age_s=0.5))
    decisions = feed(selector, sideways(40, step=0.004))
    assert any(d.action is KeyframeAction.REFRESH for d in decisions)
    assert any(d.action is KeyframeAction.KEEP for d in decisions[1:])


def test_jump_to_another_scene_is_lost() -> None:
    selector = KeyframeSelector(BASE)
    feed(selector, sideways(2))
    other = wall_view(texture(seed=9), pose())
    assert selector.consider(other, 3 * TENTH, K_SMALL).reason is KeyframeReason.LOST


def test_it_makes_no_difference_when_the_corners_of_a_new_reference_are_found() -> None:
    early, late = KeyframeSelector(BASE), KeyframeSelector(BASE)
    for selector in (early, late):
        first = feed(selector, sideways(8), accept=False)[0]
        selector.accept(first.stamp_ns)  # seven images later
        assert selector._tracks is None
    early.catch_up()
    assert early._tracks is not None
    early.catch_up()
    views = [pose(t=(0.05 * (8 + i), 0, 0)) for i in range(2)]
    assert feed(early, views, start=8) == feed(late, views, start=8)


def test_blurred_frame_waits_for_a_sharper_one() -> None:
    selector = KeyframeSelector(BASE)
    feed(selector, sideways(3))
    blurred = cv2.GaussianBlur(wall_view(WALL, pose(t=(0.15, 0, 0))), (0, 0), 3.0)
    held = selector.consider(blurred, 4 * TENTH, K_SMALL)
    assert (held.action, held.reason) == (KeyframeAction.SKIP, KeyframeReason.BLUR) and held.blur < 0.6
    sharp = selector.consider(wall_view(WALL, pose(t=(0.17, 0, 0))), 5 * TENTH, K_SMALL)
    assert sharp.action is KeyframeAction.KEEP


def test_blur_is_accepted_when_it_lasts() -> None:
    selector = KeyframeSelector(replace(BASE, max_blur_wait_s=0.3))
    feed(selector, sideways(1))
    view = cv2.GaussianBlur(wall_view(WALL, pose(t=(0.15, 0, 0))), (0, 0), 3.0)
    actions = [selector.consider(view, (2 + i) * TENTH, K_SMALL).action for i in range(5)]
    assert actions[0] is KeyframeAction.SKIP and actions[-1] is KeyframeAction.KEEP


def test_too_soon_after_the_last_keyframe() -> None:
    selector = KeyframeSelector(replace(BASE, min_interval_s=0.25))
    feed(selector, sideways(1))
    view = wall_view(WALL, pose(t=(0.15, 0, 0)))
    assert selector.consider(view, 2 * TENTH, K_SMALL).reason is KeyframeReason.TOO_SOON
    assert selector.consider(view, 4 * TENTH, K_SMALL).action is KeyframeAction.KEEP


def test_capture_keeps_a_still_frame_until_accepted() -> None:
    selector = KeyframeSelector(BASE)
    feed(selector, sideways(1))
    selector.request_capture()
    (a, b) = feed(selector, sideways(2, step=0.0), accept=False, start=1)
    assert a.reason is b.reason is KeyframeReason.REQUESTED
    selector.accept(b.stamp_ns)
    (c,) = feed(selector, sideways(1), start=3)
    assert c.action is KeyframeAction.SKIP


def test_capture_is_a_pair_only_where_the_view_has_moved() -> None:
    for T, action in ((pose(t=(0.002, 0, 0)), KeyframeAction.REFRESH), (pose(t=(0.1, 0, 0)), KeyframeAction.KEEP)):
        selector = KeyframeSelector(BASE)
        feed(selector, sideways(1))
        selector.request_capture()
        decision = selector.consider(wall_view(WALL, T), 2 * TENTH, K_SMALL)
        assert (decision.action, decision.reason) == (action, KeyframeReason.REQUESTED)
        selector.accept()
        again = selector.consider(wall_view(WALL, T), 3 * TENTH, K_SMALL)
        assert again.reason is not KeyframeReason.REQUESTED
        assert (selector.reference_stamp_ns == 2 * TENTH) is (action is KeyframeAction.KEEP)


def test_stamps_that_do_not_advance_are_out_of_order_and_reset_recovers() -> None:
    selector = KeyframeSelector(BASE)
    feed(selector, sideways(3))
    old = selector.consider(wall_view(WALL, pose()), TENTH, K_SMALL)
    assert (old.action, old.reason) == (KeyframeAction.SKIP, KeyframeReason.OUT_OF_ORDER)
    selector.reset()
    assert selector.consider(wall_view(WALL, pose()), TENTH, K_SMALL).reason is KeyframeReason.FIRST


def test_change_of_image_size_starts_over() -> None:
    selector = KeyframeSelector(BASE)
    feed(selector, sideways(2))
    smaller = np.ascontiguousarray(wall_view(WALL, pose())[:200])
    assert selector.consider(smaller, 5 * TENTH).reason is KeyframeReason.FIRST


def test_bare_reference_is_replaced_by_age_only() -> None:
    selector = KeyframeSelector(replace(BASE, max_age_s=0.35))
    bare = np.full((240, 320), 120, np.uint8)
    assert selector.consider(bare, TENTH).reason is KeyframeReason.FIRST
    selector.accept()
    reasons = [selector.consider(bare, (2 + i) * TENTH).reason for i in range(4)]
    assert reasons[0] is KeyframeReason.SIMILAR and reasons[-1] is KeyframeReason.AGE


def test_unknown_frame_cannot_be_accepted() -> None:
    selector = KeyframeSelector(BASE)
    with pytest.raises(InputError):
        selector.accept()
    feed(selector, sideways(2))
    with pytest.raises(InputError):
        selector.accept(12345)
