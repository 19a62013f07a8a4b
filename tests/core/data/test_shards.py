"""Shards on disk, seeds and the statistics of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lsm_core.data.classes import CLASSES
from lsm_core.data.generate import room_seed, statistics, target_weights
from lsm_core.data.shards import FrameShard, list_shards, load_shard, save_shard
from lsm_core.errors import FileFormatError


def _shard() -> FrameShard:
    rng = np.random.default_rng(0)
    pose = np.broadcast_to(np.eye(4), (2, 4, 4)).copy()
    pose[1, 0, 3] = 0.5
    return FrameShard(
        rgb=rng.integers(0, 255, (2, 6, 8, 3), dtype=np.uint8),
        depth=np.full((2, 6, 8), 2.0, np.float16),
        label=np.full((2, 6, 8), CLASSES.index("sofa"), np.uint8),
        K=np.broadcast_to(np.eye(3), (2, 3, 3)).astype(np.float32),
        T_world_cam=pose.astype(np.float32),
        room=np.zeros(2, np.int32),
        pairs=np.array([[0, 1]], np.int32),
        overlap=np.array([0.6], np.float32),
    )


def test_a_shard_comes_back_as_it_was_written(tmp_path: Path) -> None:
    shard = _shard()
    save_shard(shard, tmp_path / "shard_00000.npz")
    back = load_shard(tmp_path / "shard_00000.npz")
    for name, value in vars(shard).items():
        np.testing.assert_array_equal(getattr(back, name), value)
    assert [p.name for p in tmp_path.iterdir()] == ["shard_00000.npz"], "no partial file is left"


def test_a_damaged_shard_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "shard_00000.npz"
    save_shard(_shard(), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileFormatError, match="generate it again"):
        load_shard(path)


def test_partial_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "shard_00001.npz.17.part").write_bytes(b"")
    save_shard(_shard(), tmp_path / "shard_00000.npz")
    assert [p.name for p in list_shards(tmp_path)] == ["shard_00000.npz"]


def test_room_seeds_differ_between_splits_base_seeds_and_rooms() -> None:
    seeds = {room_seed(split, seed, room) for split in ("train", "val") for seed in (1, 2) for room in range(500)}
    assert len(seeds) == 2000


def test_rare_classes_attract_the_camera() -> None:
    pixels = np.zeros(len(CLASSES))
    pixels[CLASSES.index("wall")], pixels[CLASSES.index("lamp")] = 1000, 10
    weights = target_weights(pixels)
    assert weights["oven"] > weights["lamp"] > weights["wall"]


def test_statistics_count_frames_pairs_and_pixels(tmp_path: Path) -> None:
    save_shard(_shard(), tmp_path / "shard_00000.npz")
    summary = statistics(tmp_path)
    assert (summary["frames"], summary["pairs"], summary["rooms"]) == (2, 1, 1)
    assert summary["baseline_m_quantiles"] == [0.5] * 5
    percent = summary["class_percent"]
    assert isinstance(percent, dict) and percent["sofa"] == 100.0
