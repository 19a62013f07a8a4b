"""The focal length of a pointmap is the one it was made with."""

from __future__ import annotations

import pytest
import torch

from lsm_core.errors import InputError
from lsm_core.geometry import focal_from_pointmap, unproject


def pointmap(focal: float, height: int = 48, width: int = 64) -> torch.Tensor:
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    depth = 1 + 2 * torch.rand(height, width, generator=torch.Generator().manual_seed(3))
    return unproject(depth, K)


@pytest.mark.parametrize("method", ["weiszfeld", "median"])
@pytest.mark.parametrize("focal", [30.0, 80.0])
def test_exact_pointmaps_give_their_focal_length(method: str, focal: float) -> None:
    found = focal_from_pointmap(pointmap(focal), method=method)  # type: ignore[arg-type]
    assert float(found) == pytest.approx(focal, rel=1e-4)


@pytest.mark.parametrize("method", ["weiszfeld", "median"])
def test_a_tenth_of_bad_depths_moves_it_little(method: str) -> None:
    points = pointmap(50.0)
    bad = torch.rand(48, 64, generator=torch.Generator().manual_seed(4)) < 0.1
    points[bad] *= torch.tensor([1.0, 1.0, 3.0])
    found = focal_from_pointmap(points, method=method)  # type: ignore[arg-type]
    assert float(found) == pytest.approx(50.0, rel=0.01)


def test_batches_and_clipping() -> None:
    batch = torch.stack([pointmap(30.0), pointmap(80.0)])
    torch.testing.assert_close(focal_from_pointmap(batch), torch.tensor([30.0, 80.0]), rtol=1e-4, atol=0)
    base = 64 / (2 * 3**-0.5)
    clipped = focal_from_pointmap(batch, ratio_range=(0.9, 1.1))
    torch.testing.assert_close(clipped, torch.tensor([0.9 * base, 1.1 * base]))


def test_the_principal_point_given_is_used() -> None:
    K = torch.tensor([[60.0, 0, 20.0], [0, 60.0, 30.0], [0, 0, 1]])
    points = unproject(torch.rand(48, 64, generator=torch.Generator().manual_seed(5)) + 1, K)
    assert float(focal_from_pointmap(points, torch.tensor([20.0, 30.0]))) == pytest.approx(60.0, rel=1e-4)
    assert float(focal_from_pointmap(points)) != pytest.approx(60.0, rel=0.02)


def test_wrong_shapes_and_methods_are_refused() -> None:
    with pytest.raises(InputError):
        focal_from_pointmap(torch.zeros(4, 4))
    with pytest.raises(InputError):
        focal_from_pointmap(torch.zeros(4, 4, 3), method="mean")  # type: ignore[arg-type]
