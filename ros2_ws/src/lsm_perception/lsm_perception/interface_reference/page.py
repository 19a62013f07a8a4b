"""The page, section by section."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from lsm_perception.frames import frame_names
from lsm_perception.interface_reference.definitions import Definition, Field, Part, read_definitions
from lsm_perception.interface_reference.diagnostics_keys import KEYS, PARTS, example_keys
from lsm_perception.interface_reference.others import OTHERS, VIEWER_NODE, OtherNode
from lsm_perception.interface_reference.services import EXIT_CODES, SERVICES, STANDARD, TRANSITIONS
from lsm_perception.interface_reference.topics import (
    IMAGE,
    INPUTS,
    OUTPUTS,
    STANDARD_INPUTS,
    STANDARD_OUTPUTS,
    Output,
)
from lsm_perception.listener import message_type
from lsm_perception.markdown import code, prose, table
from lsm_perception.publishers import GLOBAL, TYPES
from lsm_perception.qos import input_names, input_qos, output_names, output_qos
from lsm_perception.services import SERVICES as SERVICE_TYPES

MESSAGES = "lsm_perception_msgs"
HEAD = """\
# Interface reference

Printed by `python -m lsm_perception.interface_reference`; do not edit. The behaviour behind it is in
[node.md](node.md), frames and metres in [frames_and_scale.md](frames_and_scale.md), parameters in
[parameters.md](parameters.md).
`tests/ros/test_interface_reference.py` compares this page with a running node, name by name.

| direction | names | in short |
|---|---|---|
| in | `image` or `image/compressed`, `camera_info` | one camera, or `<camera>/image` ... for several |
| in, optional | tf or `odom`; `depth`; `mask` | metres; what moves |
| out | `~/points`, `~/map_points`, `~/gaussians` | clouds: newest pair, map of the segment, 3D Gaussians |
| out | `~/pair_pose`, `~/relative_pose`, `~/path`, `/tf` | where the camera is |
| out | `~/segmentation/...`, `~/detections`, `~/markers` | words on pixels, things with boxes |
| out | `~/depth/...` | depth in metres |
| out | `~/keyframes`, `~/scale`, `/diagnostics` | every decision, what metres rest on, health |
| services | `~/query_text`, `~/set_queries`, `~/get_queries`, `~/render_view` | ask in words, look from anywhere |
| services | `~/capture`, `~/reset`, `~/save_map`, `~/load_map`, `~/stats` | control |
| actions | none | |

`~/` is `/lsm_perception/`, with the node's namespace in front. Names without a slash are in that namespace;
remap them. Types of our own: [Messages](#messages), [Services in detail](#services-in-detail).
"""


def documentation(folder: Path | None = None) -> str:
    """Return docs/interface.md.

    Args:
        folder: of the package `lsm_perception_msgs`; the one beside this source, or the installed.
    """
    folder = folder or _definitions_folder()
    lines = [*HEAD.splitlines(), ""]
    for section in (_inputs(), _outputs(), _frames(), _services(), _lifecycle(), _diagnostics()):
        lines += section
    lines += _definitions(folder)
    lines += [*_exit_codes(), *_others()]
    return "\n".join(lines).rstrip() + "\n"


def qos_text(qos: QoSProfile) -> str:
    """Return reliability, durability and depth in words."""
    reliable = "reliable" if qos.reliability == ReliabilityPolicy.RELIABLE else "best effort"
    latched = "transient local" if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL else "volatile"
    return f"{reliable}, {latched}, depth {qos.depth}"


def _inputs() -> Iterator[str]:
    yield "## Inputs"
    yield ""
    rows = [[code(n), code(message_type(INPUTS[n].kind)), qos_text(input_qos(n)), INPUTS[n].holds, INPUTS[n].used]
            for n in input_names()]  # fmt: skip
    compressed = [code("image/compressed"), code("sensor_msgs/msg/CompressedImage"), *rows[0][2:]]
    compressed[3:] = ["the same as jpeg or png", "instead of `image`, with `image_transport: compressed`"]
    standard = [[code(name), code(kind), qos, *_split(what)] for name, kind, qos, what in STANDARD_INPUTS]
    yield from table(("name", "type", "QoS", "holds", "used"), [rows[0], compressed, *rows[1:], *standard])
    yield "With several `cameras` all but `odom` are `<camera>/image` and so on. Stamps are the images' own."
    yield ""


def _split(what: str) -> tuple[str, str]:
    """Return content and condition of one of ROS's own inputs."""
    holds, _, used = what.rpartition("; ")
    return (holds, used) if holds else ("simulated time", used)


def _outputs() -> Iterator[str]:
    yield "## Outputs"
    yield ""
    yield from table(("name", "type", "QoS", "lazy"), (_output_end(name) for name in output_names()))
    head = ("name", "holds", "frame: no metres / METRIC", "unit", "published")
    yield from table(head, (_output_content(name) for name in output_names()))
    yield "*lazy*: neither made nor sent while nobody listens. *silent*: nothing is published in that state. A"
    yield "*segment's unit* is the model's own and means nothing outside its segment; with metres the same topic is"
    yield "in metres, and its frame says so. `frame_id` is empty before the first image. Clouds are also held to"
    yield "`points.max_mb_per_s`. Every topic but tf's takes `qos_overrides` ([node.md](node.md#qos))."
    yield ""
    yield from table(
        ("ROS's own", "type", "QoS", "holds"),
        ([code(name), code(kind), qos, what] for name, kind, qos, what in STANDARD_OUTPUTS),
    )


def _output_topic(name: str) -> str:
    return code(f"/{name}" if name in GLOBAL else f"~/{name}")


def _output_end(name: str) -> list[str]:
    lazy = "yes" if OUTPUTS[name].lazy else "no"
    return [_output_topic(name), code(message_type(TYPES[name])), qos_text(output_qos(name)), lazy]


def _output_content(name: str) -> list[str]:
    entry = OUTPUTS[name]
    return [_output_topic(name), entry.holds, _frame_text(entry), entry.unit or "–", entry.when]


def _frame_text(entry: Output) -> str:
    if entry.metric_only:
        return f"*silent* / {entry.frames[1]}"
    words = [frame if frame in (IMAGE, "") else code(frame) for frame in dict.fromkeys(entry.frames)]
    return " / ".join(words) or "–"


def _frames() -> Iterator[str]:
    yield "## Frames on /tf"
    yield ""
    names = frame_names("", "", "odom")
    trees = ((names.unscaled, "no metres", "the segment's"), (names.metric, "METRIC", "metres"))
    rows = [[code(names.odom), code(names.metric.map), "METRIC, with odometry and `attach_to_odom`", "metres"]]
    for tree, state, unit in trees:
        rows.append([code(tree.map), code(tree.keyframe), state, unit])
        rows.append([code(tree.keyframe), code(tree.camera), state, unit])
    yield from table(("parent", "child", "while", "unit"), [*rows[1:3], rows[0], *rows[3:]])
    yield "All are optical frames (x right, y down, z forward) at the newer image's stamp. `frame_prefix` stands"
    yield "in front, and the camera's name (`left_lsm_map`) where there are several; `odom` is `odom_frame`."
    yield ""


def _services() -> Iterator[str]:
    yield "## Services"
    yield ""
    rows = [[f"[{code('~/' + name)}](#{kind.__name__.lower()})", code(f"{MESSAGES}/srv/{kind.__name__}"),
             SERVICES[name].does, SERVICES[name].works] for name, kind in SERVICE_TYPES.items()]  # fmt: skip
    yield from table(("name", "type", "does", "works while the node is"), rows)
    yield "Every reply has `success`, `code` (a constant of [ResultCode](#resultcode)) and `message`. They exist in"
    yield "every state, and reply `not_ready` in those that are not named. There are no actions."
    yield ""


def _lifecycle() -> Iterator[str]:
    yield "## Lifecycle and parameters"
    yield ""
    yield "Requests to `~/change_state` name a transition by `id` or `label`; autostart takes the first two."
    yield ""
    rows = [[code(label), str(number), begin, end] for label, number, begin, end in TRANSITIONS]
    yield from table(("transition", "id", "from", "to"), rows)
    yield from table(
        ("ROS's own service", "type", "does"),
        ([code(f"~/{name}"), code(kind), does] for name, kind, does in STANDARD),
    )


def _diagnostics() -> Iterator[str]:
    yield "## Diagnostics"
    yield ""
    yield "Parts of `/diagnostics` are named `<node>: <part>`; all values are texts, empty where there is none yet."
    yield ""
    for part, keys in example_keys().items():
        yield f"**{part}**: {PARTS[part]}"
        yield ""
        yield from table(("key", "value"), ([code(key), KEYS[part][key]] for key in keys))


def _definitions(folder: Path) -> Iterator[str]:
    yield "## Messages"
    yield ""
    for definition in read_definitions(folder / "msg", ".msg"):
        yield from _definition(definition, ("",))
    yield "## Services in detail"
    yield ""
    for definition in read_definitions(folder / "srv", ".srv"):
        yield from _definition(definition, ("request", "reply"))


def _definition(definition: Definition, titles: Iterable[str]) -> Iterator[str]:
    yield f"### {definition.name}"
    yield ""
    yield prose(definition.purpose)
    yield ""
    for title, part in zip(titles, definition.parts, strict=True):
        yield from _part(title, part)


def _part(title: str, part: Part) -> Iterator[str]:
    if part.constants:
        rows = [[code(c.name), code(c.value), prose(c.meaning)] for c in part.constants]
        yield from table((f"constant of the {title}" if title else "constant", "value", "meaning"), rows)
    if part.fields:
        rows = [_field_row(list(group)) for _, group in groupby(part.fields, key=lambda field: field.meaning)]
        yield from table((title or "field", "meaning"), rows)
    elif title:
        yield f"The {title} has no fields."
        yield ""


def _field_row(fields: list[Field]) -> list[str]:
    names = ", ".join(code(f"{field.type} {field.name}") for field in fields)
    meaning = fields[0].meaning
    if not meaning and [field.name for field in fields] == ["success"]:
        meaning = "Whether it was done."
    return [names, prose(meaning)]


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes"
    yield ""
    yield from table(("program", "code", "when"), ([name, str(number), why] for name, number, why in EXIT_CODES))


def _others() -> Iterator[str]:
    yield "## Other nodes of the package"
    yield ""
    head = ("node", "started by", "publishes", "hears", "serves; asks")
    yield from table(head, (_other_row(node) for node in OTHERS))


def _other_row(node: OtherNode) -> list[str]:
    hears = "every topic above but tf" if node is VIEWER_NODE else _names(node.subscribes)
    services = "; ".join(names for names in (_names(node.serves), _names(node.asks)) if names)
    return [code(node.name), node.started_by, _names(node.publishes), hears, services]


def _names(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)


def _definitions_folder() -> Path:
    """Return the source of the messages where this package is run from source, else what was installed."""
    beside = Path(__file__).resolve().parents[3] / MESSAGES
    return beside if beside.is_dir() else Path(get_package_share_directory(MESSAGES))
