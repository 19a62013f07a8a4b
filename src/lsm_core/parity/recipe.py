"""Weights of full-size fixtures: made from the names of their tensors instead of being stored.

Each tensor is drawn from a generator that is seeded by its own key, so any part of a network can be filled alone.
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lsm_core.errors import FileFormatError, UnsupportedError

TOKENS = ("pos_embed", "cls_token", "mask_token")
SEED_OFFSET = re.compile(r"crc32\(key\)\s*\+\s*(\d+)")
GAIN = re.compile(r"gain\s*=\s*([\d.eE+-]+?),?(?:\s|$)")
AFTERWARDS = re.compile(r"([\w.{},]+) (?:is multiplied )?by ([\d.eE+-]+)")
BRACES = re.compile(r"\{([^{}]*)\}")
CHECK_LIMIT = 1e-5  # of the first value, absolute; of the sum, per element


@dataclass(frozen=True)
class WeightRecipe:
    """How each tensor is drawn, as a fixture's `weight_recipe` states it.

    Attributes:
        offset: added to the key's checksum.
        gain: of matrices and kernels.
        factors: key -> what the drawn tensor is multiplied with.
    """

    offset: int
    gain: float
    factors: Mapping[str, float]

    def draw(self, key: str, shape: tuple[int, ...]) -> Tensor:
        """Return the tensor of a key, float32."""
        if key.endswith("num_batches_tracked"):
            return torch.zeros(shape, dtype=torch.int64)
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()) + self.offset))
        normal = torch.from_numpy(np.asarray(generator.standard_normal(shape, dtype=np.float32)))
        return self._spread(key, normal).mul_(self.factors.get(key, 1.0))

    def _spread(self, key: str, normal: Tensor) -> Tensor:
        if key.endswith("running_var"):
            return 1 + 0.3 * normal.abs()
        if key.endswith("running_mean"):
            return 0.1 * normal
        if key.endswith(TOKENS):
            return 0.3 * normal
        if normal.ndim >= 2:
            return normal.mul_(self.gain / math.sqrt(math.prod(normal.shape[1:])))
        return 1 + 0.1 * normal if normal.ndim == 1 and key.endswith("weight") else 0.1 * normal


def read_recipe(spec: Mapping[str, Any]) -> WeightRecipe:
    """Read the recipe of a fixture's JSON.

    Raises:
        UnsupportedError: it states none, or another generator.
    """
    stated = spec.get("weight_recipe")
    offset = SEED_OFFSET.search(str(stated.get("rng", ""))) if isinstance(stated, Mapping) else None
    if not isinstance(stated, Mapping) or offset is None or "PCG64" not in stated["rng"]:
        raise UnsupportedError("The fixture states no recipe of weights that is implemented.")
    rules = [str(rule) for rule in stated.get("rules", ())]
    gain = next((found for rule in rules if (found := GAIN.search(rule))), None)
    factors = {
        key: float(factor)
        for rule in rules
        if rule.startswith("afterwards")
        for pattern, factor in AFTERWARDS.findall(rule)
        for key in expanded(pattern)
    }
    return WeightRecipe(int(offset[1]), 1.0 if gain is None else float(gain[1]), factors)


def expanded(pattern: str) -> Iterator[str]:
    """Yield the names that a pattern such as head{1,2}.weight stands for."""
    parts = BRACES.split(pattern)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ("".join(chosen) for chosen in itertools.product(*choices))


def recipe_state(spec: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Make the weights of a fixture that states a recipe.

    Args:
        spec: the fixture's JSON.
        shapes: of the tensors wanted, by the recipe's keys: checkpoint keys without `encoder.`, and of two names of
            one tensor the one with `layerK_rn`.

    Returns:
        The tensors by the same keys; `module.load_state_dict(state, assign=True)` takes them without a copy.

    Raises:
        UnsupportedError: the JSON states no recipe that is implemented.
        FileFormatError: a tensor is not what the JSON says of it (`weight_checks`).
    """
    recipe, checks = read_recipe(spec), spec.get("weight_checks", {})
    state = {key: recipe.draw(key, tuple(shape)) for key, shape in shapes.items()}
    for key in checks.keys() & state.keys():
        _check(key, state[key], checks[key])
    return state


def fill_by_recipe(module: nn.Module, spec: Mapping[str, Any], prefix: str = "") -> None:
    """Give a module, which may be on the meta device, the weights of a fixture's recipe; see `recipe_state`.

    Args:
        module: its keys after `prefix` are the recipe's.
        spec: the fixture's JSON.
        prefix: of the recipe's keys.
    """
    shapes = {prefix + key: tensor.shape for key, tensor in module.state_dict().items()}
    state = recipe_state(spec, shapes)
    module.load_state_dict({key[len(prefix) :]: tensor for key, tensor in state.items()}, assign=True)


def _check(key: str, tensor: Tensor, stated: tuple[float, float]) -> None:
    first, total = float(tensor.flatten()[0]), float(tensor.double().sum())
    allowed = CHECK_LIMIT * max(1.0, math.sqrt(tensor.numel()))
    if abs(first - stated[0]) > CHECK_LIMIT or abs(total - stated[1]) > allowed:
        raise FileFormatError(
            f"The recipe gives '{key}' starting with {first:g} and summing to {total:g}; the fixture says "
            f"{stated[0]:g} and {stated[1]:g}."
        )
