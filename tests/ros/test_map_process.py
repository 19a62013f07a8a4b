"""A map saved by one node process and used by others: a fresh node over DDS, `lsm query`, a full disk, a kill."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from geometry_msgs.msg import PoseStamped
from lsm_perception.conversions.camera_info import info_message
from lsm_perception_msgs.msg import ResultCode, Scale
from lsm_perception_msgs.srv import LoadMap, QueryText, RenderView, Reset, SaveMap, Stats
from node_process import ACTIVE, StubProcess
from robot import Robot
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header
from synthetic_world import View
from walker import Walker

from lsm_core.backends import registry
from lsm_core.cli.main import main as lsm
from lsm_core.mapping import read_map

TEXTS = ["cabinet", "floor", "piano"]
LISTEN = ("keyframes", "map_points", "scale")
HALF = np.array([[130.0, 0, 79.5], [0, 130.0, 59.5], [0, 0, 1]])  # intrinsics of 160x120


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def stub(rclpy_session: None, maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    settings = {"odometry.source": "none", "queries.texts": TEXTS, "map_directory": str(maps)}
    process = StubProcess(tmp_path_factory.mktemp("stub"), settings)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robot(rclpy_session: None) -> Iterator[Robot]:
    client = Robot(LISTEN)
    yield client
    client.close()


@pytest.fixture(scope="module")
def saved(stub: StubProcess, robot: Robot, stub_views: list[View]) -> tuple[Any, Any]:
    """The replies to a query on a keyframe and to the request that saved the map it is in."""
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    assert Walker(robot, stub_views).walk_until(lambda: len(added(robot)) >= 5), stub.text
    assert wait_until(lambda: robot.call(QueryText, "query_text", texts=["wall"]).keyframe_id == added(robot)[-1])
    answer = ask(robot, added(robot)[2])
    reply = robot.call(SaveMap, "save_map", 30.0, path="room")
    assert reply.success, reply.message
    return answer, reply


@pytest.fixture(scope="module")
def fresh(rclpy_session: None, maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Another node with the same folder, which never gets an image, and its client."""
    folder = tmp_path_factory.mktemp("fresh")
    settings = {"odometry.source": "none", "queries.texts": ["door"], "map_directory": str(maps)}
    process = StubProcess(folder, settings, namespace="/fresh")
    process.wait_for(ACTIVE)
    client = Robot(LISTEN, namespace="/fresh", name="fresh_robot")
    yield SimpleNamespace(process=process, robot=client)
    client.close()
    process.end()


def added(robot: Robot) -> list[int]:
    return [m.id for m in robot.messages("keyframes") if m.action == m.ADDED]


def ask(robot: Robot, number: int) -> Any:
    return robot.call(QueryText, "query_text", texts=TEXTS, target=QueryText.Request.ID, keyframe_id=number)


def view_from_the_start() -> dict[str, Any]:
    """Where the first keyframe of the map was."""
    pose = PoseStamped(header=Header(frame_id="lsm_map_unscaled"))
    return {"camera_info": info_message(HALF, 160, 120, Header()), "camera_pose": pose}


def epochs(robot: Robot) -> list[int]:
    return [m.epoch for m in robot.messages("scale")]


def test_a_fresh_node_answers_from_the_loaded_keyframes(
    saved: tuple[Any, Any], fresh: SimpleNamespace, maps: Path
) -> None:
    before, reply = saved
    robot = fresh.robot
    assert robot.call(QueryText, "query_text", texts=["wall"]).code == ResultCode.NOT_READY
    loaded = robot.call(LoadMap, "load_map", 30.0, path="room")
    assert loaded.success and (loaded.keyframes, loaded.points) == (reply.keyframes, reply.points), loaded.message
    after = ask(robot, before.keyframe_id)
    assert after.success and after.header == before.header and after.epoch == loaded.epoch, after.message
    assert [m.data for m in after.masks] == [m.data for m in before.masks]
    assert (after.presence, after.score, after.pixels) == (before.presence, before.score, before.pixels)
    assert after.presence[0] > 0.8 and after.presence[2] < 0.2
    points = [point_cloud2.read_points_numpy(a.points, ["x", "y", "z"]) for a in (before, after)]
    np.testing.assert_allclose(points[1], points[0], atol=1e-5)
    assert wait_until(lambda: len(added(robot)) == reply.keyframes)
    assert wait_until(lambda: [m.width for m in robot.messages("map_points")][-1:] == [reply.points])
    assert robot.call(Stats, "stats").delivered == 0  # no image has come, so no model has run


def test_a_fresh_node_draws_the_loaded_map(saved: tuple[Any, Any], fresh: SimpleNamespace) -> None:
    asked = view_from_the_start()
    drawn = fresh.robot.call(RenderView, "render_view", 120.0, texts=TEXTS, **asked)
    assert drawn.success and drawn.image.width == 160 and np.isfinite(rows(drawn.depth, np.float32)).mean() > 0.5
    found = fresh.robot.call(QueryText, "query_text", 60.0, texts=TEXTS, target=QueryText.Request.CAMERA, **asked)
    assert found.success and found.presence[1] > 0.8 and found.presence[2] < 0.2, found.message
    assert [m.data for m in found.masks] == [m.data for m in drawn.masks]


def rows(message: Any, dtype: Any) -> np.ndarray:
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width)


def test_lsm_reads_the_same_file(
    saved: tuple[Any, Any],
    maps: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, reply = saved
    module = SimpleNamespace(load=lambda device, weights: FakeBackend())
    monkeypatch.setitem(sys.modules, "fake_for_lsm", module)
    monkeypatch.setitem(registry._MODULES, FakeBackend.name, "fake_for_lsm")
    code = lsm(["query", str(maps / "room.lsmmap"), ", ".join(TEXTS), "-o", str(tmp_path / "found.png"), "--json"])
    found = {record["text"]: record for record in json.loads(capsys.readouterr().out)["found"]}
    assert code == 0 and (tmp_path / "found.png").stat().st_size > 10_000
    pixels = {k["id"]: k["pixels"] for k in found["cabinet"]["keyframes"]}
    assert pixels[before.keyframe_id] == before.pixels[0] and len(found["floor"]["keyframes"]) == reply.keyframes
    assert found["cabinet"]["presence"] > 0.8 and found["piano"]["keyframes"] == []


@pytest.mark.parametrize("path", ["../room", "/etc/passwd", "~/room", "sub/../../room", ".room"])
def test_names_that_lead_elsewhere_are_refused(
    saved: tuple[Any, Any], fresh: SimpleNamespace, maps: Path, path: str
) -> None:
    around = sorted(maps.parent.rglob("*.lsmmap"))
    for kind, name in ((SaveMap, "save_map"), (LoadMap, "load_map")):
        reply = fresh.robot.call(kind, name, path=path)
        assert (reply.success, reply.code) == (False, ResultCode.BAD_REQUEST) and "path" in reply.message
    assert sorted(maps.parent.rglob("*.lsmmap")) == around


def test_the_generation_grows_with_each_reset_and_load(saved: tuple[Any, Any], fresh: SimpleNamespace) -> None:
    robot = fresh.robot
    replies = [
        robot.call(Reset, "reset"),
        robot.call(LoadMap, "load_map", 30.0, path="room"),
        robot.call(Reset, "reset"),
    ]
    numbers = [reply.epoch for reply in replies]
    assert all(reply.success for reply in replies) and numbers == sorted(set(numbers)), numbers
    assert wait_until(lambda: epochs(robot)[-1:] == numbers[-1:]) and epochs(robot) == sorted(epochs(robot))
    assert robot.messages("scale")[-1].state == Scale.UNKNOWN
    assert ask(robot, saved[0].keyframe_id).code == ResultCode.NOT_READY
    assert wait_until(lambda: robot.messages("map_points")[-1].width == 0)


def test_a_disk_that_is_full_leaves_the_old_file_and_the_node_goes_on(
    saved: tuple[Any, Any], stub: StubProcess, robot: Robot, maps: Path
) -> None:
    whole, before = (maps / "room.lsmmap").read_bytes(), sorted(p.name for p in maps.iterdir())
    limits = resource.prlimit(stub.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(stub.process.pid, resource.RLIMIT_FSIZE, (len(whole) // 2, limits[1]))
    for path in ("room", "new"):
        reply = robot.call(SaveMap, "save_map", 30.0, path=path, overwrite=True)
        assert (reply.success, reply.code) == (False, ResultCode.IO_ERROR), reply.message
    resource.prlimit(stub.process.pid, resource.RLIMIT_FSIZE, limits)
    assert (maps / "room.lsmmap").read_bytes() == whole and sorted(p.name for p in maps.iterdir()) == before
    assert robot.call(SaveMap, "save_map", 30.0, path="room", overwrite=True).success
    assert "Traceback" not in stub.text


def test_a_node_that_is_killed_while_it_writes_leaves_the_old_file(
    saved: tuple[Any, Any], fresh: SimpleNamespace, maps: Path
) -> None:
    """Last in this file: it ends the fresh node."""
    robot, file = fresh.robot, maps / "kept.lsmmap"
    shutil.copy(maps / "room.lsmmap", file)
    whole = file.read_bytes()
    assert robot.call(LoadMap, "load_map", 30.0, path="room").success
    robot.client_of(SaveMap, "save_map").call_async(SaveMap.Request(path="kept", overwrite=True))
    end = time.monotonic() + 30
    while not list(maps.glob(".kept*")) and time.monotonic() < end:
        time.sleep(0.0005)
    fresh.process.kill()
    assert file.read_bytes() == whole or len(read_map(file).keyframes) == saved[1].keyframes
