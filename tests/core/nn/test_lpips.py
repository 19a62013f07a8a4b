"""LPIPS on random weights: against its formula written out, kept features, gradients where nothing is seen."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.nn.lpips import Lpips


@pytest.fixture(scope="module")
def network() -> Lpips:
    torch.manual_seed(0)
    out = Lpips().eval()
    for weight in out.weights:
        torch.nn.init.uniform_(weight)
    return out.requires_grad_(False)


def images(seed: int) -> Tensor:
    return torch.rand(2, 3, 24, 20, generator=torch.Generator().manual_seed(seed))


def plain(network: Lpips, first: Tensor, second: Tensor) -> Tensor:
    """LPIPS of two images [3, H, W], pixel by pixel."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x = [((2 * i.permute(1, 2, 0) - 1 - shift) / scale).permute(2, 0, 1)[None] for i in (first, second)]
    total = torch.zeros(())
    for depth, block in enumerate(network.blocks):
        x = [F.max_pool2d(f, 2) for f in x] if depth else x
        for conv in block:  # type: ignore[attr-defined]
            x = [F.conv2d(f, conv.weight, conv.bias, padding=1).relu() for f in x]
        a, b = (f[0] / f[0].square().sum(0).sqrt() for f in x)
        squares = torch.nan_to_num(a - b) ** 2
        total = total + (squares * network.weights[depth][:, None, None]).sum(0).mean()
    return total


def test_distance_is_the_formula(network: Lpips) -> None:
    a, b = images(0), images(1)
    expected = torch.stack([plain(network, a[i], b[i]) for i in range(2)])
    torch.testing.assert_close(network(a, b), expected, rtol=1e-4, atol=1e-6)
    assert float(network(a, a).max()) == 0


def test_kept_features_give_the_same_distance(network: Lpips) -> None:
    a, b = images(0), images(1)
    assert torch.equal(network.distance(network.features(a), network.features(b)), network(a, b))


def test_the_gradient_is_finite_where_no_feature_is_active(network: Lpips) -> None:
    dark = images(0).mul(0.0).requires_grad_()
    silent = Lpips().eval()
    silent.load_state_dict(network.state_dict())
    with torch.no_grad():
        for block in silent.blocks:
            for conv in block:  # type: ignore[attr-defined]
                conv.bias.fill_(-10.0)
    silent(dark, images(1)).sum().backward()
    assert dark.grad is not None and bool(torch.isfinite(dark.grad).all())


def test_the_map_has_the_distance_as_its_mean_and_is_high_where_images_differ(network: Lpips) -> None:
    a = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    b = a.clone()
    b[1, :, :16, :16] = 0.5
    found = network.difference_map(a, b)
    assert found.shape == (2, 1, 64, 64) and float(found[0].max()) == 0
    torch.testing.assert_close(found.mean((1, 2, 3)), network(a, b), rtol=1e-4, atol=1e-6)
    assert float(found[1, 0, :16, :16].mean()) > 3 * float(found[1, 0, 32:, 32:].mean())
