"""Family `ssim_terms`: the terms of structural similarity, and the figures that drawn views are scored with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lsm_core.evaluation.image_metrics import psnr, ssim
from lsm_core.nn.ssim import moments, ssim_terms, structure
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family


def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the terms, the gradient of one minus the structure term, and the scores."""
    x, y = inputs["in.x"], inputs["in.y"].clone().requires_grad_()
    with torch.enable_grad():
        loss = 1 - structure(moments(x), moments(y))
        (gradient,) = torch.autograd.grad(loss, y)
    y = y.detach()
    terms = ssim_terms(moments(x), moments(y))
    return {
        "out.ssim_brightness_contrast_structure": torch.stack(
            [terms.ssim, terms.brightness, terms.contrast, terms.structure]
        ),
        "out.grad_of_1_minus_structure_wrt_y": gradient,
        "out.eval_psnr": psnr(x, y),
        "out.eval_ssim": ssim(x, y),
    }


FAMILIES = (Family("ssim_terms", answer),)
