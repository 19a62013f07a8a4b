"""Structural similarity: against a plain way to compute it, and what its terms are blind to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from lsm_core.nn.ssim import TERM_MAX, moments, sample_ssim, ssim_terms, structure


def image(seed: int) -> Tensor:
    noise = torch.rand(1, 3, 30, 34, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 3, 1, 1)


def test_sample_ssim_is_that_of_scikit_image() -> None:
    """Written out with SciPy's filter, as skimage.metrics.structural_similarity does it."""
    x, y = image(0).double().numpy()[0], image(1).double().numpy()[0]

    def mean(a: np.ndarray) -> np.ndarray:
        return np.stack([gaussian_filter(plane, 1.5, truncate=3.5) for plane in a])

    n, c1, c2 = 121 / 120, 1e-4, 9e-4
    mx, my = mean(x), mean(y)
    vx, vy, vxy = n * (mean(x * x) - mx**2), n * (mean(y * y) - my**2), n * (mean(x * y) - mx * my)
    whole = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert float(sample_ssim(image(0), image(1))) == pytest.approx(whole[:, 5:-5, 5:-5].mean(), rel=1e-9)


def test_structure_does_not_see_brightness_and_contrast() -> None:
    x = image(2)
    terms = ssim_terms(moments(x), moments(0.5 * x + 0.3))
    assert float(terms.structure) == pytest.approx(TERM_MAX, abs=0.02)
    assert float(terms.brightness) < 0.995 and float(terms.contrast) < 0.9
    assert float(structure(moments(x), moments(1 - x))) < -0.8


def test_one_image_is_like_itself() -> None:
    terms = ssim_terms(moments(image(3)), moments(image(3)))
    assert float(terms.ssim) == pytest.approx(1, abs=1e-4)
    assert float(terms.contrast) == pytest.approx(TERM_MAX) and float(terms.structure) == pytest.approx(TERM_MAX)
