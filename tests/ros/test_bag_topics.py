"""Which arguments of bring-up fit a bag: found in it, printed, and merged with what the user gave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lsm_perception", reason="the workspace is not built: ./run setup")

from lsm_perception.bag_topics import BagTopics, main, topics_in
from lsm_perception.bringup import companions, node_command, parse_arguments
from lsm_perception.bringup_bag import ask_bag
from lsm_perception.launch_argument import ArgumentError
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

from lsm_core.data import sample_path
from lsm_core.errors import FileFormatError
from lsm_core.io import open_bag

pytestmark = pytest.mark.ros
STORE = get_typestore(Stores.ROS2_JAZZY)


def write_bag(path: Path, topics: dict[str, tuple[str, int]]) -> Path:
    """Write a bag with so many messages of a type on each topic; odometry is in the frame `wheels`."""
    types = STORE.types
    head = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 0), "wheels")
    no_bytes, point = np.zeros(0, np.uint8), types["geometry_msgs/msg/Point"](0.0, 0.0, 0.0)
    pose = types["geometry_msgs/msg/Pose"](point, types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0))
    zero = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    twist = types["geometry_msgs/msg/Twist"](zero, zero)
    messages = {
        "sensor_msgs/msg/Image": types["sensor_msgs/msg/Image"](head, 0, 0, "rgb8", 0, 0, no_bytes),
        "sensor_msgs/msg/CompressedImage": types["sensor_msgs/msg/CompressedImage"](head, "jpeg", no_bytes),
        "nav_msgs/msg/Odometry": types["nav_msgs/msg/Odometry"](
            head,
            "base",
            types["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36)),
            types["geometry_msgs/msg/TwistWithCovariance"](twist, np.zeros(36)),
        ),
    }
    with Writer(path, version=9) as writer:
        for topic, (kind, count) in topics.items():
            connection = writer.add_connection(topic, kind, typestore=STORE)
            for i in range(count):
                writer.write(connection, 10**9 + i, STORE.serialize_cdr(messages[kind], kind))
    return path


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bag with three raw images, one compressed one of another camera, and odometry."""
    return write_bag(
        tmp_path_factory.mktemp("topics") / "bag",
        {
            "/left/image_raw": ("sensor_msgs/msg/Image", 3),
            "/right/image_raw/compressed": ("sensor_msgs/msg/CompressedImage", 1),
            "/wheel/odom": ("nav_msgs/msg/Odometry", 2),
        },
    )


def values_of(*words: str) -> dict[str, str]:
    return parse_arguments(words)[0]


def test_the_sample_is_described() -> None:
    with open_bag(sample_path()) as bag:
        assert topics_in(bag) == BagTopics(
            "/camera/image_raw/compressed", True, "/camera/camera_info", "/odom", "odom"
        )


def test_the_topic_with_most_images_is_taken_and_odometry_names_its_frame(bag: Path) -> None:
    with open_bag(bag) as opened:
        assert topics_in(opened) == BagTopics("/left/image_raw", False, None, "/wheel/odom", "wheels")


@pytest.mark.parametrize("name", ["/right/image_raw", "/right/image_raw/compressed"])
def test_a_compressed_topic_is_found_by_the_name_its_raw_one_would_have(bag: Path, name: str) -> None:
    with open_bag(bag) as opened:
        words = topics_in(opened, name).bringup_words()
    assert words[:2] == ["image_topic:=/right/image_raw", "image_transport:=compressed"]


def test_a_compressed_topic_of_another_name_is_refused() -> None:
    with pytest.raises(FileFormatError, match="/compressed"):
        BagTopics("/jpeg", True, None, None, None).bringup_words()


def test_the_program_prints_words_of_bringup(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(bag)]) == 0
    values = values_of(*capsys.readouterr().out.split())
    assert (values["image_topic"], values["odom_frame"]) == ("/left/image_raw", "wheels")


@pytest.mark.parametrize("words", [["nowhere"], ["BAG", "--image-topic", "/none"]])
def test_the_program_says_what_is_wrong_in_one_line(
    bag: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(bag) if word == "BAG" else word for word in words]) == 1
    said = capsys.readouterr().err
    assert words[-1] in said and "Fix: " in said and said.count("\n") == 1


def test_bringup_fills_in_what_is_not_given(bag: Path) -> None:
    values = ask_bag(values_of(f"bag:={bag}", "odom_topic:=/other"), sys.executable)
    assert values["image_topic"] == "/left/image_raw" and values["image_transport"] == "raw"
    assert values["odom_topic"] == "/other" and values["odom_frame"] == "wheels"
    assert "use_sim_time:=true" in node_command(values)
    (player,) = companions(values)
    assert player[1:4] == ["-m", "lsm_perception.replay", str(bag)] and "--clock" in player


def test_the_clock_of_the_machine_can_be_kept(bag: Path) -> None:
    values = ask_bag(
        values_of(f"bag:={bag}", "use_sim_time:=false", "image_topic:=/right/image_raw"), sys.executable
    )
    assert values["image_transport"] == "compressed"
    assert "use_sim_time:=false" in node_command(values)
    assert "--clock" not in companions(values)[0]


def test_speed_and_loop_are_handed_to_the_player(bag: Path) -> None:
    (player,) = companions(values_of(f"bag:={bag}", "bag_rate:=0.5", "bag_loop:=true"))
    assert player[player.index("--rate") + 1] == "0.5" and "--loop" in player


def test_a_bag_that_is_none_is_told_before_anything_starts(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with pytest.raises(ArgumentError, match="There is no bag"):
        ask_bag(values_of(f"bag:={missing}"), sys.executable)
    words = [sys.executable, "-m", "lsm_perception.bringup", f"bag:={missing}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("bringup: ") and "Traceback" not in done.stderr
