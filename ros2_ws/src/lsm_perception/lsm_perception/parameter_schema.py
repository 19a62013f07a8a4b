"""The JSON schema of parameter files: `python -m lsm_perception.parameter_schema config/parameters.schema.json`.

Editors that know YAML schemas (the YAML extension of VS Code, for one) complete and check a parameter file by it;
the shipped file names it in its first line. The node checks by the same table when it starts (`declaration.py`).
"""

from __future__ import annotations

import json
import sys
from typing import Any

from lsm_perception.parameters import settings
from lsm_perception.printed_page import print_page
from lsm_perception.settings import Setting

NODE = "lsm_perception"
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
# What rclpy itself declares or reads.
OWN_TO_RCLPY: dict[str, Any] = {
    "use_sim_time": {"type": "boolean", "default": False, "description": "Take the time from /clock."},
    "start_type_description_service": {"type": "boolean"},
    "qos_overrides": {
        "type": "object",
        "description": "qos_overrides.<topic>.<publisher|subscription>.<history|depth|reliability|durability>.",
    },
}


def of_setting(entry: Setting) -> dict[str, Any]:
    """Return the schema of one parameter: type, range or choices, default, meaning."""
    spec = entry.spec
    found: dict[str, Any] = {"description": spec.description, "default": entry.default}
    if isinstance(entry.default, tuple):
        return found | {"type": "array", "items": {"type": "string"}, "default": list(entry.default)}
    found["type"] = TYPES[type(entry.default)]
    if spec.choices:
        found["enum"] = list(spec.choices)
    if spec.low is not None:
        found["minimum"] = spec.low
    if spec.high is not None:
        found["maximum"] = spec.high
    return found


def of_parameters() -> dict[str, Any]:
    """Return the schema of what stands under ros__parameters; a name with dots is a table within a table."""
    top: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": dict(OWN_TO_RCLPY)}
    for entry in settings():
        table = top
        *groups, leaf = entry.name.split(".")
        for group in groups:
            empty = {"type": "object", "additionalProperties": False, "properties": {}}
            table = table["properties"].setdefault(group, empty)
        table["properties"][leaf] = of_setting(entry)
    return top


def schema() -> dict[str, Any]:
    """Return the schema of a parameter file; of other nodes' tables in it nothing is asked."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"Parameters of the node {NODE}",
        "description": "Printed by python -m lsm_perception.parameter_schema; do not edit.",
        "type": "object",
        "patternProperties": {
            rf"^/\*\*$|^(/.*/|/)?{NODE}$": {
                "type": "object",
                "additionalProperties": False,
                "required": ["ros__parameters"],
                "properties": {"ros__parameters": of_parameters()},
            }
        },
    }


def text() -> str:
    """Return the schema as it stands in the file."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(print_page(text()))
