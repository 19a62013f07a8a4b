"""The `ros2` commands of the documents, asked of a running node while a recording plays; by ros2 where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from code_blocks import missing_names, python_blocks, run_block
from command_ways import Way, commands_by
from document_commands import Block, Command

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception_msgs.msg import Scale
from lsm_perception_msgs.srv import RenderView
from ros2_commands import Failed, Ros2, output_file
from running_process import Running
from waiting import wait_until

from lsm_core.data import sample_path

TOPICS = {  # of the reader's robot, and words that stand for any topic
    "/camera/camera/color/image_raw": "/camera/image_raw/compressed",
    "/camera/image_raw": "/camera/image_raw/compressed",
    "T": "/camera/camera_info",
    "TOPIC": "/camera/camera_info",
}
BRING_DOWN = {"configure": ("deactivate", "cleanup"), "activate": ("deactivate",)}  # what the page begins from
ASKS_FOR_THINGS = "/goal_from_detection/send"  # which may not be in view: any answer will do
ASKED = [command for command in commands_by(Way.ROS2) if len(command.words) > 2]
METRIC_FRAME = "frame_id: lsm_map}"
BAG_TOPICS = ("image_topic:=/camera/image_raw", "image_transport:=compressed", "odom_topic:=/odom")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The node's home, where maps go."""
    before = os.environ.get("HOME", "")
    folder = tmp_path_factory.mktemp("home")
    os.environ["HOME"] = str(folder)
    yield folder
    os.environ["HOME"] = before


@pytest.fixture(scope="module")
def ros2(home: Path, observer: Any) -> Iterator[Ros2]:
    """Commands beside the node, a recording that plays in a loop, and the goal example, all started once."""
    programs = [
        ("bringup", *BAG_TOPICS, "queries:=chair,table"),
        ("replay", str(sample_path()), "--loop", "--clock", "--rate", "0.5"),
        ("examples.goal_from_detection", "--ros-args", "-p", "target:=chair"),
    ]
    commands = [[sys.executable, "-m", f"lsm_perception.{name}", *words] for name, *words in programs]
    with (
        Running(commands[0], home / "node.log") as node,
        Running(commands[1], home / "replay.log"),
        Running(commands[2], home / "goal.log"),
    ):
        node.wait_for("Active; listening to")
        asker = Ros2(observer)
        asker.topic_echo(["/lsm_perception/keyframes"])
        asker.topic_echo(["/lsm_perception/segmentation/label_info"])
        yield asker


def ask(ros2: Ros2, words: list[str]) -> str:
    """Run a command by ros2 where it is installed, else by rclpy."""
    if (
        shutil.which("ros2") is None
        or words[:2] == ["topic", "hz"]
        or (words[1] == "echo" and "--once" not in words)
    ):
        return ros2.run(words)
    done = subprocess.run(["ros2", *words], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode or "success=False" in done.stdout:
        raise Failed(done.stdout + done.stderr)
    return done.stdout


def answer(ros2: Ros2, command: Command) -> str:
    """Run one command and return what it prints."""
    words = command.words
    if "ros2" not in words:
        return program_output(command)
    words = [TOPICS.get(word, word) for word in words[words.index("ros2") + 1 :]]
    words = words[: words.index(">")] if ">" in words else words
    if METRIC_FRAME in command.text:
        wait_for_metres(ros2)
    if words[:2] == ["lifecycle", "set"]:
        return transition(ros2, words)
    try:
        said = ask(ros2, words)
    except Failed:
        if ASKS_FOR_THINGS not in words:
            raise
        said = ""
    if "/lsm_replay/pause" in words:
        ros2.run(["service", "call", "/lsm_replay/resume", "std_srvs/srv/Trigger"])
    if output_file(command.text):
        Path(output_file(command.text)).write_text(said)
    return said


def wait_for_metres(ros2: Ros2) -> None:
    """Wait until the node knows metres from the recording's odometry."""
    words = ["/lsm_perception/scale"]
    assert wait_until(lambda: ros2.first_message(words[0]).state == Scale.METRIC, 90), ros2.topic_echo(words)


def transition(ros2: Ros2, words: list[str]) -> str:
    """Ask for a transition from the state that the page is about, and leave the node active."""
    for step in BRING_DOWN[words[3]]:
        ros2.lifecycle_set([words[2], step])
    said = ask(ros2, words)
    if words[3] == "configure":
        ros2.lifecycle_set([words[2], "activate"])
    return said


def program_output(command: Command) -> str:
    """Run a program that looks at the node or at what was asked before."""
    done = subprocess.run(
        ["bash", "-c", command.text], capture_output=True, text=True, timeout=120, check=False, env=os.environ
    )
    if done.returncode:
        raise Failed(f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


@pytest.mark.parametrize("page", list(dict.fromkeys(command.page for command in ASKED)))
def test_the_node_answers_the_commands_of_a_page(
    page: str, ros2: Ros2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    complaints = []
    for command in [command for command in ASKED if command.page == page]:
        try:
            assert answer(ros2, command) or ASKS_FOR_THINGS in command.text
        except Exception as error:
            complaints.append(f"{command.where}: {command.text}\n  {type(error).__name__}: {error}")
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("block", python_blocks(with_ros=True), ids=lambda block: block.where)
def test_a_python_block_gets_its_answer_from_the_node(
    block: Block, ros2: Ros2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "BAG").symlink_to(sample_path())
    wait_for_metres(ros2)
    if "client" in missing_names(block.text):
        client = Caller(ros2, "/lsm_perception/render_view", RenderView)
        made = run_block(block, {"client": client, "RenderView": RenderView})
        assert made["reply"].success, made["reply"].message
        return
    (tmp_path / "asker.py").write_text(block.text)
    done = subprocess.run([sys.executable, "asker.py"], capture_output=True, text=True, timeout=120, check=False)
    # Where the recording has begun again meanwhile, metres are not known anew.
    assert done.returncode == 0 and done.stdout.startswith(("True ok", "True no_scale")), done.stdout + done.stderr
    assert (tmp_path / "answer.png").is_file()


class Caller:
    """A client whose `call` waits for the reply, which rclpy's own does in another thread."""

    def __init__(self, ros2: Ros2, name: str, service: Any) -> None:
        self._ros2, self._name, self._service = ros2, name, service

    def call(self, request: Any) -> Any:
        """Return the reply."""
        return self._ros2.ask(self._name, self._service, request)


def test_a_saved_map_is_where_the_page_looks_for_it(ros2: Ros2, home: Path) -> None:
    ros2.run(["service", "call", "/lsm_perception/save_map", "lsm_perception_msgs/srv/SaveMap", "{path: again}"])
    assert (home / ".ros" / "lsm_maps" / "again.lsmmap").is_file()


@pytest.mark.parametrize(
    "words",
    [
        "service call /lsm_perception/stats lsm_perception_msgs/srv/Nothing",
        "service call /lsm_perception/set_queries lsm_perception_msgs/srv/SetQueries {nothing: 1}",
        "service call /lsm_perception/set_queries lsm_perception_msgs/srv/SetQueries {texts: ['']}",
        "param get /lsm_perception nothing",
        "param set /lsm_perception points.voxel_m none",
    ],
)
def test_a_command_that_cannot_work_is_an_error(ros2: Ros2, words: str) -> None:
    with pytest.raises((Failed, AttributeError, AssertionError)):
        ros2.run(words.split())
