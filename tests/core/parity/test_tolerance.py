"""Each tolerance rule accepts at its border and refuses beyond it."""

from __future__ import annotations

import math

import pytest
import torch

from lsm_core.errors import UnsupportedError
from lsm_core.parity import Tolerance, tolerance_of

ANSWER = torch.tensor([1.0, -2.0, 4.0])
WORDS = "at least 99.9 % of elements: |a-b| <= 2e-4*|b| + 2e-4*median|b|"


def test_absolute_and_relative_tolerance_add_up() -> None:
    rule = Tolerance(atol=0.1, rtol=0.1)
    assert rule.error(ANSWER + torch.tensor([0.19, 0.29, 0.49]), ANSWER) < 1
    assert rule.error(ANSWER + torch.tensor([0.21, 0.0, 0.0]), ANSWER) > 1


def test_limit_is_relative_to_the_largest_answer() -> None:
    assert Tolerance(limit=0.1).error(ANSWER + 0.39, ANSWER) < 1
    assert Tolerance(limit=0.1).error(ANSWER + 0.41, ANSWER) > 1


def test_elementwise_rule_forgives_the_stated_share_only() -> None:
    answer = torch.ones(1000)
    one_wrong, two_wrong = answer.clone(), answer.clone()
    one_wrong[0] = 1.5
    two_wrong[:2] = 1.5
    rule = Tolerance(element=0.01, fraction=0.999)
    assert rule.error(one_wrong, answer) <= 1
    assert rule.error(two_wrong, answer) > 1


def test_integers_shapes_and_stray_nan() -> None:
    rule = Tolerance(limit=10.0)
    assert rule.error(torch.tensor([1, 2]), torch.tensor([1, 2])) == 0
    assert rule.error(torch.tensor([1, 3]), torch.tensor([1, 2])) == math.inf
    assert rule.error(torch.ones(2), torch.ones(3)) == math.inf
    assert rule.error(torch.tensor([math.nan]), torch.ones(1)) == math.inf
    nan = torch.tensor([math.nan, 1.0])
    assert rule.error(nan, nan) == 0


def test_the_table_beats_overrides_which_beat_the_default() -> None:
    spec = {
        "tolerance": {"limit": 1e-4, "elementwise": WORDS},
        "tolerance_overrides": {"out.a": 1e-3, "out.b": 1e-3},
        "tolerance_table": {"out.a": {"limit": 0.5, "fraction": None}, "out.d": {"limit": 0.5, "fraction": 0.97}},
    }
    assert tolerance_of(spec, "out.a") == Tolerance(limit=0.5)
    assert tolerance_of(spec, "out.b").limit == 1e-3
    assert tolerance_of(spec, "out.c") == Tolerance(limit=1e-4, element=2e-4, fraction=pytest.approx(0.999))
    assert tolerance_of(spec, "out.d") == Tolerance(limit=0.5, element=2e-3, fraction=0.97)


def test_an_unknown_rule_is_unsupported() -> None:
    for spec in (
        {"tolerance": "uint8 +-1"},
        {"tolerance": {"logits": {"atol": 1}}},
        {"tolerance": {"limit": 1}, "tolerance_table": {"x": {"compare": "relative_disparity"}}},
    ):
        with pytest.raises(UnsupportedError):
            tolerance_of(spec, "x")
