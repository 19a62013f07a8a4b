"""How complete and how accurate the clouds of pairs are, against the depth that was measured."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.evaluation.depth_metrics import depth_error
from lsm_core.evaluation.geometry_metrics import THRESHOLD_M, CloudError, cloud_error
from lsm_core.evaluation.geometry_tables import median_of
from lsm_core.evaluation.goals import GOOD_OVERLAP
from lsm_core.evaluation.grid import grid_intrinsics, sample_on_grid
from lsm_core.evaluation.pairs import EvalPair
from lsm_core.evaluation.tables import Column, Table
from lsm_core.geometry.camera import transform_points, unproject
from lsm_core.types import Prediction

STRIDE = 3  # pixels of the grid between points that are compared


class CloudTally:
    """Compares the points of both views of each pair with the measured ones, in camera 0 and metres."""

    def __init__(self) -> None:
        self.errors: list[CloudError] = []

    def add(self, pair: EvalPair, prediction: Prediction) -> None:
        """Count a pair that overlaps well, has a pose, and whose depth is known in both views."""
        known = all(v.depth is not None and v.K is not None for v in pair.views)
        if pair.overlap <= GOOD_OVERLAP or not all(prediction.pose_valid) or not known:
            return
        clouds = [_clouds(pair, prediction, view) for view in range(2)]
        true_depth = pair.views[0].depth
        assert true_depth is not None
        scale = depth_error(
            prediction.depth(0).detach().cpu().float(), sample_on_grid(prediction, 0, true_depth)
        ).scale
        predicted, true = (np.concatenate([cloud[k] for cloud in clouds]) for k in range(2))
        if len(true) and scale > 0:
            self.errors.append(cloud_error(predicted / scale, true))

    def figures(self) -> dict[str, float]:
        """Return the main figures."""
        return {
            "cloud_accuracy_m": median_of([e.accuracy_median for e in self.errors]),
            "cloud_completeness_m": median_of([e.completeness_median for e in self.errors]),
            "cloud_f_score": median_of([e.f_score for e in self.errors]),
        }

    def table(self, title: str) -> Table:
        """Return medians over the pairs."""
        names = {
            "accuracy m": "accuracy_median",
            "completeness m": "completeness_median",
            "chamfer m": "chamfer",
            "precision": "precision",
            "recall": "recall",
            "F-score": "f_score",
        }
        columns = [Column("points of"), Column("pairs", "d"), *(Column(name) for name in names)]
        values = [median_of([getattr(e, field) for e in self.errors]) for field in names.values()]
        note = (
            f"Medians over pairs with overlap > {GOOD_OVERLAP:g} whose depth is known in both views; both views' "
            "points in camera 0, the unit from the median depth of view 0, points without measured depth left out. "
            "Accuracy: distance of predicted points to the nearest measured one; completeness: the other way "
            f"round; precision and recall: shares below {100 * THRESHOLD_M:g} cm."
        )
        return Table(title, columns, [["both views", len(self.errors), *values]], note)


def _clouds(pair: EvalPair, prediction: Prediction, view: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return predicted (its own unit) and true points of a view in camera 0, where depth was measured."""
    of = pair.views[view]
    assert of.depth is not None and of.K is not None
    depth = sample_on_grid(prediction, view, of.depth)
    T_cam0_cam = torch.eye(4) if view == 0 else pair.T_cam0_cam1.float()
    true = transform_points(T_cam0_cam, unproject(depth, grid_intrinsics(prediction, view, of.K)))
    predicted = prediction.pointmaps[view].detach().cpu()
    keep = torch.zeros_like(depth, dtype=torch.bool)
    keep[::STRIDE, ::STRIDE] = True
    keep &= (depth > 0) & predicted.isfinite().all(-1)
    return predicted[keep].double().numpy(), true[keep].double().numpy()
