"""Measurements against ground truth: data readers, metrics, baselines, tables.

The studies behind `lsm eval` are in `lsm_core.evaluation.studies`, imported when they are run.
"""

from lsm_core.evaluation.depth_metrics import DepthError, depth_error, pointmap_error
from lsm_core.evaluation.pose_metrics import PoseError, pose_auc, pose_error
from lsm_core.evaluation.semantic_metrics import Confusion

__all__ = ["Confusion", "DepthError", "PoseError", "depth_error", "pointmap_error", "pose_auc", "pose_error"]
