"""Dense descriptors are matched where each is the other's best."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lsm_core.errors import InputError
from lsm_core.geometry import reciprocal
from lsm_core.geometry.reciprocal import reciprocal_matches


def field(height: int, width: int, seed: int, dim: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(height, width, dim, generator=generator), dim=-1)


def test_every_match_is_mutual_by_exhaustive_search() -> None:
    first, second = field(24, 32, 1), field(20, 28, 2)
    found = reciprocal_matches(first, second, step=3)
    similar = first.flatten(0, 1) @ second.flatten(0, 1).T
    mutual = {(i, j) for i, j in enumerate(similar.argmax(1).tolist()) if int(similar[:, j].argmax()) == i}
    pairs = [
        (int(a[1] * 32 + a[0]), int(b[1] * 28 + b[0])) for a, b in zip(found.pixels0, found.pixels1, strict=True)
    ]
    assert len(pairs) > 20 and len(set(pairs)) == len(pairs)
    assert set(pairs) <= mutual


def test_a_shifted_image_is_found_at_its_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reciprocal, "BLOCK", 4000)  # several blocks
    whole = field(40, 40, 3)
    found = reciprocal_matches(whole[4:36, 2:34], whole[:32, :32], step=4)
    inside = (found.pixels0[:, 0] < 28) & (found.pixels0[:, 1] < 28)
    assert inside.sum() >= 36
    assert ((found.pixels1 - found.pixels0)[inside] == [2, 4]).all()


def test_descriptors_of_other_widths_are_refused() -> None:
    with pytest.raises(InputError):
        reciprocal_matches(field(8, 8, 1, 4), field(8, 8, 1, 6))
