"""Alignment recovers a known similarity, with weights, outliers and degenerate input."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry import so3_exp, umeyama


def points(n: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.floats(0.01, 100), st.tuples(*[st.floats(-1.8, 1.8)] * 3), st.tuples(*[st.floats(-5, 5)] * 3))
def test_umeyama_recovers_any_similarity(
    scale: float, theta: tuple[float, ...], translation: tuple[float, ...]
) -> None:
    R = so3_exp(torch.tensor(theta, dtype=torch.float64))
    t = torch.tensor(translation, dtype=torch.float64)
    src = points()
    found = umeyama(src, scale * src @ R.T + t)
    assert found.scale == pytest.approx(scale, rel=1e-9)
    torch.testing.assert_close(found.rotation, R, atol=1e-8, rtol=0)
    torch.testing.assert_close(found.translation, t, atol=1e-7, rtol=1e-7)


def test_zero_weight_points_do_not_count() -> None:
    src = points()
    dst = 2 * src + 1
    dst[:10] += 100
    weights = torch.ones(40)
    weights[:10] = 0
    assert umeyama(src, dst, weights).scale == pytest.approx(2)
    assert umeyama(src, dst).scale != pytest.approx(2, rel=0.1)


def test_a_mirrored_set_gives_a_proper_rotation() -> None:
    src = points()
    found = umeyama(src, src * torch.tensor([1.0, 1.0, -1.0]))
    assert float(torch.linalg.det(found.rotation)) == pytest.approx(1)


def test_rigid_alignment_keeps_scale_one() -> None:
    src = points()
    assert umeyama(src, 3 * src, with_scale=False).scale == 1.0


def test_points_on_a_line_are_refused() -> None:
    line = torch.arange(10.0)[:, None] * torch.tensor([1.0, 2.0, 3.0])
    with pytest.raises(GeometryError):
        umeyama(line, line)
    with pytest.raises(GeometryError):
        umeyama(points(2), points(2))
    with pytest.raises(InputError):
        umeyama(points(4), points(5))
