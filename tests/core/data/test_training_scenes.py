"""Generated rooms, shards as scenes, and which frames of a scene become a sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lsm_core.data.box_rooms import BoxRoom
from lsm_core.data.overlap import reproject
from lsm_core.data.selection import SceneSource, Selection
from lsm_core.data.shards import FrameShard, save_shard
from lsm_core.data.sources import MixedSource, open_scenes, open_sources
from lsm_core.errors import InputError

ROOM = BoxRoom(3, frames=30, height=24, width=32)


def frame_number(name: str) -> int:
    return int(name.split("/")[-1])


def test_colour_depth_and_poses_of_a_box_room_agree() -> None:
    """Pixels moved into another frame by depth and poses find the depth and, mostly, the colour that is there."""
    room = BoxRoom(5, frames=8, height=48, width=64)
    a, b = room.view(1), room.view(5)
    assert a.depth is not None and b.depth is not None
    T = np.linalg.inv(b.T_world_cam) @ a.T_world_cam
    uv, z = reproject(a.depth, a.K, T, b.K, stride=1)
    inside = (uv > -0.5).all(1) & (uv[:, 0] < 63.5) & (uv[:, 1] < 47.5)
    column, row = np.rint(uv[inside]).astype(int).T
    seen = np.abs(b.depth[row, column] - z[inside]) < 0.05 * z[inside]
    assert inside.mean() > 0.6 and seen.mean() > 0.8
    difference = np.abs(a.image.reshape(-1, 3)[inside][seen].astype(float) - b.image[row, column][seen])
    assert np.median(difference) < 12 and np.linalg.norm(T[:3, 3]) > 0.1


def test_a_room_is_decided_by_its_seed() -> None:
    same, other = BoxRoom(3, 30, 24, 32), BoxRoom(4, 30, 24, 32)
    assert np.array_equal(ROOM.view(7).image, same.view(7).image)
    assert not np.array_equal(ROOM.view(7).image, other.view(7).image)


def test_targets_lie_where_the_selection_says() -> None:
    rng = np.random.default_rng(0)
    for place in ("middle", "between", "around"):
        source = SceneSource([ROOM], Selection(targets=3, gap=(4, 6), place=place))
        for _ in range(20):
            sample = source.draw(rng, 0)
            first, last = (frame_number(v.name) for v in sample.context)
            targets = [frame_number(v.name) for v in sample.targets]
            assert 4 <= last - first <= 6 and len(targets) == 3
            if place == "middle":
                assert targets == [(first + last) // 2] * 3
            reach = last - first if place == "around" else 0
            assert all(first - reach <= t <= last + reach for t in targets)


def test_the_gap_grows_with_the_steps_in_multiples() -> None:
    selection = Selection(gap=(2, 4), final_gap=(10, 21), gap_steps=100, multiple=2)
    assert [selection.gap_at(step) for step in (0, 50, 100, 500)] == [(2, 4), (6, 12), (10, 21), (10, 21)]
    source, rng = SceneSource([ROOM], selection), np.random.default_rng(1)
    gaps = set()
    for _ in range(60):
        first, last = (frame_number(v.name) for v in source.draw(rng, 100).context)
        gaps.add(last - first)
    assert gaps == {10, 12, 14, 16, 18, 20}


def test_an_equal_generator_draws_an_equal_sample_and_swapping_exchanges_the_context() -> None:
    source = SceneSource([ROOM], Selection(swap=True))
    draws = [[v.name for v in source.draw(np.random.default_rng(k), 0).context] for k in (0, 0, 1, 2, 3, 4, 5)]
    assert draws[0] == draws[1]
    assert {names[0] < names[1] for names in draws} == {True, False}


def test_an_overlap_is_asked_for_where_there_is_depth() -> None:
    rng = np.random.default_rng(0)
    lowest = [
        min(source.draw(rng, 0).overlap or 0 for _ in range(8))
        for source in (SceneSource([ROOM], Selection(gap=(1, 29), min_overlap=share)) for share in (0.01, 0.7))
    ]
    assert lowest[0] < 0.7 <= lowest[1]

    class Blind(BoxRoom):
        def view(self, index: int):  # type: ignore[no-untyped-def]
            return replace(super().view(index), depth=None)

    with pytest.raises(InputError, match="no depth"):
        SceneSource([Blind(1, 5, 24, 32)], Selection(min_overlap=0.5)).draw(rng, 0)


def test_scenes_that_are_too_short_are_refused() -> None:
    with pytest.raises(InputError, match="51 frames"):
        SceneSource([ROOM], Selection(gap=(50, 60)))


def test_the_walks_of_a_shard_are_scenes_of_their_own(tmp_path: Path) -> None:
    frames = 5
    shard = FrameShard(
        rgb=np.full((frames, 6, 8, 3), 9, np.uint8),
        depth=np.ones((frames, 6, 8), np.float16),
        label=np.ones((frames, 6, 8), np.uint8),
        K=np.tile(np.array([[8, 0, 3.5], [0, 8, 2.5], [0, 0, 1]], np.float32), (frames, 1, 1)),
        T_world_cam=np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1)),
        room=np.zeros(frames, np.int32),
        pairs=np.array([[0, 1], [1, 2], [3, 4]], np.int32),
        overlap=np.ones(3, np.float32),
    )
    save_shard(shard, tmp_path / "shard_00000.npz")
    assert [len(scene) for scene in open_scenes(f"rooms:{tmp_path}")] == [3, 2]
    view = open_scenes(f"rooms:{tmp_path}")[1].view(1)
    assert view.depth is not None and view.depth.dtype == np.float32 and view.name.endswith("/4")


def test_sources_are_opened_by_name_and_mixed() -> None:
    mixed = open_sources(["boxes:2", "boxes:1"], Selection())
    assert isinstance(mixed, MixedSource)
    assert len(mixed.draw(np.random.default_rng(0), 0).context) == 2
    for names, message in (
        ([], "no training data"),
        (["scans:/x"], "known format"),
        (["rooms"], "names no place"),
        (["boxes:many"], "number of rooms"),
    ):
        with pytest.raises(InputError, match=message):
            open_sources(names, Selection())
