"""Fault 13: bad, huge and too many requests, in any state: a code and a message in bounded time, no state leak."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from builtin_interfaces.msg import Duration, Time
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lsm_perception_msgs.msg import ResultCode
from lsm_perception_msgs.srv import (
    Capture,
    GetQueries,
    LoadMap,
    QueryText,
    RenderView,
    Reset,
    SaveMap,
    SetQueries,
    Stats,
)
from node_process import ACTIVE, StubProcess
from robot import Robot
from synthetic_world import View
from walker import Walker

QUERY = QueryText.Request
NAN = float("nan")
STANDING = ["wall", "floor"]
ANSWERED = {ResultCode.OK, ResultCode.NO_SCALE}


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def stub(rclpy_session: None, maps: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    folder = tmp_path_factory.mktemp("stub")
    settings = {"odometry.source": "none", "queries.texts": STANDING, "map_directory": str(maps)}
    process = StubProcess(folder, settings)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def walker(stub: StubProcess, robot: Robot, stub_views: list[View]) -> Walker:
    """A walk that has left a few keyframes."""
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    walker = Walker(robot, stub_views)
    assert walker.walk_until(lambda: len(robot.messages("pair_pose")) >= 3), stub.text
    return walker


BAD_TEXTS: dict[str, list[str]] = {
    "empty text": [""],
    "spaces": ["   "],
    "one of them empty": ["chair", ""],
    "no letters": ["?!"],
    "1e5 characters": ["x" * 100_000],
    "1e5 characters of 3 bytes": ["椅" * 100_000],
    "control characters": ["cha\x07ir"],
    "escape sequence": ["\x1b[2Jchair"],
    "only NUL": ["\0"],
    "private use": ["\ue000chair"],
    "twice the same": ["chair", "table", "chair"],
    "same but for case and spaces": ["Red  chair", "red chair "],
    "1000 texts": [f"thing {i}" for i in range(1000)],
}
BAD_THRESHOLDS: dict[str, list[float]] = {
    "NaN": [NAN],
    "one NaN": [0.2, NAN],
    "negative": [-0.5],
    "above 1": [1.5],
    "infinite": [float("inf")],
    "too many": [0.1] * 3,
    "1e5": [0.1] * 100_000,
}
BAD_QUERIES: dict[str, tuple[dict[str, Any], str]] = {
    "empty list": ({"texts": []}, ResultCode.BAD_REQUEST),
    "unknown id": ({"texts": ["chair"], "target": QUERY.ID, "keyframe_id": 2**64 - 1}, ResultCode.NOT_FOUND),
    "stamp long ago": ({"texts": ["chair"], "target": QUERY.STAMP, "stamp": Time()}, ResultCode.NOT_FOUND),
    "stamp far ahead": (
        {"texts": ["chair"], "target": QUERY.STAMP, "stamp": Time(sec=2**31 - 1)},
        ResultCode.NOT_FOUND,
    ),
    "negative timeout": ({"texts": ["chair"], "timeout": Duration(sec=-1)}, ResultCode.BAD_REQUEST),
    "timeout of 68 years": ({"texts": ["chair"], "timeout": Duration(sec=2**31 - 1)}, ResultCode.BAD_REQUEST),
    "unknown target": ({"texts": ["chair"], "target": 255}, ResultCode.BAD_REQUEST),
    "unknown camera": ({"texts": ["chair"], "camera": "x" * 100_000}, ResultCode.NOT_FOUND),
}


def still_well(stub: StubProcess, robot: Robot) -> None:
    """The node lives, and a good question is answered."""
    assert robot.call(QueryText, "query_text", texts=["wall"]).success, stub.text
    assert stub.alive and "Traceback" not in stub.text


@pytest.mark.parametrize("texts", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_bad_texts_are_refused_and_change_nothing(
    stub: StubProcess, robot: Robot, walker: Walker, texts: list[str]
) -> None:
    for kind, name in ((QueryText, "query_text"), (SetQueries, "set_queries")):
        reply = robot.call(kind, name, texts=texts)
        assert (reply.success, reply.code) == (False, ResultCode.BAD_REQUEST)
        assert 0 < len(reply.message) < 1000
    assert list(robot.call(GetQueries, "get_queries").texts) == STANDING
    still_well(stub, robot)


@pytest.mark.parametrize("thresholds", BAD_THRESHOLDS.values(), ids=BAD_THRESHOLDS)
def test_bad_thresholds_are_refused_and_change_nothing(
    stub: StubProcess, robot: Robot, walker: Walker, thresholds: list[float]
) -> None:
    before = robot.call(GetQueries, "get_queries")
    for kind, name in ((QueryText, "query_text"), (SetQueries, "set_queries")):
        reply = robot.call(kind, name, texts=["chair", "table"], thresholds=thresholds)
        assert (reply.success, reply.code) == (False, ResultCode.BAD_REQUEST) and reply.message
    assert robot.call(GetQueries, "get_queries") == before
    still_well(stub, robot)


@pytest.mark.parametrize(("fields", "code"), BAD_QUERIES.values(), ids=BAD_QUERIES)
def test_bad_queries_are_refused(
    stub: StubProcess, robot: Robot, walker: Walker, fields: dict[str, Any], code: str
) -> None:
    reply = robot.call(QueryText, "query_text", **fields)
    assert (reply.success, reply.code) == (False, code) and 0 < len(reply.message) < 1000
    assert not reply.masks and not reply.points.data
    still_well(stub, robot)


@pytest.mark.parametrize("texts", [["стул", "椅子", "café"], ["👩‍🚀 chair"], ["كرسي"], ["a\ttab and\nlines"]])
def test_any_language_is_fine(stub: StubProcess, robot: Robot, walker: Walker, texts: list[str]) -> None:
    assert robot.call(QueryText, "query_text", texts=texts).success
    assert robot.call(SetQueries, "set_queries", texts=texts).success
    assert robot.call(SetQueries, "set_queries", texts=STANDING).success


def ask_at_a_rate(robot: Robot, rate_hz: float, seconds: float, meanwhile: Any = lambda: None) -> list[Any]:
    """Send queries without waiting for replies; return all replies."""
    client = robot.client_of(QueryText, "query_text")
    started = time.monotonic()
    futures = []
    while time.monotonic() < started + seconds:
        due = int((time.monotonic() - started) * rate_hz) + 1
        while len(futures) < due:
            futures.append(client.call_async(QueryText.Request(texts=["wall", f"thing {len(futures)}"])))
        meanwhile()
        time.sleep(0.005)
    assert wait_until(lambda: all(f.done() for f in futures), 30.0), Counter(f.done() for f in futures)
    return [f.result() for f in futures]


def test_100_queries_per_second_are_all_answered_and_images_go_on(
    stub: StubProcess, robot: Robot, walker: Walker
) -> None:
    before = len(robot.messages("pair_pose"))
    replies = ask_at_a_rate(robot, 100.0, 3.0, lambda: walker.step(0.05))
    assert len(replies) >= 250
    codes = Counter(reply.code for reply in replies)
    answered = codes[ResultCode.OK] + codes[ResultCode.NO_SCALE]
    assert set(codes) <= {*ANSWERED, ResultCode.BUSY, ResultCode.TIMEOUT} and answered >= 3, codes
    assert all(reply.message for reply in replies if not reply.success)
    assert len(robot.messages("pair_pose")) > before, stub.text
    assert robot.call(Stats, "stats").success


def test_queries_during_resets_are_answered(stub: StubProcess, robot: Robot, walker: Walker) -> None:
    resets = robot.client_of(Reset, "reset")
    asked: list[Any] = []

    def reset_and_walk() -> None:
        asked.append(resets.call_async(Reset.Request()))
        walker.step(0.05)

    codes = Counter(reply.code for reply in ask_at_a_rate(robot, 30.0, 2.0, reset_and_walk))
    assert wait_until(lambda: all(f.done() for f in asked)) and all(f.result().success for f in asked)
    assert set(codes) <= {*ANSWERED, ResultCode.BUSY, ResultCode.TIMEOUT, ResultCode.NOT_READY}, codes
    seen = len(robot.messages("pair_pose"))
    assert walker.walk_until(lambda: len(robot.messages("pair_pose")) > seen), stub.text
    still_well(stub, robot)


def test_captures_that_wait_for_nothing_do_not_stop_the_node(
    stub: StubProcess, robot: Robot, walker: Walker
) -> None:
    client = robot.client_of(Capture, "capture")
    waiting = [client.call_async(Capture.Request(timeout=Duration(sec=50))) for _ in range(30)]
    done = lambda code: sum(f.done() and f.result().code == code for f in waiting)  # noqa: E731
    assert wait_until(lambda: done(ResultCode.BUSY) == 26), Counter(f.done() for f in waiting)
    assert robot.call(Stats, "stats").success
    assert walker.walk_until(lambda: done(ResultCode.OK) == 4), stub.text
    reply = robot.call(Capture, "capture", timeout=Duration(sec=2**31 - 1))
    assert (reply.success, reply.code) == (False, ResultCode.BAD_REQUEST)


OUTSIDE = [
    "../../etc/x",
    "/etc/x",
    "~/x",
    "a/../../x",
    "sub/x",
    "..",
    ".hidden",
    "a\\b",
    "a\nb",
    " ",
]


@pytest.mark.parametrize("path", ["", *OUTSIDE, "x" * 100_000])
def test_no_name_leads_out_of_the_map_folder(
    stub: StubProcess, robot: Robot, walker: Walker, maps: Path, path: str
) -> None:
    before = sorted(p.name for p in maps.parent.rglob("*"))
    for kind, name in ((SaveMap, "save_map"), (LoadMap, "load_map")):
        reply = robot.call(kind, name, path=path)
        assert (reply.success, reply.code) == (False, ResultCode.BAD_REQUEST) and "path" in reply.message
    assert sorted(p.name for p in maps.parent.rglob("*")) == before


def test_links_and_what_is_no_file_are_neither_written_nor_read(
    stub: StubProcess, robot: Robot, walker: Walker, maps: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.lsmmap"
    outside.write_bytes(b"mine")
    (maps / "link.lsmmap").symlink_to(outside)
    (maps / "dangling.lsmmap").symlink_to(tmp_path / "new.lsmmap")
    (maps / "folder.lsmmap").mkdir()
    os.mkfifo(maps / "pipe.lsmmap")
    for path in ("link", "dangling", "folder", "pipe"):
        saved = robot.call(SaveMap, "save_map", path=path, overwrite=True)
        loaded = robot.call(LoadMap, "load_map", path=path)
        assert (saved.code, loaded.code) == (ResultCode.BAD_REQUEST, ResultCode.BAD_REQUEST), path
    assert outside.read_bytes() == b"mine" and not (tmp_path / "new.lsmmap").exists()


def test_files_that_are_no_maps_are_refused_and_the_map_stays(
    stub: StubProcess, robot: Robot, walker: Walker, maps: Path
) -> None:
    assert robot.call(SaveMap, "save_map", path="whole").success
    whole = (maps / "whole.lsmmap").read_bytes()
    (maps / "cut.lsmmap").write_bytes(whole[: len(whole) // 2])
    (maps / "noise.lsmmap").write_bytes(np.random.default_rng(0).bytes(100_000))
    (maps / "empty.lsmmap").write_bytes(b"")
    for path, code in (("cut", ResultCode.IO_ERROR), ("noise", ResultCode.IO_ERROR), ("empty", ResultCode.IO_ERROR),
                       ("absent", ResultCode.NOT_FOUND)):  # fmt: skip
        reply = robot.call(LoadMap, "load_map", path=path)
        assert (reply.success, reply.code) == (False, code) and path in reply.message
    assert robot.call(QueryText, "query_text", texts=["wall"]).success
    again = robot.call(SaveMap, "save_map", path="whole")
    assert (again.success, again.code) == (False, ResultCode.BAD_REQUEST) and "overwrite" in again.message
    assert robot.call(SaveMap, "save_map", path="whole", format="nonsense").code == ResultCode.BAD_REQUEST
    assert stub.alive and "Traceback" not in stub.text


ASKED: dict[str, tuple[type, dict[str, Any]]] = {
    "query_text": (QueryText, {"texts": ["chair"]}),
    "set_queries": (SetQueries, {"texts": ["chair"]}),
    "get_queries": (GetQueries, {}),
    "capture": (Capture, {}),
    "reset": (Reset, {}),
    "stats": (Stats, {}),
    "render_view": (RenderView, {}),
    "save_map": (SaveMap, {"path": "none"}),
}
ALSO_INACTIVE = ("set_queries", "get_queries", "reset", "stats")


def test_in_every_state_each_request_gets_a_reply(rclpy_session: None, tmp_path_factory: Any) -> None:
    process = StubProcess(tmp_path_factory.mktemp("idle"), {"autostart": False}, namespace="/idle")
    robot = Robot((), namespace="/idle", name="idle_robot")
    try:
        for steps, label in (
            ([], "unconfigured"),
            ([Transition.TRANSITION_CONFIGURE], "inactive"),
            ([Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE], "inactive"),
            ([Transition.TRANSITION_CLEANUP], "unconfigured"),
        ):
            for step in steps:
                change = ChangeState.Request(transition=Transition(id=step))
                assert robot.call(ChangeState, "change_state", 30.0, transition=change.transition).success
            for name, (kind, fields) in ASKED.items():
                reply = robot.call(kind, name, 30.0, **fields)
                if label == "inactive" and name in ALSO_INACTIVE:
                    assert reply.success, (label, name, reply.message)
                else:
                    assert (reply.success, reply.code) == (False, ResultCode.NOT_READY), (label, name)
                    assert reply.message
        assert process.alive and "Traceback" not in process.text
    finally:
        robot.close()
        process.end()


def test_a_model_that_fails_on_texts_leaves_the_standing_queries(
    stub: StubProcess, robot: Robot, walker: Walker
) -> None:
    stub.behave(fail="runtime", fail_in="query")
    for kind, name in ((QueryText, "query_text"), (SetQueries, "set_queries")):
        reply = robot.call(kind, name, texts=["chair"])
        assert (reply.success, reply.code) == (False, ResultCode.INTERNAL) and "inside the model" in reply.message
    stub.behave()
    assert list(robot.call(GetQueries, "get_queries").texts) == STANDING
    assert stub.alive and robot.call(QueryText, "query_text", texts=["wall"]).success


@pytest.mark.slow
def test_random_texts_do_not_grow_the_node(stub: StubProcess, robot: Robot, walker: Walker) -> None:
    rng = np.random.default_rng(0)

    def ask(count: int) -> None:
        for _ in range(count):
            texts = ["".join(chr(97 + c) for c in rng.integers(0, 26, 200)) for _ in range(8)]
            assert robot.call(QueryText, "query_text", texts=texts).success

    ask(60)
    warm = stub.resident_mib()
    ask(240)
    assert stub.resident_mib() < 1.05 * warm
