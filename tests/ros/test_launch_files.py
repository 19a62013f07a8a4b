"""The launch files, run by launch itself: what is declared, and how each program is then started.

The programs are stand-ins that write down their command lines, so a launch takes a second.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("launch_ros", reason="launch and launch_ros come with a full ROS 2 installation")
pytest.importorskip("lsm_perception", reason="the workspace is not built: ./run setup")

from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from lsm_perception.bringup_arguments import ARGUMENTS as BRINGUP
from lsm_perception.launch_argument import LaunchArgument
from lsm_perception.replay_arguments import LAUNCH_ARGUMENTS as REPLAY
from lsm_perception.rviz_arguments import ARGUMENTS as RVIZ

from lsm_core.data import sample_path

pytestmark = pytest.mark.ros
HERE = Path(__file__).parent
LAUNCH = HERE.parents[1] / "ros2_ws" / "src" / "lsm_perception" / "launch"
TABLES = {"bringup": BRINGUP, "replay": REPLAY, "rviz": RVIZ}
Record = dict[str, Any]
Run = Callable[..., dict[str, Record]]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Return what the launchers take for Python: it records `-m MODULE WORDS`, and runs bag_topics in earnest."""
    program = tmp_path / "python"
    program.write_text(
        f'#!/bin/sh\ncase "$2" in lsm_perception.bag_topics) exec "{sys.executable}" "$@" ;; esac\n'
        f'shift; exec "{sys.executable}" "{HERE / "launch_recorder.py"}" "$@"\n'
    )
    program.chmod(0o755)
    return program


@pytest.fixture
def with_rviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package rviz2 whose program records."""
    prefix = tmp_path / "rviz"
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "rviz2").touch()
    program = prefix / "lib" / "rviz2" / "rviz2"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "launch_recorder.py"}" rviz2 "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix), prepend=":")


@pytest.fixture
def launched(tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that launches a file and returns the records of the programs by module or name."""

    def run(file: str, expected: int, code: int = 0, end: bool = False, **arguments: str) -> dict[str, Record]:
        """Launch; `end` ends it when all records are there, otherwise it must end by itself."""
        folder = tmp_path / "records"
        folder.mkdir()
        monkeypatch.setenv("LSM_RECORDS", str(folder))
        monkeypatch.setenv("LSM_EXPECTED", str(expected))
        if file != "rviz":
            arguments = {"python": str(python), **arguments}
        source = PythonLaunchDescriptionSource(str(LAUNCH / f"{file}.launch.py"))
        service = LaunchService(noninteractive=True)
        service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments.items()))
        over = threading.Event()

        def watch() -> None:
            deadline = time.monotonic() + 60
            while not over.wait(0.1) and time.monotonic() < deadline:
                if end and len(list(folder.glob("*.json"))) >= expected:
                    break
            service.shutdown()

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            assert service.run() == code
        finally:
            over.set()
            watching.join()
        found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
        assert len(found) == expected, [record["name"] for record in found]
        return {record["name"]: record for record in found}

    return run


def option(record: Record, name: str) -> str:
    words: list[str] = record["words"]
    return words[words.index(name) + 1]


def pairs(record: Record) -> dict[str, str]:
    """Return the remappings."""
    words: list[str] = record["words"]
    rules = [words[i + 1].split(":=", 1) for i, word in enumerate(words) if word == "-r"]
    return {inner: outer for inner, outer in rules}


def parameters(record: Record) -> dict[str, Any]:
    """Return the parameters of all parameter files, the last one winning."""
    merged: dict[str, Any] = {}
    for text in record["files"]:
        for section in yaml.full_load(text).values():  # lists are written as tuples
            merged |= section["ros__parameters"]
    return merged


@pytest.mark.parametrize("file", TABLES)
def test_every_argument_is_declared_at_top_level_as_in_its_table(file: str) -> None:
    description = get_launch_description_from_python_launch_file(str(LAUNCH / f"{file}.launch.py"))
    declared = {a.name: a for a in description.entities if type(a).__name__ == "DeclareLaunchArgument"}
    table: tuple[LaunchArgument, ...] = TABLES[file]
    assert list(declared) == [argument.name for argument in table]
    for argument in table:
        there = declared[argument.name]
        assert there.description.startswith(argument.description)
        default = None if there.default_value is None else "".join(part.text for part in there.default_value)
        assert default == argument.default
        assert set(there.choices or ()) - {""} == set(argument.choices)


def test_defaults_start_the_node_alone_with_the_parameter_file(launched: Run) -> None:
    (node,) = launched("bringup", 1).values()
    assert node["name"] == "lsm_perception.node"
    assert len(node["files"]) == 1 and "ros__parameters" in node["files"][0]
    assert option(node, "--log-level") == "info"
    assert node["environment"]["RCUTILS_LOGGING_BUFFERED_STREAM"] == "1"


def test_arguments_become_namespace_remappings_and_typed_parameters(launched: Run) -> None:
    records = launched(
        "bringup", 2, namespace="robot1", image_topic="/cam/image_raw", image_transport="compressed",
        odom_topic="wheel/odom", queries="chair, a red sofa", publish_tf="false", viewer="true", viewer_port="0",
        log_level="debug",
    )  # fmt: skip
    node, viewer = records["lsm_perception.node"], records["lsm_perception.viewer"]
    assert pairs(node) == {
        "__ns": "/robot1", "image": "/cam/image_raw", "image/compressed": "/cam/image_raw/compressed",
        "camera_info": "/cam/camera_info", "odom": "wheel/odom",
    }  # fmt: skip
    assert pairs(viewer) == pairs(node)
    values = parameters(node)
    assert list(values["queries.texts"]) == ["chair", "a red sofa"] and values["publish_tf"] is False
    assert option(node, "--log-level") == "debug"
    assert option(viewer, "--port") == "0" and option(viewer, "--image-transport") == "compressed"


def test_texts_that_look_like_numbers_or_switches_stay_texts(launched: Run) -> None:
    (node,) = launched("bringup", 1, queries="1, yes", weights="2.5", device="on").values()
    values = parameters(node)
    assert list(values["queries.texts"]) == ["1", "yes"]
    assert (values["weights"], values["device"]) == ("2.5", "on")


def test_with_a_bag_its_topics_are_found_and_it_is_played(launched: Run) -> None:
    bag = str(sample_path())
    records = launched("bringup", 2, bag=bag, bag_rate="2.0", bag_loop="true", odom_topic="/mine")
    node, player = records["lsm_perception.node"], records["lsm_perception.replay"]
    assert pairs(node)["image/compressed"] == "/camera/image_raw/compressed" and pairs(node)["odom"] == "/mine"
    values = parameters(node)
    assert values["use_sim_time"] is True and values["image_transport"] == "compressed"
    assert player["words"][0] == bag and "--loop" in player["words"] and "--clock" in player["words"]
    assert option(player, "--rate") == "2.0" and float(option(player, "--wait")) >= 60


def test_with_a_bag_that_is_none_nothing_is_started(launched: Run) -> None:
    assert launched("bringup", 0, code=1, bag="nowhere") == {}


@pytest.mark.parametrize(("name", "value"), [("pairing", "wrong"), ("use_respawn", "yes"), ("viewer", "maybe")])
def test_a_value_outside_the_choices_is_refused_before_anything_is_started(
    launched: Run, name: str, value: str
) -> None:
    assert launched("bringup", 0, code=1, **{name: value}) == {}


def test_use_respawn_starts_a_node_that_failed_again(python: Path, launched: Run) -> None:
    failing = python.with_name("failing")
    failing.write_text(f'#!/bin/sh\nLSM_EXPECTED=1 "{python}" "$@"\nexit 3\n')
    failing.chmod(0o755)
    assert set(launched("bringup", 2, end=True, python=str(failing), use_respawn="true")) == {"lsm_perception.node"}


def test_rviz_is_started_with_the_view_and_topics_of_the_node(launched: Run, with_rviz: None) -> None:
    records = launched("bringup", 2, rviz="true", namespace="r1", frame_prefix="r1/", use_sim_time="true")
    rviz = records["rviz2"]
    assert option(rviz, "-d").endswith("config/lsm_perception.rviz") and Path(option(rviz, "-d")).is_file()
    assert option(rviz, "-f") == "r1/lsm_map_unscaled"
    assert pairs(rviz)["/lsm_perception/points"] == "/r1/lsm_perception/points"
    assert parameters(rviz)["use_sim_time"] is True


def test_where_rviz_is_missing_nothing_is_started(launched: Run) -> None:
    assert launched("bringup", 0, code=1, rviz="true") == {}


def test_rviz_alone_with_a_view_of_ones_own(launched: Run, with_rviz: None) -> None:
    (rviz,) = launched("rviz", 1, rviz_config="/my.rviz", fixed_frame="odom").values()
    assert rviz["words"][:4] == ["-d", "/my.rviz", "-f", "odom"]
    assert pairs(rviz) == {} and parameters(rviz)["use_sim_time"] is False


def test_replay_hands_its_arguments_to_the_player(launched: Run) -> None:
    (player,) = launched(
        "replay", 1, bag="/a b", rate="0.5", loop="true", clock="50", start="2", topics="/x, /y"
    ).values()
    words = player["words"]
    assert player["name"] == "lsm_perception.replay" and words[0] == "/a b"
    assert option(player, "--rate") == "0.5" and option(player, "--clock") == "50" and "--loop" in words
    assert words[words.index("--topics") + 1 :][:2] == ["/x", "/y"]


def test_replay_needs_a_bag(launched: Run) -> None:
    assert launched("replay", 0, code=1) == {}
