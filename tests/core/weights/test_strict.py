"""Strict loading: every key has a place, or the error names it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lsm_core.errors import WeightsError
from lsm_core.weights import KeyRules, load_strict


@pytest.fixture
def module() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


@pytest.fixture
def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k: torch.full_like(v, i + 1.0) for i, (k, v) in enumerate(module.state_dict().items())}


def test_all_keys_are_used_and_reported(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    report = load_strict(module, state)
    assert set(report.used) == set(state) and not report.unused and not report.missing
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())


def test_a_missing_key_is_named_and_nothing_is_changed(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    before = {k: v.clone() for k, v in module.state_dict().items()}
    del state["1.bias"]
    with pytest.raises(WeightsError, match=r"missing 1\.bias"):
        load_strict(module, state)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_an_unknown_key_is_named(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match="unknown extra"):
        load_strict(module, state | {"extra": torch.zeros(1)})


def test_a_wrong_shape_is_named_with_both_shapes(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"'0\.weight' has shape \[3, 3\], not \[3, 2\]"):
        load_strict(module, state | {"0.weight": torch.zeros(3, 3)})


def test_known_unused_keys_are_left_out_and_reported(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    report = load_strict(module, state | {"old.head": torch.zeros(1)}, KeyRules(unused=("old.",)))
    assert report.unused == ("old.head",)


def test_optional_keys_may_be_absent(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    del state["1.bias"]
    assert load_strict(module, state, KeyRules(optional=("1.",))).missing == ("1.bias",)


def test_an_alias_must_hold_the_same_tensor(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    rules = KeyRules(aliases={"twin": "0.weight"})
    assert load_strict(module, state | {"twin": state["0.weight"].clone()}, rules).unused == ("twin",)
    with pytest.raises(WeightsError, match=r"'twin' and '0\.weight' must be the same"):
        load_strict(module, state | {"twin": state["0.weight"] + 1}, rules)
