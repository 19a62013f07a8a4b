"""The launch, parameter and RViz files agree with the node they are for."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not in this environment")
pytest.importorskip("lsm_perception", reason="the workspace is not built")

from lsm_perception.bringup import default_params_file
from lsm_perception.bringup_arguments import ARGUMENTS, parameter_text
from lsm_perception.parameters import settings
from lsm_perception.qos import output_names

pytestmark = pytest.mark.ros
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ros2_ws" / "src" / "lsm_perception"


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


def test_argument_names_follow_nav2_bringup() -> None:
    names = {argument.name for argument in ARGUMENTS}
    assert {"namespace", "use_sim_time", "params_file", "autostart", "use_respawn", "log_level"} <= names


@pytest.mark.parametrize("text", ["", 'a "quoted" word', "back\\slash", "true", "1.5"])
def test_text_arguments_stay_text(text: str) -> None:
    argument = next(a for a in ARGUMENTS if a.name == "weights")
    assert yaml.safe_load(parameter_text(argument, text)) == text


def test_launch_file_needs_no_network_no_subprocess_and_no_eval() -> None:
    tree = ast.parse((PACKAGE / "launch" / "bringup.launch.py").read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called.isdisjoint({"eval", "exec", "os.system", "subprocess.run", "subprocess.Popen"})
    imported = {
        alias.name.split(".")[0] if isinstance(node, ast.Import) else (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {"launch", "launch_ros", "lsm_perception", "yaml"}


def test_rviz_view_shows_topics_of_the_node_with_fitting_durability() -> None:
    view = yaml.safe_load((PACKAGE / "config" / "lsm_perception.rviz").read_text())
    topics = [display["Topic"] for display in view["Visualization Manager"]["Displays"] if "Topic" in display]
    names = {topic["Value"].removeprefix("/lsm_perception/") for topic in topics}
    assert names <= set(output_names())
    assert {"points", "map_points", "path", "markers", "segmentation/overlay"} <= names
    latched = {t["Value"] for t in topics if t["Durability Policy"] == "Transient Local"}
    assert latched == {"/lsm_perception/map_points"}


def test_parameter_file_is_found_and_top_level_links_point_into_the_package() -> None:
    found = default_params_file()
    assert found is not None
    assert found.read_bytes() == (PACKAGE / "config" / "lsm_perception.yaml").read_bytes()
    for name in ("launch", "config"):
        assert (ROOT / name).is_symlink()
        assert (ROOT / name).resolve() == (PACKAGE / name).resolve()


def test_launch_page_lists_every_argument_with_its_values() -> None:
    page = (ROOT / "docs" / "launch.md").read_text()
    for argument in ARGUMENTS:
        default = f"`{argument.default}`" if argument.default else ""
        values = ", ".join(f"`{choice}`" for choice in argument.choices)
        assert f"| `{argument.name}` | {default} | {values} | {argument.description} |" in page, argument.name
