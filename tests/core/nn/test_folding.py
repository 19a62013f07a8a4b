"""Folded batch normalisation gives what the stored one gives, and nothing that could be folded is left."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lsm_core.backends.seeded_checkpoints import SMALL
from lsm_core.nn.dpt import ResidualConvUnit
from lsm_core.nn.folding import fold_batch_norms
from lsm_core.nn.lsm import Lsm
from lsm_core.points.ptv3 import Down


@pytest.fixture(scope="module")
def network() -> Lsm:
    """Return the small model with statistics that are no identity."""
    torch.manual_seed(3)
    made = Lsm(SMALL).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.3, 3.0)
            nn.init.normal_(module.weight)  # of both signs
            nn.init.normal_(module.bias)
    return made


def test_all_that_can_be_folded_is(network: Lsm) -> None:
    folded = copy.deepcopy(network)
    units = sum(isinstance(m, ResidualConvUnit) for m in folded.lseg.modules())
    assert fold_batch_norms(folded) == 2 * units + 1 + 2 * len(SMALL.points.dec_depths)
    left = {id(m) for m in folded.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)}
    poolings = {id(m.norm[0]) for m in folded.modules() if isinstance(m, Down)}
    assert left == poolings
    assert fold_batch_norms(folded) == 0


@torch.no_grad()
def test_the_results_are_the_same(network: Lsm) -> None:
    folded = copy.deepcopy(network)
    fold_batch_norms(folded)
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(1, 3, 32, 64, generator=generator) * 2 - 1 for _ in (0, 1)]
    permutations = [torch.arange(4)] * 3
    views = [network.encode(image) for image in images]
    for image, view in zip(images, views, strict=True):
        found = folded.encode(image)
        torch.testing.assert_close(found.language, view.language, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.residual, view.residual, atol=1e-4, rtol=1e-4)
    pointmaps = network.dust3r.pointmaps([view.geometry for view in views], (32, 64))
    expected = network.fuse(views, pointmaps, permutations).point_features
    found = folded.fuse(views, pointmaps, permutations).point_features
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
