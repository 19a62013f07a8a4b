"""`lsm_core.render(...)` draws, however often it is asked for and whatever was imported before."""

from __future__ import annotations

import importlib

import torch

import lsm_core
from lsm_core.types import Camera, Gaussians


def test_the_public_name_draws_before_and_after_its_package_is_imported() -> None:
    one = Gaussians(
        torch.tensor([[0.0, 0, 2]]), torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 0.1), torch.ones(1),
        torch.ones(1, 1, 3),
    )  # fmt: skip
    camera = Camera(torch.tensor([[20.0, 0, 8], [0, 20, 8], [0, 0, 1]]), 17, 17, torch.eye(4))
    first = lsm_core.render(one, camera)
    importlib.import_module("lsm_core.render.draw")
    second = lsm_core.render(one, camera)
    assert float(first.alpha[8, 8]) > 0.9 and torch.equal(first.rgb, second.rgb)
