"""Measurements against ground truth: switches, metrics, protocols, baselines, tables.

The studies behind `lsm eval` are in modules of their own (`protocol_study`, `sequence_study`, `studies` ...),
imported when they are run; the one evaluator is `lsm_core.evaluation.evaluator.Evaluator`.
"""

from lsm_core.evaluation.depth_metrics import DepthError, depth_error, pointmap_error
from lsm_core.evaluation.geometry_metrics import CloudError, cloud_error
from lsm_core.evaluation.image_metrics import ImageError, image_error
from lsm_core.evaluation.pose_metrics import PoseError, mean_average_accuracy, pose_auc, pose_error
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.switches import Switches
from lsm_core.evaluation.trajectory_metrics import (
    AbsoluteError,
    RelativeError,
    absolute_error,
    align_trajectory,
    relative_error,
)

__all__ = [
    "AbsoluteError",
    "CloudError",
    "Confusion",
    "DepthError",
    "ImageError",
    "PoseError",
    "RelativeError",
    "Switches",
    "absolute_error",
    "align_trajectory",
    "cloud_error",
    "depth_error",
    "image_error",
    "mean_average_accuracy",
    "pointmap_error",
    "pose_auc",
    "pose_error",
    "relative_error",
]
