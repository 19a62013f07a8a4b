"""From the node's messages to the viewer's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cv_bridge import CvBridge
from lsm_perception_msgs.msg import Keyframe, Scale
from numpy.typing import NDArray
from sensor_msgs_py import point_cloud2

from lsm_core.io.encoded_pictures import check_picture_size
from lsm_perception.conversions import stamp_to_ns
from lsm_perception.conversions.poses import matrix_from_pose
from lsm_perception.viewer.records import (
    Answer,
    Box,
    Boxes,
    Cloud,
    KeyframeRecord,
    Matrix,
    Path,
    Rgb,
    ScaleRecord,
    Source,
    Splats,
    StatusLine,
    evenly,
)

SH_C0 = 0.28209479177387814  # the constant spherical harmonic
STATES = {Scale.UNKNOWN: "unknown", Scale.METRIC: "metric", Scale.DEGRADED: "degraded"}
_bridge = CvBridge()


def source_of(header: Any) -> Source:
    """Return frame and stamp of a header."""
    return Source(header.frame_id, stamp_to_ns(header.stamp))


def cloud_of(message: Any, most: int) -> Cloud:
    """Return at most so many points of a cloud with the fields x y z rgb label."""
    rows = point_cloud2.read_points(message)
    rows = rows[evenly(len(rows), most)]
    points = np.stack([rows["x"], rows["y"], rows["z"]], axis=1).astype(np.float32)
    packed = np.ascontiguousarray(rows["rgb"]).view(np.uint32)
    colours = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=1).astype(np.uint8)
    return Cloud(source_of(message.header), points, colours, rows["label"].astype(np.uint16))


def splats_of(message: Any, most: int) -> Splats:
    """Return at most so many Gaussians of a cloud with the fields of the 3DGS file format; the most opaque ones."""
    rows = point_cloud2.read_points(message)
    if len(rows) > most:
        rows = rows[np.argpartition(-rows["opacity"], most)[:most]]
    fields = {name: np.asarray(rows[name], np.float32) for name in rows.dtype.names or ()}
    opacity = 1 / (1 + np.exp(-fields["opacity"]))
    scales = np.exp(np.stack([fields[f"scale_{i}"] for i in range(3)], axis=1))
    rotation = rotations(np.stack([fields[f"rot_{i}"] for i in range(4)], axis=1))
    stretched = rotation * scales[:, None, :]
    colours = np.stack([fields[f"f_dc_{i}"] for i in range(3)], axis=1) * SH_C0 + 0.5
    return Splats(
        source_of(message.header),
        np.stack([fields["x"], fields["y"], fields["z"]], axis=1),
        (stretched @ stretched.transpose(0, 2, 1)).astype(np.float32),
        np.clip(colours, 0, 1).astype(np.float32),
        opacity[:, None].astype(np.float32),
    )


def rotations(wxyz: np.ndarray) -> np.ndarray:
    """Return rotation matrices [N, 3, 3] of quaternions [N, 4], of any length above zero."""
    w, x, y, z = (wxyz / np.maximum(np.linalg.norm(wxyz, axis=1, keepdims=True), 1e-12)).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def boxes_of(message: Any) -> Boxes:
    """Return the things of a Detection3DArray; each is named by its likeliest class."""
    boxes = []
    for detection in message.detections:
        best = max((r.hypothesis for r in detection.results), key=lambda h: h.score, default=None)
        size = detection.bbox.size
        boxes.append(
            Box(
                "" if best is None else best.class_id,
                0.0 if best is None else float(best.score),
                np.array([size.x, size.y, size.z]),
                matrix_from_pose(detection.bbox.center),
                detection.id,
            )
        )
    return Boxes(source_of(message.header), tuple(boxes))


def path_of(message: Any) -> Path:
    """Return poses by stamp."""
    poses: dict[int, Matrix] = {stamp_to_ns(p.header.stamp): matrix_from_pose(p.pose) for p in message.poses}
    return Path(message.header.frame_id, poses)


def keyframe_of(message: Any) -> KeyframeRecord:
    """Return a keyframe that was kept."""
    stamp_ns = stamp_to_ns(message.header.stamp)
    return KeyframeRecord(int(message.id), stamp_ns, message.reason, message.action == Keyframe.REFRESHED)


def scale_of(message: Any) -> ScaleRecord:
    """Return what a Scale says."""
    return ScaleRecord(
        STATES.get(message.state, "unknown"),
        message.source,
        float(message.metres_per_unit),
        float(message.spread),
        int(message.epoch),
        int(message.samples),
    )


def status_of(status: Any) -> StatusLine:
    """Return one DiagnosticStatus; its part is what stands behind the node's name."""
    level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
    values = {pair.key: pair.value for pair in status.values}
    return StatusLine(status.name.rpartition(": ")[2], level, status.message, values)


def image_of(message: Any) -> Rgb:
    """Return an image, raw or compressed, as RGB [H, W, 3] uint8.

    Raises:
        FileFormatError: a compressed image that is none, or whose header announces too many pixels.
    """
    if not hasattr(message, "format"):
        return np.asarray(_bridge.imgmsg_to_cv2(message, "rgb8"), np.uint8)
    check_picture_size(message.data, "A camera image")
    return np.asarray(_bridge.compressed_imgmsg_to_cv2(message, "rgb8"), np.uint8)


def depth_of(message: Any) -> NDArray[np.float32]:
    """Return a depth image [H, W] float32, NaN where there is none."""
    return np.asarray(_bridge.imgmsg_to_cv2(message), np.float32)


def mask_labels(masks: Sequence[Any], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Return for each pixel [H, W] the index of its mask, -1 for none; of several the last."""
    labels = np.full(shape[:2], -1, np.int32)
    for index, mask in enumerate(masks):
        labels[_bridge.imgmsg_to_cv2(mask) > 0] = index
    return labels


def answer_of(reply: Any, texts: Sequence[str], most: int) -> Answer:
    """Return the reply of ~/query_text."""
    labels = np.array(_bridge.imgmsg_to_cv2(reply.label_map), np.uint8)
    return Answer(
        tuple(texts),
        int(reply.keyframe_id),
        stamp_to_ns(reply.header.stamp),
        tuple(float(p) for p in reply.presence),
        tuple(float(s) for s in reply.score),
        tuple(int(p) for p in reply.pixels),
        labels,
        cloud_of(reply.points, most),
        boxes_of(reply.objects),
    )
