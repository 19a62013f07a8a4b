"""Complaints of the running node, as /rosout and /diagnostics carry them, end with the section that treats them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from diagnosis import diagnosed
from lsm_perception.symptoms import GUIDE, Symptom
from node_process import ACTIVE, NodeProcess, StubProcess
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile
from robot import Robot, image_message
from synthetic_world import View

LINK = re.compile(rf" See {re.escape(GUIDE)}#([a-z-]+)$", re.MULTILINE)
WARN = 30
CAMERAS = ["alone", "good"]


class Operator(Robot):
    """A camera that also reads /rosout."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._noting = threading.Lock()
        super().__init__(("diagnostics",), camera="good")
        latched = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.client.create_subscription(Log, "/rosout", self._note, latched)

    def _note(self, line: Log) -> None:
        if line.level >= WARN and "lsm_perception" in line.name:
            with self._noting:
                self.complaints.append(line.msg)

    def hears(self, words: str, symptom: Symptom) -> bool:
        """Whether a complaint with these words has come, with the section's link."""
        with self._noting:
            found = [text for text in self.complaints if words in text]
        return bool(found) and all(LINK.findall(text) == [symptom.value] for text in found)


@pytest.fixture(scope="module")
def operator(rclpy_session: None) -> Iterator[Operator]:
    client = Operator()
    yield client
    client.close()


@pytest.fixture(scope="module")
def node(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """A node with one camera that nobody publishes, without tf, and with a parameter that it does not have."""
    parameters = {
        "cameras": CAMERAS,
        "input.no_data_s": 1.0,
        "diagnostics_period_s": 0.5,
        "keyframes.max_aeg_s": 3.0,
    }
    process = StubProcess(tmp_path_factory.mktemp("linked"), parameters)
    process.wait_for(ACTIVE)
    yield process
    process.end()


def test_nobody_publishes(node: StubProcess, operator: Operator) -> None:
    assert wait_until(lambda: operator.hears("No image on /alone/image", Symptom.NO_IMAGES)), operator.complaints
    found = diagnosed(operator, "camera alone", lambda d: d.level == 1)
    assert LINK.findall(found.message) == [Symptom.NO_IMAGES.value]


def test_an_encoding_that_cannot_be_an_image(node: StubProcess, operator: Operator, stub_views: list[View]) -> None:
    message = image_message(stub_views[0].rgb, stub_views[0].stamp_ns)
    message.encoding = "heat_map"

    def heard() -> bool:
        operator.images.publish(message)
        return operator.hears("Encoding 'heat_map' is not supported", Symptom.IMAGE_FORMAT)

    assert wait_until(heard), operator.complaints


def test_images_without_a_stamp(node: StubProcess, operator: Operator, stub_views: list[View]) -> None:
    def heard() -> bool:
        operator.send(replace(stub_views[0], stamp_ns=0))
        return operator.hears("The stamp of the images is zero", Symptom.CLOCK)

    assert wait_until(heard), operator.complaints


def test_no_tf(node: StubProcess, operator: Operator, stub_views: list[View]) -> None:
    views = iter(stub_views * 20)

    def heard() -> bool:
        operator.send(next(views))
        return operator.hears("No metres from camera good yet: no odometry", Symptom.NO_METRES)

    assert wait_until(heard, 30.0), operator.complaints
    found = diagnosed(operator, "scale good", lambda d: "no odometry" in d.message)
    assert LINK.findall(found.message) == [Symptom.NO_METRES.value]


def test_everything_that_was_logged_names_a_section(node: StubProcess, operator: Operator) -> None:
    assert operator.hears("'keyframes.max_aeg_s' is not one of this node's", Symptom.PARAMETERS)
    lines = [line for line in node.text.splitlines() if line.startswith(("[WARN]", "[ERROR]", "[FATAL]"))]
    assert len(lines) >= 4 and not [line for line in lines if not LINK.search(line)]


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    words = ["--ros-args", "-p", "backend:=noposplat", "-p", f"weights:={tmp_path / 'none.ckpt'}"]
    process = NodeProcess(tmp_path / "node.log", *words)
    try:
        process.wait_for("Cannot configure")
        assert wait_until(lambda: LINK.findall(process.text) == [Symptom.CANNOT_CONFIGURE.value]), process.text
    finally:
        process.end()


def test_a_node_without_keys_does_not_start_where_sros2_is_enforced(tmp_path: Path) -> None:
    environment = {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(tmp_path),
        "ROS_SECURITY_ENCLAVE_OVERRIDE": "/lsm_perception",
    }
    process = NodeProcess(tmp_path / "node.log", environment=environment)
    assert process.process.wait(60) == 1
    assert "SECURITY ERROR" in process.text and "Traceback" not in process.text
    assert LINK.findall(process.text) == [Symptom.NOT_STARTING.value]
