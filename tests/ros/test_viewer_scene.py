"""The viewer's scene: what is placed where, and when a map begins anew."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")

from lsm_perception.viewer import scene as layers
from lsm_perception.viewer.records import Cloud, KeyframeRecord, Path, Source, evenly
from lsm_perception.viewer.scene import Scene, is_map_frame

UNSCALED, METRIC = "lsm_map_unscaled", "lsm_map"


def pose(x: float) -> np.ndarray:
    T = np.eye(4)
    T[0, 3] = x
    return T


def path(frame: str, *stamps: int) -> Path:
    return Path(frame, {stamp: pose(float(stamp)) for stamp in stamps})


def cloud(frame: str, stamp: int, depth: float = 2.0) -> Cloud:
    points = np.tile(np.array([[0, 0, depth]], np.float32), (10, 1))
    return Cloud(Source(frame, stamp), points, np.zeros((10, 3), np.uint8), np.zeros(10, np.uint16))


def test_a_camera_cloud_waits_for_the_path_that_holds_its_pose() -> None:
    scene = Scene()
    scene.put(layers.CLOUD, cloud("lsm_camera_unscaled", 2))
    scene.put_path(path(UNSCALED, 1))
    source = scene.get(layers.CLOUD).source
    assert scene.place(source) is None
    before = scene.version(layers.CLOUD)
    scene.put_path(path(UNSCALED, 1, 2))
    assert scene.version(layers.CLOUD) > before  # so it is drawn now
    np.testing.assert_array_equal(scene.place(source), pose(2.0))


def test_units_are_never_mixed() -> None:
    scene = Scene()
    scene.put_path(path(METRIC, 1, 2))
    assert scene.place(Source("lsm_camera_unscaled", 2)) is None
    assert scene.place(Source(UNSCALED, 2)) is None
    np.testing.assert_array_equal(scene.place(Source("camera_optical", 2)), pose(2.0))
    np.testing.assert_array_equal(scene.place(Source(METRIC, 99)), np.eye(4))


@pytest.mark.parametrize("other", [path(UNSCALED, 7, 8), path(METRIC, 1, 2), path(UNSCALED)])
def test_another_segment_unit_or_an_empty_path_begin_a_new_map(other: Path) -> None:
    scene = Scene()
    scene.put_path(path(UNSCALED, 1, 2))
    scene.put(layers.ANSWER, object())
    before = scene.generation
    scene.put_path(path(UNSCALED, 1, 2, 3))
    scene.put_path(path(UNSCALED, 2, 3, 4))  # the node gives a long path without its oldest end
    assert scene.generation == before and scene.get(layers.ANSWER) is not None
    scene.put_path(other)
    assert scene.generation == before + 1 and scene.get(layers.ANSWER) is None


def test_keyframes_go_when_the_node_lets_them_go() -> None:
    scene = Scene()
    for number in (1, 2, 3):
        scene.put_keyframe(KeyframeRecord(number, 10 * number, "parallax", False))
    scene.drop_keyframe(2)
    scene.drop_keyframe(77)
    assert [k.id for k in scene.keyframes()] == [1, 3]


def test_the_stores_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_KEYFRAMES", 5)
    monkeypatch.setattr(layers, "MAX_THUMBNAILS", 5)
    scene = Scene()
    for number in range(20):
        scene.put_keyframe(KeyframeRecord(number, number, "age", False))
        scene.put_thumbnail(number, np.zeros((2, 2, 3), np.uint8))
    assert [k.id for k in scene.keyframes()] == [15, 16, 17, 18, 19]
    assert scene.thumbnail(14) is None and scene.thumbnail(15) is not None


def test_another_node_leaves_nothing_of_the_last() -> None:
    scene = Scene()
    scene.put_path(path(UNSCALED, 1))
    scene.put_keyframe(KeyframeRecord(1, 1, "first", False))
    scene.put(layers.CLOUD, cloud(UNSCALED, 1))
    before = scene.version(layers.CLOUD), scene.generation
    scene.clear()
    assert scene.get(layers.CLOUD) is None and not scene.keyframes() and scene.map_source() is None
    assert scene.version(layers.CLOUD) > before[0] and scene.generation > before[1]


def test_sizes_follow_the_depth_of_the_newest_cloud() -> None:
    scene = Scene()
    assert scene.unit_length() == 1.0
    scene.put(layers.CLOUD, cloud(UNSCALED, 1, depth=3.0))
    assert scene.unit_length() == pytest.approx(3.0)
    scene.put(layers.CLOUD, cloud(UNSCALED, 1, depth=-1.0))
    assert scene.unit_length() == 1.0


def test_thinning_keeps_so_many_evenly() -> None:
    chosen = evenly(1000, 10)
    assert len(chosen) == 10 and chosen[0] == 0 and chosen[-1] == 999 and len(set(np.diff(chosen))) <= 2
    assert len(np.arange(5)[evenly(5, 10)]) == 5


@pytest.mark.parametrize(
    ("frame", "camera", "is_one"),
    [
        ("lsm_map", "", True),
        ("robot1/lsm_map_unscaled", "", True),
        ("left_lsm_map", "left", True),
        ("right_lsm_map", "left", False),
        ("odom", "", False),
    ],
)
def test_maps_are_told_by_their_frame(frame: str, camera: str, is_one: bool) -> None:
    assert is_map_frame(frame, camera) is is_one
