"""Things of several keyframes become one thing, once, with a box around all that was seen of it."""

from __future__ import annotations

import numpy as np
import pytest

from lsm_core.mapping import NO_LABEL, PointCloud
from lsm_core.query import InstanceMap, InstanceTracker, find_instances


def board(low: float, high: float, label: int = 0, y: float = 0.0, seed: int = 0) -> PointCloud:
    """A board along x from low to high, 0.4 high and 0.2 deep, with 2500 points per unit."""
    rng = np.random.default_rng(seed)
    n = int(2500 * (high - low))
    points = rng.uniform((low, y, 2.0), (high, y + 0.4, 2.2), (n, 3)).astype(np.float32)
    scores = np.full(n, 0.0 if label == NO_LABEL else 0.9, np.float32)
    return PointCloud(
        points, np.zeros((n, 3), np.uint8), np.ones(n, np.float32), np.full(n, label, np.uint16), scores
    )


def test_halves_seen_by_two_keyframes_are_one_thing() -> None:
    things = InstanceMap()
    things.add(1, board(0.0, 1.2), ["shelf"])
    (half,) = things.things(up=np.array([0, -1.0, 0]))
    things.add(2, board(0.8, 2.0, seed=1), ["shelf"])
    (whole,) = things.things(up=np.array([0, -1.0, 0]))
    assert half.size.max() == pytest.approx(1.2, abs=0.1) and whole.size.max() == pytest.approx(2.0, abs=0.12)
    assert whole.centroid == pytest.approx([1.0, 0.2, 2.1], abs=0.08)
    assert sorted(whole.size)[:2] == pytest.approx([0.2, 0.4], abs=0.06)
    metres = things.things(2.5, np.array([0, -1.0, 0]))
    assert metres[0].size.max() == pytest.approx(2.5 * whole.size.max(), rel=0.02)


def test_things_apart_and_of_other_names_stay_apart() -> None:
    things = InstanceMap()
    things.add(1, PointCloud.concatenate([board(0, 1), board(2, 3, seed=1)]), ["chair", "table"])
    things.add(2, PointCloud.concatenate([board(2, 3, seed=2), board(0, 1, label=1, seed=3)]), ["chair", "table"])
    assert [thing.label for thing in things.things()] == [0, 0, 1]


def test_keyframes_that_leave_and_new_words_take_their_things_along() -> None:
    things = InstanceMap()
    things.add(1, board(0, 1), ["chair"])
    things.add(2, board(3, 4, seed=1), ["chair"])
    assert len(things.things()) == 2
    things.remove([1, 77])
    assert [round(float(t.centroid[0]), 1) for t in things.things()] == [3.5]
    things.add(3, board(6, 7, seed=2), ["table"])
    assert [round(float(t.centroid[0]), 1) for t in things.things()] == [6.5]
    things.clear()
    assert things.things() == []
    things.add(4, PointCloud.empty(), ["table"])
    assert things.things() == []


def test_a_thing_keeps_its_number_while_more_of_it_comes_into_view() -> None:
    things, tracker, texts = InstanceMap(), InstanceTracker(), ["shelf"]
    numbers = []
    for step in range(6):
        things.add(step, board(0.3 * step, 1.2 + 0.3 * step, seed=step), texts)
        if step >= 3:
            things.remove([step - 3])
        numbers.append([thing.id for thing in tracker.update(things.things(), texts)])
    assert numbers == [[1]] * 6


def test_members_are_the_points_of_a_thing() -> None:
    cloud = PointCloud.concatenate([board(0, 1), board(3, 4, seed=1), board(0, 1, label=1, y=2.0, seed=2)])
    for thing in find_instances(cloud):
        own = cloud.select(thing.members)
        assert len(own) == thing.points and set(own.label) == {thing.label}
        assert np.allclose(np.median(own.points, 0), thing.centroid, atol=1e-5)


def test_what_most_keyframes_take_for_something_else_is_left_out() -> None:
    things = InstanceMap()
    texts = ["bed", "sofa"]
    things.add(0, PointCloud.concatenate([board(0, 1, label=0), board(3, 4, label=0, seed=9)]), texts)
    assert len(things.things()) == 2
    for key in (1, 2):
        things.add(key, board(0, 1, label=1, seed=key), texts)  # a sofa, say these
    found = things.things()
    assert [(t.label, round(float(t.centroid[0]), 1)) for t in found] == [(0, 3.5), (1, 0.5)]


def test_what_most_keyframes_see_nothing_in_is_left_out() -> None:
    things = InstanceMap()
    things.add(0, board(0, 1), ["chair"])
    for key in (1, 2, 3):
        things.add(key, board(0, 1, label=NO_LABEL, seed=key), ["chair"])
        assert len(things.things()) == int(key < 2)
    things.remove([2, 3])
    assert len(things.things()) == 1


def test_members_of_a_thing_of_several_keyframes_are_its_points() -> None:
    things = InstanceMap()
    for key in (1, 2):
        things.add(key, PointCloud.concatenate([board(0, 1, seed=key), board(3, 4, seed=key)]), ["shelf"])
    whole = things.cloud()
    for thing in things.things():
        assert np.median(whole.points[thing.members], axis=0) == pytest.approx(thing.centroid, abs=1e-4)
