"""LPIPS against torchmetrics' implementation and its copy of the linear layers, on one VGG-16 of random numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lsm_core.errors import DependencyError
from lsm_core.nn.lpips import WIDTHS, Lpips
from lsm_core.weights.lpips_package import find_lpips_file, lpips_state

theirs = pytest.importorskip("torchmetrics.functional.image.lpips", reason="torchmetrics is part of the test extra")


class PlainVgg(nn.Module):
    """VGG-16's convolutions as torchvision would give them, up to each depth, which torch alone cannot import."""

    def __init__(self, pretrained: bool = True, requires_grad: bool = False) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.convs = nn.ModuleList()
        before = 3
        for width in (w for widths in WIDTHS for w in widths):
            conv = nn.Conv2d(before, width, 3, padding=1)
            with torch.no_grad():
                conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator) * (2 / (9 * before)) ** 0.5)
                conv.bias.copy_(0.1 * torch.randn(width, generator=generator))  # type: ignore[union-attr]
            self.convs.append(conv)
            before = width

    def forward(self, x: Tensor) -> list[Tensor]:
        found, convs = [], iter(self.convs)
        for depth, widths in enumerate(WIDTHS):
            x = nn.functional.max_pool2d(x, 2) if depth else x
            for _ in widths:
                x = torch.relu(next(convs)(x))
            found.append(x)
        return found


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Torchmetrics' LPIPS with its trained linear layers."""
    monkeypatch.setattr(theirs, "Vgg16", PlainVgg)
    network: nn.Module = theirs._LPIPS(pretrained=True, net="vgg", pnet_rand=True)
    return network


def same_weights(reference: nn.Module) -> Lpips:
    network = Lpips()
    convs = list(reference.net.convs)  # type: ignore[union-attr,arg-type]
    with torch.no_grad():
        for own, other in zip((c for block in network.blocks for c in block), convs, strict=True):  # type: ignore[attr-defined]
            own.load_state_dict(other.state_dict())
        for weight, layer in zip(network.weights, reference.lins, strict=True):  # type: ignore[arg-type]
            weight.copy_(layer.model[-1].weight.flatten())
    return network.eval()


def test_distances_are_those_of_torchmetrics(reference: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    first = nn.functional.avg_pool2d(torch.rand(2, 3, 66, 74, generator=generator), 3, 1)
    second = (first + 0.1 * torch.randn(first.shape, generator=generator)).clamp(0, 1)
    with torch.no_grad():
        wanted = reference(first, second, normalize=True).flatten()
        found = same_weights(reference)(first, second)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert float(wanted.min()) > 1e-3


def test_the_package_s_linear_layers_are_those_of_torchmetrics(reference: nn.Module) -> None:
    try:
        path: Path = find_lpips_file()
    except DependencyError as error:
        pytest.skip(str(error))
    stored = lpips_state(path)
    for depth, layer in enumerate(reference.lins):  # type: ignore[arg-type]
        torch.testing.assert_close(
            stored[f"weights.{depth}"], layer.model[-1].weight.flatten(), rtol=1e-4, atol=1e-6
        )
