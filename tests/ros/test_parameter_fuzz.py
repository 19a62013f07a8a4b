"""Parameter fuzz against the real process: what is bad is refused with a reason, and the node works as before."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.declaration import as_setting_value
from lsm_perception.parameters import settings
from lsm_perception.settings import Setting
from node_process import StubProcess
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter, parameter_value_to_python
from robot import Robot
from synthetic_world import View
from walker import Walker

LONG = "x" * 1_000_000
NAMES = [entry.name for entry in settings()]
CHANGEABLE = [entry for entry in settings() if not entry.spec.read_only]
OF_EVERY_TYPE: tuple[Any, ...] = (True, 7, 1.5, "no", LONG, [True], [1, 2], [0.5], ["a", "a"], [LONG], [b"x"])


def message(name: str, value: Any) -> ParameterMessage:
    return Parameter(name, value=value).to_parameter_msg()


def empty_arrays(name: str) -> Iterator[ParameterMessage]:
    """Yield an empty array of each type but that of texts, and a value without a type (which undeclares)."""
    types = ParameterType
    for kind in (
        types.PARAMETER_BYTE_ARRAY,
        types.PARAMETER_BOOL_ARRAY,
        types.PARAMETER_INTEGER_ARRAY,
        types.PARAMETER_DOUBLE_ARRAY,
        types.PARAMETER_NOT_SET,
    ):
        yield ParameterMessage(name=name, value=ParameterValue(type=kind))


def bad_values(entry: Setting) -> Iterator[Any]:
    """Yield values that this parameter must refuse."""
    spec, default = entry.spec, entry.default
    for value in OF_EVERY_TYPE:
        fits = type(as_setting_value(value)) is type(default) and not (
            isinstance(value, list) and not isinstance(value[0], str)
        )
        if not fits or spec.complaint(as_setting_value(value)) is not None or isinstance(value, list):
            yield value
    if isinstance(default, int | float) and not isinstance(default, bool):
        for edge, step in ((spec.low, -1), (spec.high, 1)):
            if edge is not None:
                yield type(default)(edge + step)
    if isinstance(default, int) and not isinstance(default, bool):
        yield from (-(2**63), 2**63 - 1)
    if isinstance(default, float):
        yield from (math.nan, math.inf, -math.inf, 1e308, -1e308)
    if entry.name == "queries.texts":
        yield from ([str(i) for i in range(65)], ["a\x07b"], ["é" * 100_000])


def values_of(robot: Robot, names: list[str]) -> dict[str, Any]:
    """Return the values in force, as text: NaN equals itself."""
    reply = robot.call(GetParameters, "get_parameters", names=names)
    assert len(reply.values) == len(names)
    return {n: repr(parameter_value_to_python(v)) for n, v in zip(names, reply.values, strict=True)}


def still_works(stub: StubProcess, robot: Robot, views: list[View]) -> None:
    """Assert that good images still become clouds."""
    before = len(robot.messages("points"))
    walker = Walker(robot, views, start_ns=time.time_ns())
    assert walker.walk_until(lambda: len(robot.messages("points")) > before), stub.text
    assert stub.alive and "Traceback" not in stub.text


def assert_refused(robot: Robot, asked: list[ParameterMessage]) -> None:
    results = robot.call(SetParameters, "set_parameters", timeout_s=30.0, parameters=asked).results
    assert len(results) == len(asked)
    for given, result in zip(asked, results, strict=True):
        told = f"{given.name} = {str(given.value)[:200]}"
        assert not result.successful and result.reason, told
        assert len(result.reason) < 1000, told


def test_every_bad_value_is_refused_with_a_reason(stub: StubProcess, robot: Robot, stub_views: list[View]) -> None:
    before = values_of(robot, NAMES)
    for entry in CHANGEABLE:
        asked = [message(entry.name, value) for value in bad_values(entry)]
        assert_refused(robot, [*asked, *empty_arrays(entry.name)])
    assert values_of(robot, NAMES) == before
    still_works(stub, robot, stub_views)


def test_what_is_read_only_or_not_there_is_refused(stub: StubProcess, robot: Robot) -> None:
    fixed = [entry for entry in settings() if entry.spec.read_only]
    before = values_of(robot, NAMES)
    assert_refused(robot, [message(e.name, _plain(e.default)) for e in fixed])
    assert_refused(robot, [m for e in fixed for m in empty_arrays(e.name)])
    overrides = robot.call(ListParameters, "list_parameters", prefixes=["qos_overrides"], depth=0).result.names
    assert overrides
    assert_refused(robot, [message(name, "reliable") for name in overrides])
    assert_refused(robot, [message(name, 1) for name in ("", "no.such", "keyframes", LONG[:500], "qos_overrides")])
    assert_refused(robot, [message("use_sim_time", value) for value in (3, "yes", 0.5)])
    assert values_of(robot, NAMES) == before


def test_one_bad_value_changes_nothing(stub: StubProcess, robot: Robot) -> None:
    before = values_of(robot, NAMES)
    good = [message("points.voxel_m", 0.2), message("publish_tf", False), message("map.keyframes", 3)]
    for bad in (
        message("points.max_points", 1),
        message("device", "cpu"),
        message("keyframes.hard_overlap", 0.9),  # larger than keyframes.target_overlap
        message("no.such", 1),
    ):
        result = robot.call(SetParametersAtomically, "set_parameters_atomically", parameters=[*good, bad]).result
        assert not result.successful and result.reason
        assert values_of(robot, NAMES) == before
    result = robot.call(SetParametersAtomically, "set_parameters_atomically", parameters=good).result
    assert result.successful
    after = values_of(robot, NAMES)
    assert (after["points.voxel_m"], after["publish_tf"], after["map.keyframes"]) == ("0.2", "False", "3")


def test_values_that_contradict_each_other_are_refused_together_or_set_together(robot: Robot) -> None:
    lower = message("keyframes.target_overlap", 0.3)
    (refused,) = robot.call(SetParameters, "set_parameters", parameters=[lower]).results
    assert not refused.successful and "keyframes.hard_overlap (0.5) is larger than" in refused.reason
    both = [lower, message("keyframes.hard_overlap", 0.2)]
    assert robot.call(SetParametersAtomically, "set_parameters_atomically", parameters=both).result.successful


def test_a_type_that_does_not_exist_stops_nobody(stub: StubProcess, robot: Robot, stub_views: list[View]) -> None:
    odd = ParameterMessage(name="publish_tf", value=ParameterValue(type=77))
    robot.client_of(SetParameters, "set_parameters").call_async(SetParameters.Request(parameters=[odd]))
    time.sleep(0.5)  # rclpy has no reply to it
    assert stub.alive and values_of(robot, ["publish_tf"])


def test_a_change_that_the_model_cannot_follow_has_a_reply(
    stub: StubProcess, robot: Robot, stub_views: list[View]
) -> None:
    stub.behave(fail="runtime", fail_in="query")
    asked = [message("queries.texts", ["lamp"])]
    (result,) = robot.call(SetParameters, "set_parameters", parameters=asked).results
    assert result.successful
    stub.wait_for("queries.texts changed, but the node could not act on it: RuntimeError", 10.0)
    stub.behave()
    (result,) = robot.call(SetParameters, "set_parameters", parameters=[message("queries.texts", ["door"])]).results
    assert result.successful
    before = len(robot.messages("points"))
    walker = Walker(robot, stub_views, start_ns=time.time_ns())
    assert walker.walk_until(lambda: len(robot.messages("points")) > before), stub.text


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
