"""What was measured on one sample of a protocol, and what it sums up to over many."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lsm_core.evaluation.depth_metrics import DepthError, summed_up
from lsm_core.evaluation.image_metrics import ImageError
from lsm_core.evaluation.pose_metrics import AUC_THRESHOLDS_DEG, PoseError, mean_average_accuracy, pose_auc
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.switches import Average, Switches


@dataclass(frozen=True)
class SampleScores:
    """Scores of one sample.

    Attributes:
        name: of the sample.
        scene: it is of.
        group: of samples that are also summed up apart, such as an overlap; empty for none.
        pose: error of the last context view's pose; `FAILED_POSE` where none was found.
        depth: of each context view whose depth is known.
        images: way of scoring ("" or a name of the protocol) -> per target its error.
        seconds: of the prediction.
    """

    name: str
    scene: str
    group: str
    pose: PoseError
    depth: tuple[DepthError, ...] = ()
    images: Mapping[str, tuple[ImageError, ...]] = field(default_factory=dict)
    seconds: float = math.nan


@dataclass
class Labels:
    """Counts of true and predicted classes on given views and on targets, over all samples."""

    given: Confusion
    targets: Confusion


def pose_figures(scores: Sequence[SampleScores]) -> dict[str, float]:
    """Return AUC, mAA and medians of the pose errors."""
    worst = [s.pose.worst_deg for s in scores]
    if not worst:
        return {}
    areas = zip(AUC_THRESHOLDS_DEG, pose_auc(worst), strict=True)
    return {
        **{f"auc_{threshold:g}": area for threshold, area in areas},
        "maa_30": mean_average_accuracy(worst),
        "rotation_median_deg": float(np.median([s.pose.rotation_deg for s in scores])),
    }


def depth_figures(scores: Sequence[SampleScores], switches: Switches) -> dict[str, float]:
    """Return the errors of depth in percent, as tables have them."""
    total = summed_up([e for s in scores for e in s.depth], switches.depth_average)
    if not total.pixels:
        return {}
    return {"rel": 100 * total.absrel, "tau": 100 * total.tau, "delta": 100 * total.delta}


def image_figures(scores: Sequence[SampleScores], switches: Switches) -> dict[str, float]:
    """Return PSNR, SSIM and LPIPS, per way of scoring: `psnr`, and `psnr_NAME` for those with a name."""
    figures: dict[str, float] = {}
    for way in {way for s in scores for way in s.images}:
        groups = [s.images[way] for s in scores if s.images.get(way)]
        for what in ("psnr", "ssim", "lpips"):
            value = _averaged(groups, lambda e, w=what: float(getattr(e, w)), switches.image_average)  # type: ignore[misc]
            figures[f"{what}_{way}" if way else what] = value
    return figures


def label_figures(labels: Labels, switches: Switches) -> dict[str, float]:
    """Return mIoU and accuracy of given views and targets."""
    figures = {}
    for name, confusion in (("source", labels.given), ("target", labels.targets)):
        if confusion.pixels:
            figures[f"{name}_miou"] = confusion.jaccard(switches.iou_average)
            figures[f"{name}_accuracy"] = confusion.averaged_accuracy(switches.accuracy_average)
    return figures


def _averaged(
    groups: Sequence[Sequence[ImageError]], value: Callable[[ImageError], float], average: Average
) -> float:
    """Return the mean over samples of means over their views, or the mean over all views; NaN without any."""
    known = [[v for e in group if not math.isnan(v := value(e))] for group in groups]
    filled = [values for values in known if values]
    if not filled:
        return math.nan
    if average == "micro":
        return float(np.mean([v for values in filled for v in values]))
    return float(np.mean([np.mean(values) for values in filled]))
