"""What is to be said of each service beside its request and reply, and the services and codes of ROS itself.

Names are those of `services.SERVICES`; `tests/ros/test_interface_reference.py` compares them with a running node.
"""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle_msgs.msg import Transition

from lsm_perception.node import EXIT_FAILURE
from lsm_perception.perception_node import EXIT_DEVICE_LOST

CONFIGURED, ACTIVE = "inactive and active", "active"


@dataclass(frozen=True)
class Service:
    """One service: what it does, and in which lifecycle states it works (else `not_ready`)."""

    does: str
    works: str


SERVICES: dict[str, Service] = {
    "query_text": Service("masks, scores, points and boxes of words in a view", ACTIVE),
    "set_queries": Service("replaces the standing queries", CONFIGURED),
    "get_queries": Service("tells the standing queries", CONFIGURED),
    "capture": Service("makes the next usable image a keyframe and waits for it", ACTIVE),
    "reset": Service("forgets keyframes, path, map and scale", CONFIGURED),
    "stats": Service("counters and timings", CONFIGURED),
    "save_map": Service("writes the map to a file in `map_directory`", CONFIGURED),
    "load_map": Service("reads one back", CONFIGURED),
    "render_view": Service("draws the map from any pose", ACTIVE),
}

# What rclpy gives the node: name under ~, type, what for.
STANDARD: tuple[tuple[str, str, str], ...] = (
    ("change_state", "lifecycle_msgs/srv/ChangeState", "one of the transitions above"),
    ("get_state", "lifecycle_msgs/srv/GetState", "the state now"),
    ("get_available_states", "lifecycle_msgs/srv/GetAvailableStates", "all states"),
    ("get_available_transitions", "lifecycle_msgs/srv/GetAvailableTransitions", "transitions out of this state"),
    ("get_transition_graph", "lifecycle_msgs/srv/GetAvailableTransitions", "all transitions"),
    ("list_parameters", "rcl_interfaces/srv/ListParameters", "names of parameters"),
    ("describe_parameters", "rcl_interfaces/srv/DescribeParameters", "sentence, type and range of each"),
    ("get_parameter_types", "rcl_interfaces/srv/GetParameterTypes", "types"),
    ("get_parameters", "rcl_interfaces/srv/GetParameters", "values"),
    ("set_parameters", "rcl_interfaces/srv/SetParameters", "change values, each by itself"),
    ("set_parameters_atomically", "rcl_interfaces/srv/SetParametersAtomically", "change values, all or none"),
    (
        "get_type_description", "type_description_interfaces/srv/GetTypeDescription",
        "fields of a type that the node uses, by its hash",
    ),
)  # fmt: skip

# Transitions that ~/change_state takes: label, id (lifecycle_msgs/msg/Transition), from, to.
TRANSITIONS: tuple[tuple[str, int, str, str], ...] = (
    ("configure", Transition.TRANSITION_CONFIGURE, "unconfigured", "inactive"),
    ("activate", Transition.TRANSITION_ACTIVATE, "inactive", "active"),
    ("deactivate", Transition.TRANSITION_DEACTIVATE, "active", "inactive"),
    ("cleanup", Transition.TRANSITION_CLEANUP, "inactive", "unconfigured"),
    ("shutdown", Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, "unconfigured", "finalized"),
    ("shutdown", Transition.TRANSITION_INACTIVE_SHUTDOWN, "inactive", "finalized"),
    ("shutdown", Transition.TRANSITION_ACTIVE_SHUTDOWN, "active", "finalized"),
)

# Program, exit code, meaning. The programs' own tests hold the codes; those of the node are constants.
EXIT_CODES: tuple[tuple[str, int, str], ...] = (
    ("`lsm_perception` (the node)", 0, "SIGINT or SIGTERM"),
    ("", EXIT_FAILURE, "a requirement is missing, or a parameter is refused: one line with the fix"),
    ("", EXIT_DEVICE_LOST, "the device is lost and `fatal_action` is `exit`"),
    ("`./run bringup`", 0, "as the node, whose code it hands on; also of `--help`"),
    ("", 2, "an argument is unknown or has a value that is not allowed"),
    ("`./run replay`", 0, "the end of the bag, or an interrupt"),
    ("", 1, "the bag cannot be played: one line with the reason"),
    ("`python -m lsm_perception.healthcheck`", 0, "the node answers, in one of the states asked for"),
    ("", 1, "it does not, or is in another state: one line with it"),
    ("`lsm doctor`", 0, "no problem found"),
    ("", 1, "a problem, or words that it does not know"),
    ("", 2, "an option that it does not know"),
)
