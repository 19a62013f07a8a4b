"""Is the pose of a pair good: gate against odometry and matched features, and its covariance."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping import (
    GateVerdict,
    check_pair_pose,
    pose_covariance,
    unknown_covariance,
)
from lsm_core.types import Prediction
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe, Matrix, PairReport
from lsm_perception.two_view_check import TwoViewChecker
from lsm_perception.units import scaled_covariance

logger = logging.getLogger(__name__)
COVARIANCE_POINTS = 400


@dataclass(frozen=True, eq=False)
class PairVerdict:
    """The gate's verdict with the figures of the pair.

    Attributes:
        gate: accepted or the reason.
        T_older_newer: [4, 4] in the pair's unit; the identity when the model gave no pose.
        prediction: of the pair.
    """

    gate: GateVerdict
    T_older_newer: Matrix
    prediction: Prediction

    @property
    def accepted(self) -> bool:
        """Whether the pose may be used."""
        return self.gate.accepted

    @property
    def overlap(self) -> float:
        """Of the two views by their matches, NaN when unknown."""
        return self.prediction.stats.get("overlap", math.nan)

    @cached_property
    def covariance(self) -> Matrix:
        """[6, 6] in the pair's unit; unknown for a rejected pose."""
        return pair_covariance(self.prediction) if self.accepted else unknown_covariance()

    def report(
        self, older: Keyframe, newer: Keyframe, T: Matrix, scale: float, in_segment: bool, segment: int
    ) -> PairReport:
        """Return the report for ~/pair_pose.

        Args:
            older, newer: the keyframes.
            T: [4, 4] of the newer in the older, in the unit reported.
            scale: that unit per unit of the pair.
            in_segment: the unit is the segment's.
            segment: it is part of, 0 for none.
        """
        stats = self.prediction.stats
        inliers = stats.get("inliers", 0.0)
        matches = stats.get("matches", math.nan)
        return PairReport(
            older=older,
            newer=newer,
            T_older_newer=T,
            unit_is_segment=in_segment,
            find_covariance=lambda: scaled_covariance(self.covariance, scale),
            accepted=self.accepted,
            reason=str(self.gate.reason.value),
            validity=float(self.prediction.validity),
            inliers=int(inliers),
            inlier_ratio=inliers / matches if matches > 0 else math.nan,
            overlap=self.overlap,
            parallax_deg=stats.get("parallax_deg", math.nan),
            segment=segment,
        )


class PairJudge:
    """Judges the poses of pairs by the limits of the parameters."""

    def __init__(self, parameters: NodeParameters) -> None:
        self._config = parameters.pose_gate.config(parameters.scale.min_baseline_m)
        self._two_view = TwoViewChecker() if parameters.pose_gate.two_view_check else None

    def prepare(self, older: Keyframe, newer: Keyframe) -> None:
        """Do what needs no prediction in a thread, while the model works on the same pair."""
        if self._two_view is not None:
            self._two_view.prepare(older, newer)

    def judge(
        self, older: Keyframe, newer: Keyframe, prediction: Prediction, T_rig: Matrix | None = None
    ) -> PairVerdict:
        """Judge the pose of view 1 (newer) in view 0 (older).

        Args:
            older, newer: the keyframes.
            prediction: of both.
            T_rig: [4, 4] by the extrinsics of two cameras of one time, metres; None for two times of one camera.
        """
        T = prediction.poses[1].detach().cpu().double().numpy()
        valid = bool(prediction.pose_valid[1]) and bool(np.isfinite(T).all())
        odometry = None
        if older.T_odom_cam is not None and newer.T_odom_cam is not None:
            odometry = np.linalg.inv(older.T_odom_cam) @ newer.T_odom_cam
        gate = check_pair_pose(
            T,
            valid,
            prediction.validity,
            prediction.stats.get("inliers"),
            odometry,
            self._two_view.check(older, newer, prediction) if self._two_view is not None and valid else None,
            self._config,
            T_rig,
        )
        return PairVerdict(gate, T if valid else np.eye(4), prediction)


def pair_covariance(prediction: Prediction) -> NDArray[np.float64]:
    """Return the covariance of the newer camera's pose from the reprojection of its own point map."""
    points = prediction.pointmaps[1].detach().cpu().double().numpy()
    confidence = prediction.confidence[1].detach().cpu().numpy().ravel()
    width = points.shape[1]
    order = np.argsort(confidence, kind="stable")[confidence.size // 2 :]
    chosen = order[:: max(1, len(order) // COVARIANCE_POINTS)]
    pixels = np.stack([chosen % width, chosen // width], -1).astype(np.float64)
    return pose_covariance(
        points.reshape(-1, 3)[chosen],
        pixels,
        prediction.intrinsics[1].detach().cpu().double().numpy(),
        prediction.poses[1].detach().cpu().double().numpy(),
    )
