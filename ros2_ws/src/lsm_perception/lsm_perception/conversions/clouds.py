"""Clouds and Gaussians to PointCloud2."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from lsm_core.mapping import PointCloud
from lsm_core.types import Gaussians

_FLOAT = PointField.FLOAT32
_POINT_FIELDS = [
    PointField(name="x", offset=0, datatype=_FLOAT, count=1),
    PointField(name="y", offset=4, datatype=_FLOAT, count=1),
    PointField(name="z", offset=8, datatype=_FLOAT, count=1),
    PointField(name="rgb", offset=12, datatype=_FLOAT, count=1),
    PointField(name="confidence", offset=16, datatype=_FLOAT, count=1),
    PointField(name="label", offset=20, datatype=PointField.UINT16, count=1),
    PointField(name="score", offset=24, datatype=_FLOAT, count=1),
]
POINT_STEP = 28
_GAUSSIAN_NAMES = (
    "x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2",
    "rot_0", "rot_1", "rot_2", "rot_3",
)  # fmt: skip


def cloud_message(cloud: PointCloud, header: Header) -> PointCloud2:
    """Return a cloud with the fields x y z rgb confidence label score.

    `rgb` is packed 0x00RRGGBB in the bits of a float, as RViz reads it. Points that are not finite are left out,
    so the message is dense.
    """
    cloud = cloud.select(np.asarray(np.isfinite(cloud.points).all(axis=1)))
    dtype = point_cloud2.dtype_from_fields(_POINT_FIELDS, point_step=POINT_STEP)
    rows = np.zeros(len(cloud), dtype=dtype)
    rows["x"], rows["y"], rows["z"] = cloud.points.T
    rows["rgb"] = packed_rgb(cloud.rgb)
    rows["confidence"] = cloud.confidence
    rows["label"] = cloud.label
    rows["score"] = cloud.score
    message: PointCloud2 = point_cloud2.create_cloud(header, _POINT_FIELDS, rows, point_step=POINT_STEP)
    message.is_dense = True
    return message


def packed_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return colours [N, 3] as floats [N] whose bits are 0x00RRGGBB."""
    wide = rgb.astype(np.uint32)
    return np.ascontiguousarray(wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]).view(np.float32)


def gaussians_message(gaussians: Gaussians, header: Header) -> PointCloud2:
    """Return Gaussians with the field names and codings of the 3DGS file format.

    f_dc: constant SH terms; opacity: logit; scale: natural logarithm; rot: quaternion wxyz.
    """
    fields = [PointField(name=n, offset=4 * i, datatype=_FLOAT, count=1) for i, n in enumerate(_GAUSSIAN_NAMES)]
    opacity = gaussians.opacities.clamp(1e-6, 1 - 1e-6)
    columns = (
        gaussians.means, gaussians.sh[:, 0], opacity.logit()[:, None], gaussians.scales.log(), gaussians.quats,
    )  # fmt: skip
    rows = np.concatenate([c.detach().cpu().float().numpy() for c in columns], axis=1)
    return point_cloud2.create_cloud(header, fields, rows)
