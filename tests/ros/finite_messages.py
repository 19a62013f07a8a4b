"""Every number of a message, whatever its type: which of them are not finite?"""

from __future__ import annotations

import array
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from lsm_perception_msgs.msg import Keyframe, PairPose, Scale
from sensor_msgs.msg import Image, PointCloud2, PointField

# NaN where the message's own comments say "NaN when unknown"; never infinity.
MAY_BE_NAN = {
    (Keyframe, "overlap"),
    (Keyframe, "parallax_deg"),
    (Keyframe, "blur"),
    (PairPose, "overlap"),
    (PairPose, "parallax_deg"),
    (PairPose, "inlier_ratio"),
    (Scale, "metres_per_unit"),
    (Scale, "spread"),
}


def non_finite_fields(message: Any, depth_image: bool = False) -> list[str]:
    """Return the names of all fields with a number that is not finite.

    Args:
        message: of any type; the pixels of float images and the points of clouds are looked at as well.
        depth_image: NaN pixels are allowed (REP 118: no depth).
    """
    return list(_bad_fields(message, depth_image))


def _bad_fields(message: Any, depth_image: bool) -> Iterator[str]:
    if isinstance(message, Image) and message.encoding == "32FC1":
        pixels = np.frombuffer(bytes(message.data), np.float32)
        if np.isinf(pixels).any() or (not depth_image and np.isnan(pixels).any()):
            yield "pixels"
    elif isinstance(message, PointCloud2):
        yield from _bad_columns(message)
    for name in message.get_fields_and_field_types():
        for value in _numbers(getattr(message, name)):
            if isinstance(value, float):
                if math.isinf(value) or (math.isnan(value) and (type(message), name) not in MAY_BE_NAN):
                    yield name
            else:
                yield from (f"{name}.{inner}" for inner in _bad_fields(value, depth_image))


def _bad_columns(cloud: PointCloud2) -> Iterator[str]:
    rows = np.frombuffer(bytes(cloud.data), np.uint8).reshape(-1, cloud.point_step)
    for field in cloud.fields:
        if field.datatype == PointField.FLOAT32 and field.name != "rgb":  # rgb is bytes in a float's place
            column = rows[:, field.offset : field.offset + 4].copy().view(np.float32)
            if not np.isfinite(column).all():
                yield field.name


def _numbers(value: Any) -> Iterator[Any]:
    """Yield floats and messages inside a field; bytes were looked at as pixels or points."""
    if isinstance(value, float) or hasattr(value, "get_fields_and_field_types"):
        yield value
    elif isinstance(value, np.ndarray | array.array) and np.asarray(value).dtype.kind == "f":
        yield from (float(v) for v in value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
