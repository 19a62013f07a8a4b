"""The Fast DDS settings: used unless the user has some, and with them large best-effort images arrive."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import rclpy
from lsm_perception.dds_profile import CHOSEN_BY_USER, VARIABLE, config_file, use_profile
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

pytestmark = pytest.mark.ros
SENDER = Path(__file__).parent / "large_image_sender.py"


def test_the_profile_is_named_in_an_environment_without_settings() -> None:
    environment: dict[str, str] = {}
    assert use_profile(environment) == Path(environment[VARIABLE])
    assert Path(environment[VARIABLE]).name == "fastdds.xml"


@pytest.mark.parametrize("name", CHOSEN_BY_USER)
def test_settings_of_the_user_stay(name: str) -> None:
    environment = {name: "mine"}
    assert use_profile(environment) is None
    assert environment == {name: "mine"}


def test_the_shared_memory_holds_several_full_hd_images() -> None:
    found = config_file("fastdds.xml")
    assert found is not None
    sizes = [int(e.text or 0) for e in ElementTree.parse(found).iter() if e.tag.endswith("segment_size")]
    assert len(sizes) == 1 and sizes[0] >= 2 * 1920 * 1080 * 3


@pytest.mark.skipif("fastrtps" not in rclpy.get_rmw_implementation_identifier(), reason="another middleware")
def test_large_best_effort_images_arrive(rclpy_session: None) -> None:
    node, heard = Node("large_image_listener"), []
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, "large_image", lambda data: heard.append(len(data)), qos, raw=True)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    environment = {name: value for name, value in os.environ.items() if name not in CHOSEN_BY_USER}
    size, count = 1280 * 720 * 3, 20
    sender = subprocess.Popen([sys.executable, str(SENDER), "large_image", str(size), str(count)], env=environment)
    try:
        while sender.poll() is None:
            executor.spin_once(timeout_sec=0.1)
    finally:
        sender.kill()
        executor.shutdown(timeout_sec=2.0)
        node.destroy_node()
    assert sender.returncode == 0
    assert all(length > size for length in heard)
    assert len(heard) >= count // 2  # without the profile none to three of them arrive
