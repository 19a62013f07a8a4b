"""The depth of the surface: smooth on one layer, never between two."""

from __future__ import annotations

import torch

from lsm_core.render.surface_depth import surface_depth
from lsm_core.types import RenderResult


def drawn(expected: list[float], median: list[float]) -> RenderResult:
    """Return a picture of one row."""
    depth, picked = torch.tensor([expected]), torch.tensor([median])
    return RenderResult(torch.zeros(1, len(expected), 3), depth, torch.ones_like(depth), None, picked)


def test_one_layer_gives_the_smooth_depth_and_mixed_layers_the_median() -> None:
    found = surface_depth(drawn([2.02, 3.1, 0.7, 0.0], [2.0, 2.0, 0.0, 0.0]))
    torch.testing.assert_close(found, torch.tensor([[2.02, 2.0, 0.0, 0.0]]))
