"""Alignment recovers a known similarity, with weights, outliers and degenerate input."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry import robust_scale, so3_exp, umeyama, weighted_median


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


def test_weighted_median_counts_weight_not_rows() -> None:
    values = torch.tensor([1.0, 2.0, 3.0, float("nan")])
    assert weighted_median(values, torch.tensor([1.0, 1.0, 1.0, 9.0])) == 2.0
    assert weighted_median(values, torch.tensor([1.0, 1.0, 5.0, 0.0])) == 3.0
    with pytest.raises(GeometryError):
        weighted_median(values, torch.zeros(4))


def test_robust_scale_survives_forty_percent_outliers() -> None:
    generator = torch.Generator().manual_seed(1)
    source = torch.rand(1000, generator=generator) + 1
    target = 2.5 * source
    target[:400] *= torch.rand(400, generator=generator) * 5
    clean = robust_scale(source, 2.5 * source)
    dirty = robust_scale(source, target)
    assert clean.scale == pytest.approx(2.5, rel=1e-6)
    assert clean.spread == pytest.approx(0, abs=1e-6)
    assert dirty.scale == pytest.approx(2.5, rel=0.01)


def test_spread_measures_the_noise() -> None:
    generator = torch.Generator().manual_seed(2)
    source = torch.rand(20000, generator=generator) + 1
    noisy = source * torch.exp(0.1 * torch.randn(20000, generator=generator))
    assert robust_scale(source, noisy).spread == pytest.approx(0.1, rel=0.05)


def test_robust_scale_needs_common_pixels() -> None:
    source = torch.ones(100)
    target = torch.zeros(100)
    with pytest.raises(GeometryError):
        robust_scale(source, target)
