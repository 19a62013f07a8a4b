"""Errors of a relative pose and their summary: angles, area under the recall curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.geometry.se3 import direction_angle, rotation_angle

FAILED_DEG = 180.0
AUC_THRESHOLDS_DEG = (5.0, 10.0, 20.0)


@dataclass(frozen=True)
class PoseError:
    """How far a predicted relative pose is from the true one.

    Attributes:
        rotation_deg: geodesic angle, 0 to 180.
        direction_deg: angle between the translations, 0 to 180; NaN where a translation has no length.
        direction_folded_deg: the same with opposite directions taken as equal, 0 to 90, as the AUC of the
            literature has it.
        translation: length of the difference of the translations, unit of the poses.
    """

    rotation_deg: float
    direction_deg: float
    direction_folded_deg: float
    translation: float

    @property
    def worst_deg(self) -> float:
        """Larger of rotation and folded direction error; what the AUC counts."""
        if math.isnan(self.direction_folded_deg):
            return self.rotation_deg
        return max(self.rotation_deg, self.direction_folded_deg)


FAILED_POSE = PoseError(FAILED_DEG, FAILED_DEG, 90.0, math.nan)


def pose_error(T_true: Tensor, T_predicted: Tensor) -> PoseError:
    """Compare two poses [4, 4] of one camera in one frame (T_cam0_cam1 of a pair)."""
    true, predicted = T_true.detach().cpu().double(), T_predicted.detach().cpu().double()
    direction = math.degrees(float(direction_angle(true[:3, 3], predicted[:3, 3])))
    return PoseError(
        rotation_deg=math.degrees(float(rotation_angle(true, predicted))),
        direction_deg=direction,
        direction_folded_deg=direction if math.isnan(direction) else min(direction, 180.0 - direction),
        translation=float(torch.linalg.vector_norm(true[:3, 3] - predicted[:3, 3])),
    )


def pose_auc(
    errors_deg: Sequence[float] | NDArray[np.floating], thresholds_deg: Sequence[float] = AUC_THRESHOLDS_DEG
) -> list[float]:
    """Return the area under the recall curve up to each threshold, each in [0, 1].

    The curve is the one of the pose literature (SuperGlue, section 5): straight lines through (0, 0) and
    (error_i, i / n), level from the last error below the threshold to the threshold.

    Args:
        errors_deg: one error per pair; a failed pose counts with a large one, not by leaving it out.
        thresholds_deg: upper ends, > 0.

    Raises:
        InputError: there are no errors, or one is NaN.
    """
    errors = np.sort(np.asarray(errors_deg, dtype=np.float64).ravel())
    if errors.size == 0 or bool(np.isnan(errors).any()):
        raise InputError("The pose AUC needs at least one error, and none may be NaN.", "Count a failure as 180.")
    recall = np.arange(1, errors.size + 1) / errors.size
    errors, recall = np.concatenate([[0.0], errors]), np.concatenate([[0.0], recall])
    areas = []
    for threshold in thresholds_deg:
        below = int(np.searchsorted(errors, threshold))
        x = np.append(errors[:below], threshold)
        y = np.append(recall[:below], recall[max(below - 1, 0)])
        areas.append(float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2)) / threshold)
    return areas


def mean_average_accuracy(errors_deg: Sequence[float] | NDArray[np.floating], largest_deg: int = 30) -> float:
    """Return mAA: the mean of the shares of errors below 1, 2, ... `largest_deg` degrees (IMC, DUSt3R, VGGT).

    Args:
        errors_deg: one per pair, the larger of rotation and direction error; a failed pose counts with a large one.
        largest_deg: last threshold.

    Raises:
        InputError: there are no errors, or one is NaN.
    """
    errors = np.asarray(errors_deg, dtype=np.float64).ravel()
    if errors.size == 0 or bool(np.isnan(errors).any()):
        raise InputError("The mAA needs at least one error, and none may be NaN.", "Count a failure as 180.")
    thresholds = np.arange(1, largest_deg + 1)
    return float((errors[None, :] < thresholds[:, None]).mean())
