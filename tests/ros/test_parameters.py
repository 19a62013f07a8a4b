"""Parameters: the docs' table is that of the code, bad values are refused as a whole, unknown ones are named."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from lsm_perception.declaration import ParameterServer, unknown_overrides
from lsm_perception.parameters import NodeParameters, documentation, settings
from lsm_perception.settings import replaced
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from lsm_core.errors import InputError
from lsm_core.mapping import CloudConfig, KeyframeConfig, PoseGateConfig, ScaleConfig

ROOT = Path(__file__).resolve().parents[2]


class Given:
    """A node with parameters and what its server said."""

    def __init__(self, **values: object) -> None:
        overrides = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        self.node = Node("parameters_test", parameter_overrides=overrides)
        self.changes: list[NodeParameters] = []
        self.server = ParameterServer(self.node, self.changes.append)

    def set(self, **values: object) -> bool:
        """Set all values at once; whether that was accepted."""
        parameters = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        return bool(self.node.set_parameters_atomically(parameters).successful)


@pytest.fixture
def given(rclpy_session: None) -> Iterator[Given]:
    out = Given()
    yield out
    out.node.destroy_node()


def test_documentation_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert page == documentation(), "run: python -m lsm_perception.parameters docs/parameters.md"


def test_every_parameter_has_a_sentence_and_numbers_have_a_range() -> None:
    for entry in settings():
        assert entry.spec.description.endswith("."), entry.name
        if isinstance(entry.default, int | float) and not isinstance(entry.default, bool):
            assert entry.spec.low is not None and entry.spec.high is not None, entry.name
        assert entry.spec.complaint(entry.default) is None, entry.name


def test_defaults_are_those_of_the_library() -> None:
    tree = NodeParameters()
    assert tree.keyframes.selection() == KeyframeConfig()
    assert tree.pose_gate.config(tree.scale.min_baseline_m) == PoseGateConfig()
    assert tree.scale.config() == ScaleConfig()
    assert tree.points.config() == CloudConfig()


def test_replacing_leaves_changes_only_them() -> None:
    tree = replaced(NodeParameters(), {"device": "cpu", "points.voxel_m": 0.1})
    assert tree.device == "cpu" and tree.points.voxel_m == 0.1
    assert replaced(tree, {"device": "auto", "points.voxel_m": NodeParameters().points.voxel_m}) == NodeParameters()


def test_every_parameter_is_declared_with_description_and_range(given: Given) -> None:
    for entry in settings():
        descriptor = given.node.describe_parameter(entry.name)
        assert descriptor.description == entry.spec.description
        assert descriptor.read_only == entry.spec.read_only
        numeric = isinstance(entry.default, int | float) and not isinstance(entry.default, bool)
        assert bool(descriptor.floating_point_range or descriptor.integer_range) == numeric, entry.name


def test_changes_reach_the_tree_and_the_listener(given: Given) -> None:
    assert given.set(points__voxel_m=0.2, publish_tf=False)
    assert given.server.tree.points.voxel_m == 0.2 and given.server.tree.publish_tf is False
    assert given.changes[-1] == given.server.tree


def test_one_bad_value_refuses_all(given: Given) -> None:
    assert not given.set(points__voxel_m=0.2, keyframes__max_age_s=-1.0)
    assert given.server.tree == NodeParameters() and given.changes == []


@pytest.mark.parametrize("entry", [e for e in settings() if not e.spec.read_only], ids=lambda e: e.name)
def test_fuzzed_values_are_refused_and_change_nothing(given: Given, entry: object) -> None:
    spec, default = entry.spec, entry.default  # type: ignore[attr-defined]
    name = entry.name.replace(".", "__")  # type: ignore[attr-defined]
    bad: list[object] = [[1, 2], "no", 1.5, True, 7]
    bad = [v for v in bad if type(v) is not type(default) and not (isinstance(default, tuple) and v == [1, 2])]
    if isinstance(default, float):
        bad += [math.nan, math.inf]
    if isinstance(default, int | float) and not isinstance(default, bool):
        bad += [
            type(default)(edge)
            for edge in (spec.low - 1, None if spec.high is None else spec.high + 1)
            if edge is not None
        ]
    for value in bad:
        try:
            accepted = given.set(**{name: value})
        except ParameterException:
            accepted = False
        assert not accepted, value
    assert given.server.tree == NodeParameters()


def test_read_only_parameters_do_not_change(given: Given) -> None:
    for entry in settings():
        if entry.spec.read_only:
            value = list(entry.default) if isinstance(entry.default, tuple) else entry.default
            assert not given.set(**{entry.name.replace(".", "__"): value}), entry.name


def test_a_whole_number_is_fine_for_a_real_one(rclpy_session: None) -> None:
    given = Given(keyframes__max_age_s=7)
    assert given.server.tree.keyframes.max_age_s == 7.0
    given.node.destroy_node()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keyframes.max_age_s", -3.0),
        ("pairing", "sideways"),
        ("device", 3),
        ("points.max_points", 12.5),
        ("queries.texts", ["chair", "chair"]),
        ("keyframes.hard_overlap", 0.9),
        ("qos_overrides./image.subscription.reliability", "very"),
        ("qos_overrides./lsm_perception/points.publisher.depth", 0),
    ],
)
def test_a_bad_value_at_start_names_parameter_and_fix(rclpy_session: None, name: str, value: object) -> None:
    with pytest.raises(InputError) as error:
        Given(**{name.replace(".", "__"): value})
    assert f"'{name}'" in str(error.value) and "Fix:" in str(error.value)


def test_an_unknown_name_is_warned_about_with_the_nearest(
    rclpy_session: None, capfd: pytest.CaptureFixture[str]
) -> None:
    given = Given(keyframes__max_aeg_s=1.0, nothing_like_it=3)
    log = capfd.readouterr().err
    assert (
        "'keyframes.max_aeg_s' is not one of this node's; it has no effect. Did you mean 'keyframes.max_age_s'?"
        in log
    )
    assert "'nothing_like_it' is not one of this node's; it has no effect. See docs/" in log
    given.node.destroy_node()


def test_unknown_names_are_found(rclpy_session: None) -> None:
    given = Given(keyframes__max_aeg_s=1.0, use_sim_time=False, qos_overrides__x="y")
    assert unknown_overrides(given.node, [e.name for e in settings()]) == ["keyframes.max_aeg_s"]
    given.node.destroy_node()
