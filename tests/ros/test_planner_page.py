"""docs/planner.md: its tables are those of the code, and its topics those of the running examples."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.examples.example_parameters import table
from lsm_perception.examples.goal_from_detection import GoalFromDetection, GoalParameters
from lsm_perception.examples.label_mask import LabelMask, MaskParameters
from lsm_perception.publishers import TYPES
from planner_side import parameters
from rclpy.node import Node

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "planner.md").read_text(encoding="utf-8")
OWN_TO_ROS = ("/parameter_events", "/rosout", "/tf", "/tf_static")


@pytest.mark.parametrize("settings", [MaskParameters, GoalParameters])
def test_the_page_has_the_parameters_of_the_code(settings: type) -> None:
    assert table(settings) in PAGE


@pytest.mark.parametrize(
    ("make", "given"),
    [(LabelMask, {"keepout": "rug", "slow": "person"}), (GoalFromDetection, {})],
)
def test_the_page_names_every_topic_that_an_example_has(
    rclpy_session: None, make: type[Node], given: dict[str, str]
) -> None:
    node = make(**parameters(**given))
    name = node.get_name()
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` | `lsm_perception/"))
    _, hears, says, serves = (cell.strip() for cell in row[1:-1].split("|"))
    heard = node.get_subscriber_names_and_types_by_node(name, "/")
    said = node.get_publisher_names_and_types_by_node(name, "/")
    served = [s for s, _ in node.get_service_names_and_types_by_node(name, "/") if "parameter" not in s]
    node.destroy_node()

    def named(cell: str) -> set[str]:
        return {"/" + word for word in cell.split("`")[1::2]}

    assert {topic for topic, _ in heard if topic not in OWN_TO_ROS} == named(hears)
    assert {topic for topic, _ in said if topic not in OWN_TO_ROS} == named(says)
    assert {s for s in served if "type_description" not in s} == named(serves)


def test_what_the_examples_hear_are_outputs_of_the_node() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `label_mask` | `lsm_perception/"))
    own = [word.removeprefix("lsm_perception/") for word in row.split("`")[1::2] if "lsm_perception/" in word]
    assert len(own) == 5 and set(own) <= set(TYPES)
