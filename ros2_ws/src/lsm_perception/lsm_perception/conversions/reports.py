"""Keyframes, pair poses, scale and path as messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose, PoseStamped, PoseWithCovariance, PoseWithCovarianceStamped
from lsm_perception_msgs.msg import Keyframe, PairPose, Scale
from nav_msgs.msg import Path
from numpy.typing import NDArray
from std_msgs.msg import Header

from lsm_core.mapping import KeyframeDecision, ScaleEstimate, ScaleState
from lsm_perception.conversions.poses import pose_message
from lsm_perception.conversions.stamps import stamp_from_ns
from lsm_perception.products import Matrix, PairReport

_STATES = {
    ScaleState.UNKNOWN: Scale.UNKNOWN,
    ScaleState.METRIC: Scale.METRIC,
    ScaleState.DEGRADED: Scale.DEGRADED,
}


def header(stamp_ns: int, frame_id: str) -> Header:
    """Return a header."""
    return Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame_id)


def keyframe_message(
    source: Header, camera: str, keyframe_id: int, action: int, reason: str, decision: KeyframeDecision | None
) -> Keyframe:
    """Return what became of a candidate; figures are NaN without a decision."""
    nan = float("nan")
    return Keyframe(
        header=source,
        camera=camera,
        id=keyframe_id,
        action=action,
        reason=reason,
        overlap=nan if decision is None else float(decision.overlap),
        parallax_deg=nan if decision is None else float(decision.parallax_deg),
        blur=nan if decision is None else float(decision.blur),
    )


def scale_message(scale: ScaleEstimate, camera: str, source: Header) -> Scale:
    """Return the scale; `source` is the header of the newest keyframe, whose frame it keeps."""
    stamp = stamp_from_ns(scale.stamp_ns) if scale.stamp_ns else source.stamp
    return Scale(
        header=Header(stamp=stamp, frame_id=source.frame_id),
        camera=camera,
        state=_STATES[scale.state],
        source=scale.source.value,
        metres_per_unit=float(scale.metres_per_unit),
        spread=float(scale.spread),
        epoch=int(scale.epoch),
        samples=int(scale.samples),
    )


def pose_with_covariance(T: Matrix, covariance: NDArray[Any]) -> PoseWithCovariance:
    """Return a pose with its 6x6 covariance, row by row."""
    return PoseWithCovariance(pose=pose_message(T), covariance=np.asarray(covariance, np.float64).ravel())


def pair_pose_message(
    pair: PairReport, T: Matrix, covariance: Matrix, frame: str, child: str, metric: bool, epoch: int
) -> PairPose:
    """Return the report on a pair.

    Args:
        pair: the report.
        T, covariance: pose of the newer camera in the older one's frame, in the unit that `metric` says.
        frame, child: names of the older and newer camera's frame.
        metric: metres, or the segment's own unit.
        epoch: of the scale.
    """
    return PairPose(
        header=header(pair.newer.stamp_ns, frame),
        child_frame_id=child,
        reference_stamp=stamp_from_ns(pair.older.stamp_ns),
        reference_id=pair.older.id,
        id=pair.newer.id,
        reference_camera=pair.older.camera,
        camera=pair.newer.camera,
        reference_image_frame=pair.older.frame_id,
        image_frame=pair.newer.frame_id,
        pose=pose_with_covariance(T, covariance),
        unit=PairPose.UNIT_METRIC if metric else PairPose.UNIT_RELATIVE,
        epoch=epoch,
        segment=pair.segment,
        inliers=max(0, pair.inliers),
        inlier_ratio=float(pair.inlier_ratio),
        validity=float(pair.validity),
        overlap=float(pair.overlap),
        parallax_deg=float(pair.parallax_deg),
        accepted=pair.accepted,
        reason=pair.reason,
    )


def relative_pose_message(message: PairPose) -> PoseWithCovarianceStamped:
    """Return the pose of an accepted pair alone, in the older camera's frame."""
    return PoseWithCovarianceStamped(header=message.header, pose=message.pose)


def path_message(source: Header, poses: Iterable[tuple[int, Pose]]) -> Path:
    """Return a path of (stamp ns, pose of the camera in the map) in the frame of `source`."""
    return Path(
        header=source, poses=[PoseStamped(header=header(t, source.frame_id), pose=pose) for t, pose in poses]
    )
