"""The launch, parameter and RViz files agree with the node they are for."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not in this environment")
pytest.importorskip("lsm_perception", reason="the workspace is not built")

from lsm_perception.bringup import default_params_file
from lsm_perception.bringup_arguments import ARGUMENTS, parameter_text
from lsm_perception.launch_argument import LaunchArgument
from lsm_perception.parameters import settings
from lsm_perception.qos import output_names
from lsm_perception.replay_arguments import LAUNCH_ARGUMENTS as REPLAY_ARGUMENTS
from lsm_perception.rviz_arguments import ARGUMENTS as RVIZ_ARGUMENTS
from lsm_perception.rviz_arguments import FIXED_FRAME

pytestmark = pytest.mark.ros
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ros2_ws" / "src" / "lsm_perception"
LAUNCH = PACKAGE / "launch"
LAUNCH_FILES = sorted(LAUNCH.glob("*.launch.py"))


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into dotted names."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def test_parameter_file_holds_known_parameters_at_their_defaults() -> None:
    tree = yaml.safe_load((PACKAGE / "config" / "lsm_perception.yaml").read_text())
    defaults = {entry.name: entry.default for entry in settings()}
    given = _flat(tree["/**"]["ros__parameters"])
    assert given.keys() <= defaults.keys()
    for name, value in given.items():
        default = list(defaults[name]) if isinstance(defaults[name], tuple) else defaults[name]
        assert (type(value), value) == (type(default), default), name


def test_every_argument_about_a_parameter_names_a_real_one() -> None:
    known = {entry.name: entry for entry in settings()}
    for argument in ARGUMENTS:
        if argument.parameter and argument.parameter != "use_sim_time":
            allowed = known[argument.parameter].spec.choices
            assert not allowed or set(argument.choices) == set(allowed), argument.name


def test_the_names_that_a_robot_engineer_will_try_are_there() -> None:
    of_nav2 = {"namespace", "use_sim_time", "params_file", "autostart", "use_respawn", "log_level"}
    inputs = {"image_topic", "camera_info_topic", "odom_topic", "image_transport", "cameras", "bag"}
    model = {"backend", "weights", "device", "python", "scale_source"}
    assert of_nav2 | inputs | model | {"rviz", "viewer"} <= {argument.name for argument in ARGUMENTS}


@pytest.mark.parametrize("text", ["", 'a "quoted" word', "back\\slash", "true", "1.5"])
def test_text_arguments_stay_text(text: str) -> None:
    argument = next(a for a in ARGUMENTS if a.name == "weights")
    assert yaml.safe_load(parameter_text(argument, text)) == text


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda file: file.name)
def test_launch_files_need_no_network_no_subprocess_and_no_eval(file: Path) -> None:
    tree = ast.parse(file.read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called.isdisjoint({"eval", "exec", "compile", "__import__", "open"})
    imported = {
        alias.name.split(".")[0] if isinstance(node, ast.Import) else (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= {"launch", "launch_ros", "lsm_perception", "shlex", "yaml"}


def test_launch_files_need_no_model_and_no_bag_reader() -> None:
    """`ros2 launch` runs in the system's Python, which may lack everything that python:= names."""
    ours = {
        node.module
        for file in LAUNCH_FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lsm_perception")
    } - {"lsm_perception.launch_declarations"}  # which needs launch itself
    look = f"import {', '.join(sorted(ours))}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert len(ours) >= 5 and set(done.stdout.split()).isdisjoint({"torch", "lsm_core", "rosbags", "cv2"})


def test_the_one_program_a_launch_file_asks_is_the_package_s_own() -> None:
    """launch's Command runs a program before anything is started: only with a bag, and only this package's."""
    commands = {
        file.name: [ast.unparse(n) for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)
                    and ast.unparse(n.func) == "Command"]
        for file in LAUNCH_FILES
    }  # fmt: skip
    assert [name for name, found in commands.items() if found] == ["bringup.launch.py"]
    assert len(commands["bringup.launch.py"]) == 1
    assert 'ExecutableInPackage("bag_topics", PACKAGE)' in (LAUNCH / "bringup.launch.py").read_text()


def test_rviz_view_shows_topics_of_the_node_with_fitting_durability() -> None:
    view = yaml.safe_load((PACKAGE / "config" / "lsm_perception.rviz").read_text())
    topics = [display["Topic"] for display in view["Visualization Manager"]["Displays"] if "Topic" in display]
    assert view["Visualization Manager"]["Global Options"]["Fixed Frame"] == FIXED_FRAME
    names = {topic["Value"].removeprefix("/lsm_perception/") for topic in topics}
    assert names <= set(output_names())
    assert {"points", "map_points", "path", "markers", "segmentation/overlay"} <= names
    latched = {t["Value"] for t in topics if t["Durability Policy"] == "Transient Local"}
    assert latched == {"/lsm_perception/map_points"}


def test_there_are_three_launch_files() -> None:
    assert [file.name for file in LAUNCH_FILES] == ["bringup.launch.py", "replay.launch.py", "rviz.launch.py"]


def test_parameter_file_is_found_and_top_level_links_point_into_the_package() -> None:
    found = default_params_file()
    assert found is not None
    assert found.read_bytes() == (PACKAGE / "config" / "lsm_perception.yaml").read_bytes()
    for name in ("launch", "config"):
        assert (ROOT / name).is_symlink()
        assert (ROOT / name).resolve() == (PACKAGE / name).resolve()


@pytest.mark.parametrize("table", [ARGUMENTS, REPLAY_ARGUMENTS, RVIZ_ARGUMENTS], ids=["bringup", "replay", "rviz"])
def test_launch_page_lists_every_argument_with_its_values(table: tuple[LaunchArgument, ...]) -> None:
    page = (ROOT / "docs" / "launch.md").read_text()
    for argument in table:
        default = "must be given" if argument.default is None else f"`{argument.default}`" * bool(argument.default)
        values = ", ".join(f"`{choice}`" for choice in argument.choices)
        assert f"| `{argument.name}` | {default} | {values} | {argument.description} |" in page, argument.name
