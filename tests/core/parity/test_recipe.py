"""Weights of full-size fixtures come out of their names, as the recipe in the JSON says."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lsm_core.errors import FileFormatError, UnsupportedError
from lsm_core.parity.recipe import fill_by_recipe, recipe_state


def spec(seed: int = 0, gain: str = "1.0", **more: Any) -> dict[str, Any]:
    rng = (
        f"numpy.random.Generator(numpy.random.PCG64(zlib.crc32(key)+{seed})).standard_normal(shape, dtype=float32)"
    )
    rules = [
        f"ndim>=2: n*gain/sqrt(prod(shape[1:])), gain={gain}",
        "afterwards head{1,2}.dpt.weight is multiplied by 0.25 and tail.weight by 0.5",
    ]
    return {"weight_recipe": {"rng": rng, "rules": rules}, **more}


def normal(key: str, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()) + seed))
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))


def test_each_kind_of_tensor_has_its_spread() -> None:
    shapes = {
        "a.weight": (4, 2, 3), "n.weight": (5,), "n.bias": (5,), "b.running_var": (5,), "b.running_mean": (5,),
        "v.cls_token": (1, 1, 4), "head2.dpt.weight": (2, 4), "tail.weight": (2, 4), "b.num_batches_tracked": (),
    }  # fmt: skip
    found = recipe_state(spec(7, "2.0"), shapes)
    n = {key: normal(key, shape, 7) for key, shape in shapes.items() if shape}
    assert torch.allclose(found["a.weight"], n["a.weight"] * 2 / 6**0.5)
    assert torch.allclose(found["n.weight"], 1 + 0.1 * n["n.weight"])
    assert torch.allclose(found["n.bias"], 0.1 * n["n.bias"])
    assert torch.allclose(found["b.running_var"], 1 + 0.3 * n["b.running_var"].abs())
    assert torch.allclose(found["b.running_mean"], 0.1 * n["b.running_mean"])
    assert torch.allclose(found["v.cls_token"], 0.3 * n["v.cls_token"])
    assert torch.allclose(found["head2.dpt.weight"], 0.25 * n["head2.dpt.weight"])
    assert torch.allclose(found["tail.weight"], 0.5 * n["tail.weight"])
    assert found["b.num_batches_tracked"] == 0


def test_a_module_without_values_is_filled() -> None:
    with torch.device("meta"):
        layer = nn.Linear(3, 2)
    fill_by_recipe(layer, spec(), "a.")
    assert torch.allclose(layer.weight, normal("a.weight", (2, 3)) / 3**0.5)


def test_what_the_fixture_says_of_its_weights_is_checked() -> None:
    right = recipe_state(spec(), {"a.bias": (4,)})["a.bias"]
    stated = [float(right[0]), float(right.sum())]
    recipe_state(spec(weight_checks={"a.bias": stated}), {"a.bias": (4,)})
    with pytest.raises(FileFormatError, match=r"a\.bias"):
        recipe_state(spec(seed=1, weight_checks={"a.bias": stated}), {"a.bias": (4,)})


def test_another_generator_is_unsupported() -> None:
    with pytest.raises(UnsupportedError):
        recipe_state({"weight_recipe": {"rng": "torch.Generator"}}, {"a": (1,)})
