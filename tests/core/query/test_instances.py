"""Labelled points become separate things with boxes, and keep their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lsm_core.errors import InputError
from lsm_core.mapping import NO_LABEL, PointCloud
from lsm_core.query import Instance, InstanceConfig, InstanceTracker, find_instances

GAP = InstanceConfig(gap=0.15)


def box_points(
    centre: tuple[float, float, float], size: tuple[float, float, float], yaw: float = 0.0, seed: int = 0
):
    rng = np.random.default_rng(seed)
    local = rng.uniform(-0.5, 0.5, (1500, 3)) * size
    return local @ Rotation.from_euler("z", yaw, degrees=True).as_matrix().T + centre


def cloud(parts: list[tuple[np.ndarray, int]], score: float = 0.8) -> PointCloud:
    points = np.concatenate([p for p, _ in parts]).astype(np.float32)
    label = np.concatenate([np.full(len(p), index) for p, index in parts]).astype(np.uint16)
    n = len(points)
    scores = np.where(label == NO_LABEL, 0, score).astype(np.float32)
    return PointCloud(points, np.zeros((n, 3), np.uint8), np.ones(n, np.float32), label, scores)


def test_two_chairs_and_a_table_are_three_things() -> None:
    parts = [
        (box_points((0, 0, 0), (0.5, 0.5, 1.0)), 0),
        (box_points((2, 0, 0), (0.5, 0.5, 1.0)), 0),
        (box_points((1, 0, 0), (0.8, 0.8, 0.7)), 1),
        (box_points((0, 3, 0), (6, 0.1, 3)), NO_LABEL),
    ]
    found = find_instances(cloud(parts), config=GAP)
    assert [thing.label for thing in found] == [0, 0, 1]
    assert sorted(round(float(t.centroid[0]), 1) for t in found if t.label == 0) == [0.0, 2.0]
    assert all(thing.points == 1500 and thing.score == pytest.approx(0.8) for thing in found)


def test_upright_box_has_the_size_and_turn_of_the_thing() -> None:
    parts = [(box_points((1, 2, 0.5), (2.0, 0.6, 1.0), yaw=25.0), 0)]
    (thing,) = find_instances(cloud(parts), up=(0, 0, 1), config=GAP)
    R = thing.T_frame_box[:3, :3]
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-9) and np.linalg.det(R) == pytest.approx(1)
    assert np.allclose(np.abs(R[:, 2]), [0, 0, 1], atol=1e-9)
    assert np.allclose(sorted(thing.size[:2]), [0.6, 2.0], rtol=0.08) and thing.size[2] == pytest.approx(
        1.0, rel=0.06
    )
    long = R[:, int(thing.size[:2].argmax())]
    turn = np.degrees(np.arctan2(long[1], long[0])) % 180
    assert turn == pytest.approx(25.0, abs=3)
    assert np.allclose(thing.T_frame_box[:3, 3], [1, 2, 0.5], atol=0.05)


def test_a_wall_seen_at_a_slant_is_one_thing() -> None:
    v, u = np.mgrid[:60, :80]  # a grid of rays; the wall turns away from the camera to the right
    rays = np.stack([(u - 40) / 65, (v - 30) / 65, np.ones(u.shape)], -1).reshape(-1, 3)
    depth = 2 / (1 - 0.8 * rays[:, 0])
    points = rays * depth[:, None]
    (thing,) = find_instances(cloud([(points, 0)]), up=(0, -1, 0))
    assert thing.points == len(points)
    chairs = [(box_points((x, 0, 3), (0.5, 0.5, 1.0)), 0) for x in (0.0, 1.0)]
    assert len(find_instances(cloud(chairs))) == 2


def test_box_without_up_follows_the_principal_axes() -> None:
    (thing,) = find_instances(cloud([(box_points((0, 0, 3), (2.0, 0.9, 0.3), yaw=40.0), 0)]), config=GAP)
    assert np.allclose(thing.size, [2.0, 0.9, 0.3], rtol=0.1)
    assert np.linalg.det(thing.T_frame_box[:3, :3]) == pytest.approx(1)


def test_stray_points_do_not_stretch_the_box() -> None:
    points = box_points((0, 0, 0), (1, 1, 1))
    line = np.linspace(0.5, 3.0, 20)[:, None] * [1.0, 0, 0]
    (thing,) = find_instances(cloud([(np.concatenate([points, line]), 0)]), up=(0, 0, 1), config=GAP)
    assert thing.size.max() < 1.15


def test_small_and_doubtful_regions_are_dropped() -> None:
    crumbs = box_points((0, 0, 0), (0.1, 0.1, 0.1))[:10]
    assert find_instances(cloud([(crumbs, 0)]), config=GAP) == []
    assert find_instances(cloud([(box_points((0, 0, 0), (1, 1, 1)), 0)], score=0.1), config=GAP) == []
    assert find_instances(PointCloud.empty()) == []


def test_result_scales_with_the_unit() -> None:
    parts = [(box_points((0, 0, 0), (0.5, 0.5, 1.0)), 0), (box_points((2, 0, 0), (0.5, 0.5, 1.0)), 0)]
    one = find_instances(cloud(parts))
    ten = find_instances(cloud([(10 * p, i) for p, i in parts]))
    assert len(one) == len(ten) == 2
    assert np.allclose(ten[0].size, 10 * one[0].size, rtol=1e-4)


def test_direction_up_must_be_one() -> None:
    with pytest.raises(InputError):
        find_instances(PointCloud.empty(), up=(0, 0, 0))


def thing(x: float, label: int = 0, size: float = 0.5) -> Instance:
    T = np.eye(4)
    T[0, 3] = x
    return Instance(label, 0.8, 100, T[:3, 3].copy(), T, np.full(3, size))


def test_things_keep_their_numbers_while_they_wobble() -> None:
    tracker = InstanceTracker()
    first = tracker.update([thing(0.0), thing(2.0), thing(0.0, label=1)], ["chair", "table"])
    assert [t.id for t in first] == [1, 2, 3]
    second = tracker.update([thing(2.1), thing(0.1), thing(0.05, label=1)], ["chair", "table"])
    assert [t.id for t in second] == [2, 1, 3]


def test_new_thing_gets_a_new_number_and_other_texts_never_match() -> None:
    tracker = InstanceTracker()
    tracker.update([thing(0.0)], ["chair"])
    assert [t.id for t in tracker.update([thing(0.0), thing(5.0)], ["table"])] == [2, 3]


def test_numbers_follow_the_text_when_the_order_of_texts_changes() -> None:
    tracker = InstanceTracker()
    tracker.update([thing(0.0, 0), thing(3.0, 1)], ["chair", "table"])
    out = tracker.update([thing(3.0, 0), thing(0.0, 1)], ["table", "chair"])
    assert [t.id for t in out] == [2, 1]


def test_thing_that_was_out_of_view_for_a_while_is_known_again_but_not_forever() -> None:
    tracker = InstanceTracker()
    tracker.update([thing(0.0)], ["chair"])
    for _ in range(10):
        tracker.update([], ["chair"])
    assert tracker.update([thing(0.1)], ["chair"])[0].id == 1
    for _ in range(40):
        tracker.update([], ["chair"])
    assert tracker.update([thing(0.1)], ["chair"])[0].id == 2


def test_cleared_tracker_goes_on_counting() -> None:
    tracker = InstanceTracker()
    tracker.update([thing(0.0)], ["chair"])
    tracker.clear()
    assert tracker.update([thing(0.0)], ["chair"])[0].id == 2
