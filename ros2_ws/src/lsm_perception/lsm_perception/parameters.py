"""Every parameter of the node, as one frozen tree; `python -m lsm_perception.parameters` prints docs/parameters.md.

Defaults live here, YAML only overrides them. The dotted path of a field is the parameter's ROS name.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from lsm_core.backends import backend_names
from lsm_perception.markdown import code, prose, table
from lsm_perception.parameter_groups import (
    ChainParameters,
    InputParameters,
    KeyframeParameters,
    MapParameters,
    OdometryParameters,
    PointParameters,
    PoseGateParameters,
    PosesParameters,
    QueryParameters,
    RigParameters,
    ScaleParameters,
    SemanticsParameters,
)
from lsm_perception.printed_page import print_page
from lsm_perception.settings import Setting, Value, leaves, setting

HEAD = ("name", "type", "default", "range", "changeable", "meaning")


@dataclass(frozen=True)
class NodeParameters:
    """The whole tree."""

    backend: str = setting("lsm-tiny", f"The model: {', '.join(backend_names())}.", read_only=True)
    weights: str = setting(
        "", "File or folder with its weights (lsm weights fetch BACKEND); empty for those shipped.", read_only=True
    )
    device: str = setting("auto", "auto (a GPU if there is one), cpu, cuda, cuda:1 ...", read_only=True)
    num_threads: int = setting(
        0,
        "Threads of torch on a CPU; 0 takes one less than there are cores, at least 1.",
        low=0,
        high=256,
        read_only=True,
    )
    autostart: bool = setting(True, "Configure and activate at start.", read_only=True)
    fatal_action: str = setting(
        "unconfigure",
        "When the device is lost: unconfigure stays up as an unconfigured node, exit ends the process with code 3.",
        choices=("unconfigure", "exit"),
    )
    cameras: tuple[str, ...] = setting(
        ("",),
        "Camera names: topics NAME/image ...; [''] for one camera with topics image, camera_info.",
        read_only=True,
    )
    pairing: str = setting(
        "temporal",
        "temporal pairs two times of one camera; rig adds pairs of two cameras (the first is primary) at one time.",
        choices=("temporal", "rig"),
        read_only=True,
    )
    image_transport: str = setting(
        "raw",
        "raw subscribes to image, compressed to image/compressed.",
        choices=("raw", "compressed"),
        read_only=True,
    )
    odom_frame: str = setting("odom", "The robot's odometry frame.", read_only=True)
    frame_prefix: str = setting("", "Put in front of the lsm_* frames.", read_only=True)
    publish_tf: bool = setting(True, "Publish the lsm_* frames on /tf.")
    attach_to_odom: bool = setting(True, "Hang lsm_map under odom_frame once metric.")
    map_directory: str = setting(
        "~/.ros/lsm_maps",
        "The folder of ~/save_map and ~/load_map; empty turns both off.",
        read_only=True,
    )
    diagnostics_period_s: float = setting(
        1.0, "Time between messages on /diagnostics, seconds.", low=0.1, high=3600, read_only=True
    )
    input: InputParameters = field(default_factory=InputParameters)
    keyframes: KeyframeParameters = field(default_factory=KeyframeParameters)
    pose_gate: PoseGateParameters = field(default_factory=PoseGateParameters)
    chain: ChainParameters = field(default_factory=ChainParameters)
    rig: RigParameters = field(default_factory=RigParameters)
    scale: ScaleParameters = field(default_factory=ScaleParameters)
    odometry: OdometryParameters = field(default_factory=OdometryParameters)
    points: PointParameters = field(default_factory=PointParameters)
    map: MapParameters = field(default_factory=MapParameters)
    queries: QueryParameters = field(default_factory=QueryParameters)
    semantics: SemanticsParameters = field(default_factory=SemanticsParameters)
    poses: PosesParameters = field(default_factory=PosesParameters)


def settings() -> tuple[Setting, ...]:
    """Return every parameter of the node."""
    return tuple(leaves(NodeParameters))


def type_name(value: Value) -> str:
    """Return the ROS name of a parameter's type."""
    names = {bool: "bool", int: "int", float: "double", str: "string", tuple: "string array"}
    return names[type(value)]


def default_text(value: Value) -> str:
    """Return a default as YAML shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def documentation() -> str:
    """Return docs/parameters.md."""
    lines = [
        "# Parameters of the node",
        "",
        "Printed by `python -m lsm_perception.parameters`; do not edit. Changeable ones take `ros2 param set`",
        "while the node runs; the others are read in configure. `qos_overrides.<topic>.<publisher|subscription>`",
        "works for every topic (history, depth, reliability, durability). `config/parameters.schema.json` says the",
        "same to an editor that knows YAML schemas: `# yaml-language-server: $schema=PATH` in a file's first line.",
        "",
    ]
    purposes = {"": "The model, its device, the cameras, the frames.", **group_purposes()}
    for group, entries in groupby(settings(), key=lambda entry: entry.name.rpartition(".")[0]):
        lines += [f"## {group or 'The node'}", "", prose(purposes[group]), "", *table(HEAD, rows(entries))]
    return "\n".join(lines).rstrip() + "\n"


def group_purposes() -> dict[str, str]:
    """Return the first line of each group's docstring, by the group's name."""
    factories = {entry.name: entry.default_factory for entry in dataclasses.fields(NodeParameters)}
    kinds = {name: kind for name, kind in factories.items() if isinstance(kind, type)}
    return {name: (kind.__doc__ or "").splitlines()[0] for name, kind in kinds.items()}


def rows(entries: Iterable[Setting]) -> Iterator[list[str]]:
    """Yield the rows of one group's table."""
    for entry in entries:
        changeable = "no" if entry.spec.read_only else "yes"
        default = code(default_text(entry.default))
        meaning = prose(entry.spec.description)
        yield [code(entry.name), type_name(entry.default), default, entry.spec.range_text, changeable, meaning]


if __name__ == "__main__":
    sys.exit(print_page(documentation()))
