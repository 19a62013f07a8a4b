"""Declare the parameter tree on a node, keep it up to date, and refuse bad values as a whole."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterException, ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from lsm_core.errors import InputError, QueryError
from lsm_core.query import split_texts
from lsm_perception.parameter_checks import contradiction
from lsm_perception.parameters import NodeParameters, settings
from lsm_perception.qos import override_complaint
from lsm_perception.settings import Setting, Spec, Value, replaced
from lsm_perception.symptoms import Symptom, see

OWN_TO_RCLPY = ("use_sim_time", "start_type_description_service")
QOS = "qos_overrides."
NO_LIMIT = {int: (-(2**63), 2**63 - 1), float: (-1.0e308, 1.0e308)}


class ParameterServer:
    """The node's parameters: declared once, read as one frozen tree, changed atomically."""

    def __init__(self, node: Node, on_change: Callable[[NodeParameters], None]) -> None:
        """Declare every parameter.

        Args:
            node: the node that owns them.
            on_change: called with the new tree after each accepted change, in the caller's thread.

        Raises:
            InputError: a value from the command line or a parameter file has a wrong type or range.
        """
        self._node = node
        self._on_change = on_change
        self._lock = threading.Lock()
        self._settings = {entry.name: entry for entry in settings()}
        self._tree = replaced(
            NodeParameters(), {name: declare_setting(node, e) for name, e in self._settings.items()}
        )
        complaint = contradiction(self._tree)
        if complaint is not None:
            raise refusal(complaint.split()[0], complaint)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)
        self._refuse_bad_qos()
        for name in unknown_overrides(node, self._settings):
            hint = nearest(name, self._settings)
            line = f"Parameter '{name}' is not one of this node's; it has no effect.{hint}"
            node.get_logger().warning(see(line, Symptom.PARAMETERS))

    @property
    def tree(self) -> NodeParameters:
        """The values in force."""
        with self._lock:
            return self._tree

    def warn_of_unused_qos(self) -> None:
        """Warn of `qos_overrides` of topics that are not there; called when all topics are open."""
        declared = [QOS + rest for rest in self._node.get_parameters_by_prefix(QOS[:-1])]
        for name in overrides_of(self._node):
            if name.startswith(QOS) and name not in declared:
                line = f"Parameter '{name}' has no effect: no such topic is open.{nearest(name, declared)}"
                self._node.get_logger().warning(see(line, Symptom.PARAMETERS))

    def _refuse_bad_qos(self) -> None:
        for name, parameter in overrides_of(self._node).items():
            complaint = override_complaint(name, parameter.value) if name.startswith(QOS) else None
            if complaint is not None:
                raise refusal(name, complaint)

    def _check(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        parameters = list(parameters)
        if any(not parameter.name for parameter in parameters):  # rclpy takes it for declared
            return SetParametersResult(successful=False, reason="a parameter without a name")
        changes = {p.name: as_setting_value(p.value) for p in parameters if p.name in self._settings}
        for name, value in changes.items():
            complaint = complaint_about(self._settings[name], value)
            if complaint is not None:
                return SetParametersResult(successful=False, reason=f"{name}: {complaint}")
        together = contradiction(replaced(self.tree, changes))
        return SetParametersResult(successful=together is None, reason=together or "")

    def _apply(self, parameters: Iterable[Parameter]) -> None:
        changes = {p.name: as_setting_value(p.value) for p in parameters if p.name in self._settings}
        if not changes:
            return
        with self._lock:
            self._tree = replaced(self._tree, changes)
        try:
            self._on_change(self.tree)
        except Exception as error:  # whoever asked must get a reply
            line = (
                f"{', '.join(changes)} changed, but the node could not act on it: {type(error).__name__}: {error}. "
                "Fix: set it back, or configure the node anew."
            )
            self._node.get_logger().error(see(line, Symptom.PARAMETERS))


def declare_setting(node: Node, entry: Setting) -> Value:
    """Declare a parameter and return its value: what was given at start, else the default.

    Raises:
        InputError: the value given has a wrong type or range.
    """
    override = overrides_of(node).get(entry.name)
    default: Any = list(entry.default) if isinstance(entry.default, tuple) else entry.default
    if override is not None and isinstance(default, float) and override.type_ == Parameter.Type.INTEGER:
        overrides_of(node)[entry.name] = Parameter(entry.name, value=float(override.value))
    try:
        declared = node.declare_parameter(entry.name, default, descriptor_of(entry))
        value = as_setting_value(declared.value)
        complaint = complaint_about(entry, value)
    except (ParameterException, InvalidParameterException, TypeError, ValueError) as error:
        complaint, value = str(error), entry.default
    if complaint is not None:
        raise refusal(entry.name, complaint)
    return value


def refusal(name: str, complaint: str) -> InputError:
    """Return the error of a value that the node does not start with."""
    return InputError(
        f"Parameter '{name}' is refused: {complaint}.",
        "Correct it in the parameter file or on the command line (docs/parameters.md).",
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question about the known name that looks most like a wrong one, "" where none does."""
    found = difflib.get_close_matches(name, list(known), 1, 0.7)
    return f" Did you mean '{found[0]}'?" if found else ""


def overrides_of(node: Node) -> dict[str, Parameter]:
    """Return the values given on the command line and in parameter files (rclpy has no public call for it)."""
    overrides: dict[str, Parameter] = getattr(node, "_parameter_overrides", {})
    return overrides


def unknown_overrides(node: Node, known: Iterable[str]) -> list[str]:
    """Return override names that are neither in `known`, nor rclpy's own, nor QoS overrides."""
    names = set(known) | set(OWN_TO_RCLPY)
    return [name for name in overrides_of(node) if name not in names and not name.startswith(QOS)]


def as_setting_value(value: Any) -> Value:
    """Return a parameter's value with arrays as tuples."""
    return tuple(value) if isinstance(value, list | tuple) else value


def complaint_about(entry: Setting, value: Value) -> str | None:
    """Return why a value is refused, or None."""
    if type(value) is not type(entry.default):
        return f"it has type {type(value).__name__}, not {type(entry.default).__name__}"
    if entry.name == "queries.texts" and isinstance(value, tuple) and any(text.strip() for text in value):
        try:
            split_texts([text for text in value if text.strip()])
        except QueryError as error:
            return str(error)
    return entry.spec.complaint(value)


def descriptor_of(entry: Setting) -> ParameterDescriptor:
    """Return the ROS descriptor of a parameter: description, range, choices, read-only."""
    spec = entry.spec
    descriptor = ParameterDescriptor(
        name=entry.name,
        description=spec.description,
        read_only=spec.read_only,
        additional_constraints=f"one of: {', '.join(spec.choices)}" if spec.choices else "",
    )
    if spec.low is not None or spec.high is not None:
        add_range(descriptor, entry.default, spec)
    return descriptor


def add_range(descriptor: ParameterDescriptor, default: Value, spec: Spec) -> None:
    """Put a number's range into its descriptor."""
    if isinstance(default, float):
        low, high = NO_LIMIT[float]
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=float(low if spec.low is None else spec.low),
                to_value=float(high if spec.high is None else spec.high),
            )
        ]
    elif isinstance(default, int):
        low_int, high_int = NO_LIMIT[int]
        descriptor.integer_range = [
            IntegerRange(
                from_value=int(low_int if spec.low is None else spec.low),
                to_value=int(high_int if spec.high is None else spec.high),
            )
        ]
