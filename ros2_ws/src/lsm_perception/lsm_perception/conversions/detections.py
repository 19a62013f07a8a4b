"""Things found in a cloud as vision_msgs detections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from geometry_msgs.msg import Vector3
from numpy.typing import NDArray
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from lsm_core.query.instances import Instance
from lsm_perception.conversions.poses import pose_message


def detections_message(
    instances: Iterable[Instance], texts: Sequence[str], T_out_frame: NDArray[Any], header: Header
) -> Detection3DArray:
    """Return things as detections.

    Args:
        instances: in some frame, metres; an `id` above 0 becomes the detection's id.
        texts: what the labels index; becomes class_id.
        T_out_frame: [4, 4] rigid, from that frame to the header's.
        header: stamp and frame of the message.
    """
    out = Detection3DArray(header=header)
    for instance in instances:
        pose = pose_message(T_out_frame @ instance.T_frame_box)
        result = ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=texts[instance.label], score=float(instance.score))
        )
        result.pose.pose = pose
        result.pose.covariance[0] = -1.0  # unknown
        x, y, z = (float(v) for v in instance.size)
        out.detections.append(
            Detection3D(
                header=header,
                results=[result],
                bbox=BoundingBox3D(center=pose, size=Vector3(x=x, y=y, z=z)),
                id=str(instance.id) if instance.id > 0 else "",
            )
        )
    return out
