"""~/save_map and ~/load_map over DDS: what comes back, in which frame and unit, and what a reset makes void."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import DIM, FakeBackend
from harness import Harness
from lsm_perception import map_service
from lsm_perception_msgs.msg import Keyframe, PairPose, ResultCode, Scale
from lsm_perception_msgs.srv import GetQueries, LoadMap, QueryText, Reset, SaveMap, SetQueries
from sensor_msgs_py import point_cloud2
from synthetic_world import View, walk

from lsm_core.io import read_point_cloud
from lsm_core.mapping import read_map

LISTEN = ("keyframes", "map_points", "path", "scale", "pair_pose", "segmentation/label_info")


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(14)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def running(rclpy_session: None, views: list[View], maps: Path) -> Iterator[Harness]:
    parameters = {"queries.texts": ["wall", "floor"], "map_directory": str(maps)}
    harness = Harness(FakeBackend(views), parameters, listen=LISTEN)
    harness.wait_active()
    harness.wait_connected(*LISTEN)
    yield harness
    harness.close()


@pytest.fixture
def node(running: Harness, views: list[View]) -> Harness:
    """The same node for all tests of this file, after half a walk without metres."""
    running.renew()
    running.walk(views[:7])
    assert wait_until(lambda: len(running.messages("keyframes")) >= 7)
    assert wait_until(lambda: len(shown(running)) > 0)
    return running


def shown(node: Harness) -> np.ndarray:
    """Return the newest map's points [N, 3]."""
    messages = node.messages("map_points")
    if not messages:
        return np.zeros((0, 3))
    return point_cloud2.read_points_numpy(messages[-1], ["x", "y", "z"])


def kept(node: Harness) -> list[int]:
    assert node.node.runtime is not None
    return [k.id for k in node.node.runtime.cameras[""].mapper.contents().keyframes]


def answers(node: Harness, number: int) -> Any:
    return node.call(
        QueryText, "query_text", texts=["wall", "floor"], target=QueryText.Request.ID, keyframe_id=number
    )


def test_a_saved_map_comes_back_after_a_reset(node: Harness, maps: Path) -> None:
    runtime = node.node.runtime
    assert runtime is not None
    ids, before, points = kept(node), answers(node, kept(node)[2]), shown(node)
    saved = node.call(SaveMap, "save_map", path="room")
    assert saved.success and saved.path == str(maps / "room.lsmmap"), saved.message
    assert saved.bytes == (maps / "room.lsmmap").stat().st_size and saved.keyframes == len(ids)
    assert node.call(Reset, "reset").success
    assert wait_until(lambda: len(shown(node)) == 0) and not answers(node, ids[2]).success
    forward_passes, epoch = node.backend.predictions, runtime.cameras[""].mapper.scale.epoch
    node.call(SetQueries, "set_queries", texts=["cabinet"])
    node.forget()
    loaded = node.call(LoadMap, "load_map", path="room")
    assert loaded.success and (loaded.keyframes, loaded.points) == (len(ids), saved.points), loaded.message
    assert loaded.epoch > epoch
    assert wait_until(lambda: len(shown(node)) == len(points))
    np.testing.assert_allclose(shown(node), points, atol=1e-5)
    assert node.messages("map_points")[-1].header.frame_id == "lsm_map_unscaled"
    assert [m.id for m in node.messages("keyframes") if m.action == Keyframe.ADDED] == ids
    assert list(node.call(GetQueries, "get_queries").texts) == ["wall", "floor"]
    after = answers(node, ids[2])
    assert after.success and after.epoch == loaded.epoch and after.header == before.header
    assert [m.data for m in after.masks] == [m.data for m in before.masks] and after.presence == before.presence
    assert after.points.header.frame_id == "lsm_map_unscaled" and after.points.width == before.points.width
    assert node.backend.predictions == forward_passes


def test_images_after_a_load_begin_a_map_of_their_own(node: Harness, views: list[View]) -> None:
    ids = kept(node)
    assert node.call(SaveMap, "save_map", path="again", overwrite=True).success
    assert node.call(LoadMap, "load_map", path="again").success
    runtime = node.node.runtime
    assert runtime is not None
    segment = runtime.cameras[""].mapper.segment
    node.forget()
    node.walk(views[7:10])
    assert wait_until(lambda: len(node.messages("pair_pose")) >= 1)
    new = [number for number in kept(node) if number not in ids]
    pairs = node.messages("pair_pose")
    assert min(new) > max(ids) and all(
        p.reference_id > max(ids) for p in pairs
    )  # never with a keyframe of the loaded map
    assert runtime.cameras[""].mapper.segment == segment + 1
    reply = answers(node, ids[0])
    assert reply.success and reply.points.width == 0  # words still, but no place in the new segment
    assert answers(node, new[-1]).points.width > 0


def test_metres_of_a_file_are_a_claim_and_nothing_is_attached_to_odom(
    rclpy_session: None, views: list[View], tmp_path: Path
) -> None:
    harness = Harness(FakeBackend(views), {"map_directory": str(tmp_path)}, listen=LISTEN, namespace="/metric")
    try:
        harness.wait_active()
        harness.wait_connected(*LISTEN)
        harness.send_odometry(views)
        harness.walk(views[:9])
        runtime = harness.node.runtime
        assert runtime is not None
        mapper = runtime.cameras[""].mapper
        assert wait_until(
            lambda: bool(harness.messages("scale")) and harness.messages("scale")[-1].state == Scale.METRIC
        )
        known = mapper.scale
        assert harness.call(SaveMap, "save_map", path="m").success
        assert harness.call(SaveMap, "save_map", path="m", format="ply").success
        assert wait_until(lambda: len(shown(harness)) > 0)
        metric_points = read_point_cloud(tmp_path / "m.ply").points
        harness.forget()
        assert harness.call(LoadMap, "load_map", path="m").success
        assert wait_until(lambda: len(shown(harness)) > 0)
        scale = harness.messages("scale")[-1]
        assert (scale.state, scale.source) == (Scale.DEGRADED, "odometry") and scale.epoch > known.epoch
        assert scale.metres_per_unit == pytest.approx(known.metres_per_unit)
        cloud = harness.messages("map_points")[-1]
        assert cloud.header.frame_id == "lsm_map_unscaled"
        in_metres = shown(harness) * scale.metres_per_unit
        np.testing.assert_allclose(np.sort(in_metres, 0), np.sort(metric_points, 0), atol=1e-3)
        assert harness.messages("path")[-1].header.frame_id == "lsm_map_unscaled"
        time.sleep(0.5)
        assert not [t for m in harness.messages("tf") for t in m.transforms if t.child_frame_id.startswith("lsm_")]
        reply = harness.call(QueryText, "query_text", texts=["wall"])
        assert reply.success and reply.unit == PairPose.UNIT_RELATIVE
    finally:
        harness.close()


class Held:
    """A step of saving or loading that waits until it is let go."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.entered, self.release, self._work = threading.Event(), threading.Event(), work

    def __call__(self, *given: Any) -> Any:
        self.entered.set()
        assert self.release.wait(20)
        return self._work(*given)


def test_a_map_in_work_does_not_come_back_after_a_reset(
    node: Harness, maps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert node.call(SaveMap, "save_map", path="old", overwrite=True).success
    held = Held(map_service.read_map)
    monkeypatch.setattr(map_service, "read_map", held)
    loading = node.client_of(LoadMap, "load_map").call_async(LoadMap.Request(path="old"))
    assert held.entered.wait(10)
    busy = node.call(SaveMap, "save_map", path="other")
    assert (busy.success, busy.code) == (False, ResultCode.BUSY)
    assert node.call(Reset, "reset").success
    held.release.set()
    assert wait_until(loading.done)
    assert (loading.result().success, loading.result().code) == (False, ResultCode.NOT_READY)
    assert "reset" in loading.result().message and kept(node) == []
    time.sleep(1.2)  # the node refreshes late listeners once a second
    assert len(shown(node)) == 0


def test_what_was_loaded_before_a_reset_is_gone_after_it(node: Harness) -> None:
    assert node.call(SaveMap, "save_map", path="old", overwrite=True).success
    assert node.call(LoadMap, "load_map", path="old").success
    assert wait_until(lambda: len(shown(node)) > 0)
    assert node.call(Reset, "reset").success
    assert wait_until(lambda: len(shown(node)) == 0) and kept(node) == []
    time.sleep(1.2)
    assert len(shown(node)) == 0
    reply = node.call(SaveMap, "save_map", path="nothing")
    assert (reply.success, reply.code) == (False, ResultCode.NOT_READY)


def test_an_inference_in_work_while_a_map_is_loaded_adds_nothing(node: Harness, views: list[View]) -> None:
    assert node.call(SaveMap, "save_map", path="old", overwrite=True).success
    ids = kept(node)
    node.hold_inference(views[7:])
    assert node.call(LoadMap, "load_map", path="old").success
    node.backend.release.set()
    node.settle()
    assert kept(node) == ids


def test_images_are_worked_on_while_a_map_is_written(
    node: Harness, views: list[View], maps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(map_service.write_map)
    monkeypatch.setattr(map_service, "write_map", held)
    ids = kept(node)
    saving = node.client_of(SaveMap, "save_map").call_async(SaveMap.Request(path="slow"))
    assert held.entered.wait(10)
    node.walk(views[7:9])
    assert len(kept(node)) > len(ids) and answers(node, kept(node)[-1]).success and not saving.done()
    held.release.set()
    assert wait_until(saving.done) and saving.result().success
    assert [k.id for k in read_map(maps / "slow.lsmmap").keyframes] == ids  # as it was when the request came


class OtherWords(FakeBackend):
    """The same with another text space."""

    def decode_features(self, features: Any) -> Any:
        return features.flip(-1)


def test_a_map_with_words_of_another_model_is_refused(node: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    assert node.call(SaveMap, "save_map", path="words", overwrite=True).success
    ids = kept(node)
    monkeypatch.setattr(FakeBackend, "decode_features", OtherWords.decode_features)
    reply = node.call(LoadMap, "load_map", path="words")
    assert (reply.success, reply.code) == (False, ResultCode.UNSUPPORTED) and "fake" in reply.message
    assert kept(node) == ids


def test_a_full_disk_is_an_error_and_the_old_map_is_whole(
    node: Harness, maps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert node.call(SaveMap, "save_map", path="disk", overwrite=True).success
    before = (maps / "disk.lsmmap").read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", full)
        reply = node.call(SaveMap, "save_map", path="disk", overwrite=True)
    assert (reply.success, reply.code) == (False, ResultCode.IO_ERROR) and "No space left" in reply.message
    assert (maps / "disk.lsmmap").read_bytes() == before and not list(maps.glob(".*"))


def test_a_saved_file_holds_features_thumbnails_and_gaussians(node: Harness, maps: Path) -> None:
    assert node.call(SaveMap, "save_map", path="full", overwrite=True).success
    saved = read_map(maps / "full.lsmmap")
    assert saved.backend == "fake" and saved.texts == ("wall", "floor")
    for keyframe in saved.cameras[0].placed:
        assert keyframe.picture().shape == (240, 320, 3)
        assert keyframe.prediction.features is not None and keyframe.prediction.features[0].shape[-1] == DIM
        assert keyframe.prediction.gaussians is not None and len(keyframe.prediction.gaussians) == 4800


def test_maps_of_several_cameras_are_told_apart_by_name(
    rclpy_session: None, node: Harness, views: list[View], maps: Path
) -> None:
    assert node.call(SaveMap, "save_map", path="single", overwrite=True).success
    parameters = {"cameras": ["left", "right"], "map_directory": str(maps)}
    harness = Harness(FakeBackend(views), parameters, listen=("keyframes",), namespace="/two", camera="left")
    try:
        harness.wait_active()
        harness.walk(views[:5])
        foreign = harness.call(LoadMap, "load_map", path="single")
        assert (foreign.success, foreign.code) == (False, ResultCode.NOT_FOUND) and "camera" in foreign.message
        runtime = harness.node.runtime
        assert runtime is not None
        ids = [k.id for k in runtime.cameras["left"].mapper.contents().keyframes]
        assert ids and harness.call(SaveMap, "save_map", path="two", overwrite=True).keyframes == len(ids)
        ply = harness.call(SaveMap, "save_map", path="two", format="ply")
        assert (ply.success, ply.code) == (False, ResultCode.UNSUPPORTED)
        assert harness.call(Reset, "reset").success and harness.call(LoadMap, "load_map", path="two").success
        assert [k.id for k in runtime.cameras["left"].mapper.contents().keyframes] == ids
        assert runtime.cameras["right"].mapper.contents().keyframes == ()
        wrong = node.call(LoadMap, "load_map", path="two")
        assert (wrong.success, wrong.code) == (False, ResultCode.NOT_FOUND) and kept(node)
    finally:
        harness.close()
