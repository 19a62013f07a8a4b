"""The JSON schema of parameter files says what the node says: the same values pass, the same are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml

pytest.importorskip("lsm_perception", reason="the workspace is not built: ./run setup")

from lsm_perception.parameter_schema import schema, text
from lsm_perception.parameters import settings
from lsm_perception.settings import Setting

CONFIG = Path(__file__).resolve().parents[2] / "config"
CHECK = fastjsonschema.compile(schema())
FOREIGN: dict[type, Any] = {bool: "yes", int: 1.5, float: "1.0", str: 3, tuple: "one"}


def file_with(name: str, value: object, node: str = "/**") -> dict[str, Any]:
    """Return a parameter file that sets one parameter, given by its dotted name."""
    inner: Any = value
    for part in reversed(name.split(".")):
        inner = {part: inner}
    return {node: {"ros__parameters": inner}}


def accepted(document: dict[str, Any]) -> bool:
    """Whether the schema lets a parameter file pass."""
    try:
        CHECK(document)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


def refused_values(entry: Setting) -> list[Any]:
    """Return values that the node refuses for a parameter."""
    beyond = [limit for limit in (entry.spec.low, entry.spec.high) if limit is not None]
    bad = [FOREIGN[type(entry.default)]]
    if beyond:
        step = 1 if isinstance(entry.default, int) else 1e-3 * max(1.0, *map(abs, beyond))
        bad += [min(beyond) - step, max(beyond) + step]
    return bad + (["nothing of the kind"] if entry.spec.choices else [])


def test_the_file_is_that_of_the_code() -> None:
    shipped = (CONFIG / "parameters.schema.json").read_text(encoding="utf-8")
    assert shipped == text(), "run: python -m lsm_perception.parameter_schema config/parameters.schema.json"


def test_the_shipped_parameter_file_names_the_schema_and_passes_it() -> None:
    shipped = (CONFIG / "lsm_perception.yaml").read_text(encoding="utf-8")
    assert (CONFIG / shipped.splitlines()[0].split("$schema=")[1]).is_file()
    assert accepted(yaml.safe_load(shipped))


@pytest.mark.parametrize("entry", settings(), ids=lambda entry: entry.name)
def test_what_the_node_takes_passes_and_what_it_refuses_does_not(entry: Setting) -> None:
    default = list(entry.default) if isinstance(entry.default, tuple) else entry.default
    good = [
        default,
        *entry.spec.choices,
        *(limit for limit in (entry.spec.low, entry.spec.high) if limit is not None),
    ]
    assert all(accepted(file_with(entry.name, value)) for value in good)
    assert not any(accepted(file_with(entry.name, value)) for value in refused_values(entry))


@pytest.mark.parametrize("node", ["/**", "lsm_perception", "/lsm_perception", "/robot1/lsm_perception"])
def test_unknown_names_are_refused_for_this_node_however_it_is_named(node: str) -> None:
    assert accepted(file_with("points.voxel_m", 0.05, node))
    assert not accepted(file_with("points.voxel", 0.05, node))
    assert not accepted(file_with("point.voxel_m", 0.05, node))
    assert not accepted({node: {"parameters": {}}})


def test_other_nodes_in_the_same_file_are_left_alone() -> None:
    assert accepted({"camera_driver": {"ros__parameters": {"exposure": 3}}} | file_with("backend", "lsm"))


def test_what_rclpy_reads_is_no_unknown_name() -> None:
    assert accepted(file_with("use_sim_time", True))
    assert accepted(file_with("qos_overrides./image.subscription.reliability", "reliable"))
