"""What `ros2 service call`, `topic`, `param` and `lifecycle` do, by rclpy: no package index has ros2cli.

Types, names and YAML are those of the command line, and a running node answers.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
import yaml
from document_commands import split
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

PATIENCE_S = 60.0
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}


class Failed(Exception):
    """The command would not do what the page says."""


def interface(name: str) -> Any:
    """Return the class of a type such as std_srvs/srv/Trigger.

    Raises:
        Failed: there is none.
    """
    package, kind, type_name = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), type_name)
    except (ImportError, AttributeError) as error:
        raise Failed(f"there is no type {name}") from error


def fill(message: Any, values: dict[str, Any]) -> None:
    """Set the fields of a message from YAML; the message's own checks are on.

    Raises:
        AttributeError, AssertionError: no such field, or a value of another type.
    """
    for name, value in values.items():
        current = getattr(message, name)
        if isinstance(value, dict):
            fill(current, value)
        elif isinstance(value, list) and value and isinstance(value[0], float | int):
            setattr(message, name, [type(current[0])(v) for v in value] if len(current) else value)
        else:
            setattr(message, name, type(current)(value) if isinstance(current, float) else value)


class Ros2:
    """Runs commands beside a node; `say` collects what ros2 would print."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def run(self, words: Sequence[str]) -> str:
        """Run the words behind `ros2` and return what is printed.

        Raises:
            Failed: it does not do what its name says.
        """
        verbs: dict[tuple[str, str], Callable[[list[str]], str]] = {
            ("service", "call"): self.service_call,
            ("topic", "echo"): self.topic_echo,
            ("topic", "hz"): self.topic_echo,
            ("topic", "info"): self.topic_info,
            ("topic", "list"): self.topic_list,
            ("param", "get"): self.param_get,
            ("param", "set"): self.param_set,
            ("param", "describe"): self.param_describe,
            ("param", "list"): self.param_list,
            ("param", "dump"): self.param_list,
            ("lifecycle", "get"): self.lifecycle_get,
            ("lifecycle", "set"): self.lifecycle_set,
            ("node", "list"): self.node_list,
        }
        verb = (words[0], words[1])
        if verb not in verbs:
            raise Failed(f"nobody has thought of ros2 {' '.join(verb)}")
        return verbs[verb](list(words[2:]))

    def ask(self, name: str, service: Any, request: Any) -> Any:
        """Return the reply of a service.

        Raises:
            Failed: it is not there, or does not answer.
        """
        client = self._node.create_client(service, name)
        try:
            if not client.wait_for_service(PATIENCE_S):
                raise Failed(f"there is no service {name} of type {service.__name__}")
            future = client.call_async(request)
            rclpy.spin_until_future_complete(self._node, future, timeout_sec=PATIENCE_S)
            if not future.done():
                raise Failed(f"{name} does not answer")
            return future.result()
        finally:
            self._node.destroy_client(client)

    def service_call(self, words: list[str]) -> str:
        """Call a service with the YAML of the command line; `success` must be true where the reply has it."""
        name, type_name, *given = words
        service = interface(type_name)
        request = service.Request()
        fill(request, yaml.safe_load(" ".join(given) or "{}"))
        reply = self.ask(name, service, request)
        if not getattr(reply, "success", True):
            raise Failed(f"{name}: {reply.message}")
        return f"response:\n{reply!r}\n"

    def topic_echo(self, words: list[str]) -> str:
        """Return the first message of a topic, or a field of it."""
        field = words[words.index("--field") + 1] if "--field" in words else ""
        (name,) = [word for word in words if not word.startswith("-") and word != field]
        message: Any = self.first_message(name)
        for part in filter(None, field.split(".")):
            message = getattr(message, part)
        return f"{message!r}\n---\n"

    def first_message(self, name: str) -> Any:
        """Return the first message that comes on a topic, the latched one where there is one."""
        publisher = self._publishers(name)[0]
        message_type = interface(publisher.topic_type)
        reliable = publisher.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        latched = publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
        profile = QoSProfile(
            depth=5,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        heard: list[Any] = []
        subscription = self._node.create_subscription(message_type, name, heard.append, profile)
        try:
            self._spin_until(lambda: bool(heard), f"nothing comes on {name}")
        finally:
            self._node.destroy_subscription(subscription)
        return heard[0]

    def _publishers(self, name: str) -> list[Any]:
        self._spin_until(lambda: bool(self._node.get_publishers_info_by_topic(name)), f"nobody publishes {name}")
        return self._node.get_publishers_info_by_topic(name)

    def _spin_until(self, holds: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise Failed(complaint)
            rclpy.spin_once(self._node, timeout_sec=0.1)

    def topic_info(self, words: list[str]) -> str:
        """Return who publishes a topic."""
        return "\n".join(map(str, self._publishers(words[-1])))

    def topic_list(self, words: list[str]) -> str:
        """Return the names of the topics."""
        return "\n".join(sorted(name for name, _ in self._node.get_topic_names_and_types())) + "\n"

    def node_list(self, words: list[str]) -> str:
        """Return the names of the nodes."""
        return "\n".join(f"/{name}" for name in self._node.get_node_names()) + "\n"

    def param_get(self, words: list[str]) -> str:
        """Return a parameter that the node has."""
        node, name = words
        reply = self.ask(f"{node}/get_parameters", GetParameters, GetParameters.Request(names=[name]))
        if not reply.values or reply.values[0].type == Parameter.Type.NOT_SET.value:
            raise Failed(f"{node} has no parameter {name}")
        return f"{parameter_value_to_python(reply.values[0])}\n"

    def param_set(self, words: list[str]) -> str:
        """Set a parameter; the node must accept the value."""
        node, name, value = words
        message = Parameter(name, value=yaml.safe_load(value)).to_parameter_msg()
        reply = self.ask(f"{node}/set_parameters", SetParameters, SetParameters.Request(parameters=[message]))
        if not reply.results[0].successful:
            raise Failed(f"{node} {name}: {reply.results[0].reason}")
        return "Set parameter successful\n"

    def param_describe(self, words: list[str]) -> str:
        """Return the description of a parameter."""
        node, name = words
        reply = self.ask(
            f"{node}/describe_parameters", DescribeParameters, DescribeParameters.Request(names=[name])
        )
        if not reply.descriptors or not reply.descriptors[0].description:
            raise Failed(f"{node} does not describe {name}")
        return f"{reply.descriptors[0]!r}\n"

    def param_list(self, words: list[str]) -> str:
        """Return the names of a node's parameters."""
        reply = self.ask(f"{words[0]}/list_parameters", ListParameters, ListParameters.Request())
        return "\n".join(reply.result.names) + "\n"

    def lifecycle_get(self, words: list[str]) -> str:
        """Return the state as ros2 prints it: active [3]."""
        state = self.ask(f"{words[0]}/get_state", GetState, GetState.Request()).current_state
        return f"{state.label} [{state.id}]\n"

    def lifecycle_set(self, words: list[str]) -> str:
        """Ask for a transition, which must succeed."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[words[1]]))
        if not self.ask(f"{words[0]}/change_state", ChangeState, request).success:
            raise Failed(f"{words[0]} refuses to {words[1]}")
        return "Transitioning successful\n"


def output_file(text: str) -> str:
    """Return where a command's output goes, "" for the screen."""
    words = split(text)
    return words[words.index(">") + 1] if ">" in words else ""
