"""docs/robot_setup.md: its arguments, parameters, topics and figures are those of the code and of measurements."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.bringup import node_command, parse_arguments
from lsm_perception.bringup_arguments import camera_info_topic
from lsm_perception.parameters import settings
from lsm_perception.publishers import TYPES
from lsm_perception.qos import output_qos, override_complaint
from rclpy.qos import DurabilityPolicy

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "robot_setup.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def commands(start: str) -> list[str]:
    """Return the command lines of the page that hold a program, without comments and with their lines joined."""
    text = "\n".join(body for kind, body in BLOCKS if kind in ("bash", "ini")).replace("\\\n", " ")
    text += "\n".join(re.findall(r"`(\./run [^`]+)`", PAGE))
    lines = [line.split(" #")[0] for line in text.splitlines() if start in line]
    return [line.split(start)[1] for line in lines]


def yaml_blocks() -> list[dict[str, Any]]:
    """Return what the YAML blocks hold."""
    return [yaml.safe_load(body) for kind, body in BLOCKS if kind == "yaml"]


def parameter_blocks() -> list[dict[str, Any]]:
    """Return the parameters of the blocks that are parameter files of the node."""
    return [block["/**"]["ros__parameters"] for block in yaml_blocks() if "/**" in block]


def dotted(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return leaves by dotted name."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return out


def words(line: str) -> list[str]:
    """Return the words of a command; a quoted value is one."""
    return [word.replace('"', "") for word in re.findall(r'(?:[^\s"]|"[^"]*")+', line)]


@pytest.mark.parametrize("line", commands("run bringup "))
def test_every_bring_up_of_the_page_has_good_arguments(line: str) -> None:
    values, extra = parse_arguments(words(line))
    if not values["bag"] and not values["params_file"]:
        assert node_command(values, extra)


def test_the_page_starts_the_node_in_several_ways() -> None:
    assert len(commands("run bringup ")) >= 5 and len(parameter_blocks()) == 2


@pytest.mark.parametrize("block", parameter_blocks())
def test_parameters_of_the_page_exist_and_are_in_range(block: dict[str, Any]) -> None:
    known = {entry.name: entry for entry in settings()}
    for name, value in dotted(block).items():
        if name.startswith("qos_overrides."):
            assert override_complaint(name, value) is None, name
            continue
        entry = known[name]
        value = tuple(value) if isinstance(value, list) else value
        assert type(value) is type(entry.default), name
        assert entry.spec.complaint(value) is None, name


def test_names_of_parameters_in_the_text_exist() -> None:
    known = {entry.name for entry in settings()}
    groups = {name.split(".")[0] for name in known if "." in name}
    named = {name for name in re.findall(r"`([a-z_]+\.[a-z_]+)[`:]", PAGE) if name.split(".")[0] in groups}
    assert len(named) >= 5 and named <= known


def test_the_turn_from_body_to_optical_axes_points_forward() -> None:
    (line,) = [line for line in commands("static_transform_publisher ") if "--roll" in line]
    angles = {name: float(value) for name, value in re.findall(r"--(roll|pitch|yaw) (-?[\d.]+)", line)}
    R = Rotation.from_euler("xyz", [angles["roll"], angles.get("pitch", 0.0), angles["yaw"]]).as_matrix()
    x_right, y_down, z_forward = R.T
    assert np.allclose([x_right, y_down, z_forward], [[0, -1, 0], [0, 0, -1], [1, 0, 0]], atol=1e-4)


def test_calibration_of_the_example_camera_is_where_bring_up_looks() -> None:
    (image,) = re.findall(r"^\| `realsense2_camera`[^|]*\| `([^`]+)`", PAGE, re.MULTILINE)
    assert f"`{camera_info_topic(image)}`" in PAGE


def test_recorded_outputs_exist_and_latched_ones_are_asked_for_as_such() -> None:
    (line,) = [line for line in commands("ros2 bag record ") if "/lsm_perception/" in line]
    recorded = set(re.findall(r"/lsm_perception/(\S+)", line))
    assert recorded and recorded <= set(TYPES)
    (overrides,) = [block for block in yaml_blocks() if "/lsm_perception/scale" in block]
    latched = {name for name in recorded if output_qos(name).durability == DurabilityPolicy.TRANSIENT_LOCAL}
    asked = {topic for topic, qos in overrides.items() if qos.get("durability") == "transient_local"}
    assert asked == {f"/lsm_perception/{name}" for name in latched}
    assert set(overrides) <= {f"/lsm_perception/{name}" for name in recorded}
    assert all(override_complaint(f"x.{k}", v) is None for qos in overrides.values() for k, v in qos.items())


def test_rates_are_those_measured() -> None:
    block = PERFORMANCE.split("<!-- begin: lsm bench node -->")[1].split("<!-- end")[0]
    lines = [
        line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith(("| raw", "| compressed"))
    ]
    measured = {row[0]: (row[2], row[6]) for row in lines if len(row) == 14}
    rows = re.findall(r"^\| (\w+ \d+x\d+), (\d+ Hz) \| ([\d.]+) \| (\d+) ms \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for form, rate, clouds, latency in rows:
        assert measured[f"{form} {rate}"] == (clouds, latency)
