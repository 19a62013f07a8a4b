"""Read and write `sensor_msgs/PointCloud2` as NumPy arrays."""

import sys
from array import array
from collections import namedtuple
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_DTYPES: dict[int, np.dtype] = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}
DUMMY_FIELD_PREFIX = "unnamed_field"


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Return the structured element type of one point.

    Args:
        fields: The cloud's fields. One with a count above 1 becomes `name_0`, `name_1`, ...
        point_step: Bytes from one point to the next; by default the end of the last field.

    Raises:
        AssertionError: A field has count 0, or two fields have one name.
    """
    names: list[str] = []
    offsets: list[int] = []
    formats: list[str] = []
    for index, field in enumerate(fields):
        assert field.count > 0, "Can't process fields with count = 0."
        name = field.name or f"{DUMMY_FIELD_PREFIX}_{index}"
        dtype = _DTYPES[field.datatype]
        for part in range(field.count):
            part_name = name if field.count == 1 else f"{name}_{part}"
            assert part_name not in names, "Duplicate field names are not allowed!"
            names.append(part_name)
            offsets.append(field.offset + part * dtype.itemsize)
            formats.append(dtype.str)
    layout: dict[str, Any] = {"names": names, "formats": formats, "offsets": offsets}
    if point_step is not None:
        layout["itemsize"] = point_step
    return np.dtype(layout)  # type: ignore[call-overload]


def read_points(
    cloud: PointCloud2,
    field_names: list[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Read points as a structured array.

    Args:
        cloud: The message.
        field_names: Fields to read, in this order; all by default.
        skip_nans: Leave out points with a NaN in a field that is read.
        uvs: Read only these points: (column, row) pairs, or indices into the flat list.
        reshape_organized_cloud: Return [width, height] for an organised cloud.

    Returns:
        [N] structured array, native byte order. Without `skip_nans` and `uvs` it may share the
        message's buffer.

    Raises:
        AssertionError: `cloud` is of another type, or lacks a field asked for.
    """
    assert isinstance(cloud, PointCloud2), "Cloud is not a sensor_msgs.msg.PointCloud2"
    dtype = dtype_from_fields(cloud.fields, cloud.point_step)
    if bool(cloud.is_bigendian) != (sys.byteorder == "big"):
        dtype = dtype.newbyteorder()
    points = _rows(cloud, dtype)
    if field_names is not None:
        assert all(name in (dtype.names or ()) for name in field_names), (
            "Requests field is not in the fields of the PointCloud!"
        )
        points = points[list(field_names)]
    if not dtype.isnative:
        points = points.astype(points.dtype.newbyteorder("="))
    if skip_nans and not cloud.is_dense:
        bad = np.zeros(len(points), dtype=bool)
        for name in points.dtype.names or ():
            bad |= np.isnan(points[name])
        points = points[~bad]
    if uvs is not None:
        indices = np.asarray(uvs if isinstance(uvs, np.ndarray) else list(uvs))
        if indices.ndim > 1:
            indices = indices[:, 0] + cloud.width * indices[:, 1]
        points = points[indices]
    if reshape_organized_cloud and cloud.height > 1:
        # Column first, as the real package has it.
        points = points.reshape(cloud.width, cloud.height)
    return points


def _rows(cloud: PointCloud2, dtype: np.dtype) -> np.ndarray:
    """Return the cloud's points as [N] without copying, unless rows are padded."""
    if cloud.height <= 1 or cloud.row_step in (0, cloud.width * cloud.point_step):
        return np.ndarray(shape=(cloud.width * cloud.height,), dtype=dtype, buffer=memoryview(cloud.data))
    rows = np.ndarray(
        shape=(cloud.height, cloud.width),
        dtype=dtype,
        buffer=memoryview(cloud.data),
        strides=(cloud.row_step, cloud.point_step),
    )
    return rows.reshape(-1)


def read_points_numpy(
    cloud: PointCloud2,
    field_names: list[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Read fields of one datatype as a plain array [N, number of fields].

    Raises:
        AssertionError: The fields read have more than one datatype.
    """
    datatypes = {f.datatype for f in cloud.fields if field_names is None or f.name in field_names}
    assert len(datatypes) <= 1, "All fields need to have the same datatype. Use `read_points()` otherwise."
    return structured_to_unstructured(read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud))


def read_points_list(
    cloud: PointCloud2,
    field_names: list[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable | None = None,
) -> list[Any]:
    """Read points as a list of named tuples; slow, for a few points only."""
    names = [f.name for f in cloud.fields] if field_names is None else list(field_names)
    point_type = namedtuple("Point", names)  # type: ignore[misc]
    return [point_type._make(row) for row in read_points(cloud, names, skip_nans, uvs).tolist()]


def create_cloud(
    header: Header, fields: Iterable[PointField], points: Iterable, point_step: int | None = None
) -> PointCloud2:
    """Make a cloud.

    Args:
        header: Header of the message.
        fields: What a point holds.
        points: A structured array of exactly these fields, a plain array [N, fields] when all fields
            have one datatype, or an iterable of sequences (slow). A second point dimension makes an
            organised cloud: [width, height] structured, [width, height, fields] plain.
        point_step: Bytes from one point to the next; by default the end of the last field.

    Raises:
        AssertionError: Points and fields do not fit.
    """
    fields = list(fields)
    dtype = dtype_from_fields(fields, point_step)
    if isinstance(points, np.ndarray) and points.dtype.names is not None:
        assert points.dtype == dtype, (
            "PointFields and structured NumPy array dtype do not match for all fields! "
            "Check their field order, names and types."
        )
        rows = points
    elif isinstance(points, np.ndarray):
        assert all(field.datatype == fields[0].datatype for field in fields), (
            "All fields need to have the same datatype. "
            "Pass a structured NumPy array with multiple dtypes otherwise."
        )
        rows = unstructured_to_structured(points, dtype=dtype)
    else:
        rows = np.array([tuple(point) for point in points], dtype=dtype)
    assert rows.ndim <= 2, (
        "Too many dimensions for organized cloud! Points can only be organized in max. two dimensional space"
    )
    height = rows.shape[1] if rows.ndim == 2 else 1
    # An array passes rclpy without a check of each element; bytes do not.
    data = array("B")
    data.frombytes(np.ascontiguousarray(rows).tobytes())
    return PointCloud2(
        header=header,
        height=height,
        width=rows.shape[0],
        is_dense=False,
        is_bigendian=sys.byteorder == "big",
        fields=fields,
        point_step=rows.dtype.itemsize,
        row_step=rows.dtype.itemsize * rows.shape[0],
        data=data,
    )


def create_cloud_xyz32(header: Header, points: Iterable) -> PointCloud2:
    """Make a cloud of x, y, z as float32 from [N, 3] or an iterable of triples."""
    fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ]
    return create_cloud(header, fields, points)
