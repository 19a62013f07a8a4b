"""A row of a protocol's picture: what was given, what was drawn, what was there, and the difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.views import ViewSample
from lsm_core.evaluation.evaluator import Drawn
from lsm_core.evaluation.sample_scores import SampleScores
from lsm_core.io.colormaps import color_share
from lsm_core.io.sheets import Panel

LARGEST_ERROR = 0.5  # of a colour, where the scale of the difference ends


def sample_row(sample: ViewSample, scores: SampleScores, drawn: Sequence[Drawn]) -> list[Panel]:
    """Return the panels of one sample: given views, then the first target drawn, true, and how they differ."""
    pose = f"rotation error {scores.pose.rotation_deg:.1f}°, direction {scores.pose.direction_folded_deg:.0f}°"
    panels = [
        Panel(view.image, f"given: {view.name}", scores.name if k == 0 else pose)
        for k, view in enumerate(sample.context)
    ]
    if drawn:
        first = drawn[0]
        errors = scores.images.get("", ())
        caption = f"PSNR {errors[0].psnr:.1f} dB, SSIM {errors[0].ssim:.3f}" if errors else ""
        panels.append(Panel(_bytes(first.rgb.numpy()), "drawn", caption))
        panels.append(Panel(_bytes(first.true.numpy()), f"truth: {sample.targets[0].name}"))
        panels.append(Panel(difference(first.true.numpy(), first.rgb.numpy()), "difference"))
    return panels


def difference(true: NDArray[np.floating], drawn: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return [h, w, 3] uint8: the mean difference over colours, dark where there is none."""
    error = np.abs(true - np.clip(drawn, 0, 1)).mean(-1) / LARGEST_ERROR
    return color_share(error)


def _bytes(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(image, 0, 1) * 255, np.uint8)
