"""What each of this package's nodes says, hears, serves and asks on the ROS graph, for given bring-up arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lsm_perception.bringup import default_params_file, remappings
from lsm_perception.publishers import GLOBAL, TYPES
from lsm_perception.services import SERVICES
from lsm_perception.viewer.ros_link import SERVICES as ASKED_BY_VIEWER

NODE, VIEWER, PROBE = "lsm_perception", "lsm_viewer", "lsm_healthcheck"
IMAGES = ("camera_info", "depth", "mask")  # beside the image itself, per camera
# What rclpy gives every node, and every lifecycle node.
_SAID_BY_ALL = ("/parameter_events", "/rosout")
_SERVED_BY_ALL = (
    "describe_parameters",
    "get_parameter_types",
    "get_parameters",
    "get_type_description",
    "list_parameters",
    "set_parameters",
    "set_parameters_atomically",
)
_SERVED_BY_LIFECYCLE = (
    "change_state",
    "get_available_states",
    "get_available_transitions",
    "get_state",
    "get_transition_graph",
)


@dataclass(frozen=True)
class Interface:
    """One node's ends on the graph, as full names, sorted.

    Attributes:
        namespace: of the node, "/" for none.
        node: its name.
        publishes, subscribes: topics.
        serves, requests: services.
    """

    namespace: str
    node: str
    publishes: tuple[str, ...]
    subscribes: tuple[str, ...]
    serves: tuple[str, ...]
    requests: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The node's full name."""
        return absolute(self.node, self.namespace)


def interfaces(values: Mapping[str, str]) -> tuple[Interface, ...]:
    """Return those of the perception node, the viewer and the health check.

    Args:
        values: all arguments of bring-up by name, as `bringup.parse_arguments` returns them. What they leave
            open is read from their parameter file.
    """
    return _perception(values), _viewer(values), _probe(values)


def absolute(name: str, namespace: str) -> str:
    """Return a topic's or service's full name: `odom` in `/robot1` is `/robot1/odom`."""
    return name if name.startswith("/") else f"{namespace.rstrip('/')}/{name}"


def _perception(values: Mapping[str, str]) -> Interface:
    namespace = _namespace(values)
    own = absolute(NODE, namespace)
    return Interface(
        namespace,
        NODE,
        _sorted(
            (f"/{name}" if name in GLOBAL else f"{own}/{name}" for name in TYPES),
            (f"{own}/transition_event", "/tf", *_SAID_BY_ALL),
        ),
        _sorted(_inputs(values), ("/clock", "/tf", "/tf_static")),
        _sorted(f"{own}/{name}" for name in (*SERVICES, *_SERVED_BY_ALL, *_SERVED_BY_LIFECYCLE)),
    )


def _viewer(values: Mapping[str, str]) -> Interface:
    namespace = _namespace(values)
    node = absolute(NODE, namespace)
    outputs = (f"/{name}" if name in GLOBAL else f"{node}/{name}" for name in TYPES)
    return Interface(
        namespace,
        VIEWER,
        _sorted(_SAID_BY_ALL),
        _sorted(outputs, _inputs(values), ("/clock",)),
        _sorted(f"{absolute(VIEWER, namespace)}/{name}" for name in _SERVED_BY_ALL),
        _sorted(f"{node}/{name}" for name in ASKED_BY_VIEWER),
    )


def _probe(values: Mapping[str, str]) -> Interface:
    namespace = _namespace(values)
    asked = (f"{absolute(NODE, namespace)}/get_state",)
    return Interface(namespace, PROBE, _sorted(_SAID_BY_ALL), (), (), asked)


def _inputs(values: Mapping[str, str]) -> set[str]:
    """Return the full names of the camera's topics and of odometry, remapped as bring-up does."""
    namespace = _namespace(values)
    compressed = _parameter(values, "image_transport", "raw") == "compressed"
    cameras = [word.strip() for word in values["cameras"].split(",")] if values["cameras"] else []
    names = {"odom"}
    for camera in cameras or _parameter(values, "cameras", [""]):
        prefix = f"{camera}/" if camera else ""
        names |= {f"{prefix}image/compressed" if compressed else f"{prefix}image"}
        names |= {f"{prefix}{name}" for name in IMAGES}
    outer = dict(remappings(values))
    return {absolute(outer.get(name, name), namespace) for name in names}


def _parameter(values: Mapping[str, str], name: str, default: Any) -> Any:
    """Return a parameter: the argument's value where it is given, else the parameter file's, else the default."""
    if values.get(name):
        return values[name]
    file = values["params_file"] or default_params_file()
    if file is None:
        return default
    document = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
    found = [section.get("ros__parameters", {}) for section in document.values() if isinstance(section, dict)]
    return next((parameters[name] for parameters in found if name in parameters), default)


def _namespace(values: Mapping[str, str]) -> str:
    return "/" + values["namespace"].strip("/")


def _sorted(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for group in groups for name in group}))
