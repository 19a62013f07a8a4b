"""Point clouds to arrays and back."""

import struct

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 is not in this environment")
pytest.importorskip("sensor_msgs_py", reason="the workspace is not built")

from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

pytestmark = pytest.mark.ros

FIELDS = [
    PointField(name="x", offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name="y", offset=4, datatype=PointField.FLOAT32, count=1),
    PointField(name="z", offset=8, datatype=PointField.FLOAT32, count=1),
    PointField(name="rgb", offset=12, datatype=PointField.UINT32, count=1),
    PointField(name="label", offset=16, datatype=PointField.UINT8, count=1),
]


def _mixed() -> tuple[np.ndarray, PointCloud2]:
    points = np.zeros(3, dtype=point_cloud2.dtype_from_fields(FIELDS, 20))
    points["x"], points["y"], points["z"] = [1, 2, 3], [4, 5, 6], [7, np.nan, 9]
    points["rgb"], points["label"] = [0xFF0000, 0x00FF00, 0x0000FF], [0, 1, 255]
    return points, point_cloud2.create_cloud(Header(frame_id="camera"), FIELDS, points, 20)


def test_bytes_lie_where_the_fields_say() -> None:
    _, cloud = _mixed()
    assert (cloud.header.frame_id, cloud.width, cloud.height) == ("camera", 3, 1)
    assert (cloud.point_step, cloud.row_step, len(cloud.data)) == (20, 60, 60)
    assert not cloud.is_bigendian
    assert struct.unpack_from("<fffIB", bytes(cloud.data), 40) == (3.0, 6.0, 9.0, 0x0000FF, 255)


def test_reading_gives_back_what_was_written() -> None:
    points, cloud = _mixed()
    assert point_cloud2.read_points(cloud).tobytes() == points.tobytes()
    some = point_cloud2.read_points(cloud, field_names=["label", "x"])
    assert some.dtype.names == ("label", "x")
    np.testing.assert_array_equal(some["label"], [0, 1, 255])


def test_points_with_nan_are_skipped_only_in_the_fields_read() -> None:
    _, cloud = _mixed()
    assert len(point_cloud2.read_points(cloud, ["x", "y", "z"], skip_nans=True)) == 2
    assert len(point_cloud2.read_points(cloud, ["x", "y"], skip_nans=True)) == 3


def test_plain_array_round_trip() -> None:
    points = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    cloud = point_cloud2.create_cloud_xyz32(Header(), points)
    assert [f.name for f in cloud.fields] == ["x", "y", "z"]
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), points)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, ["z"])[:, 0], points[:, 2])


def test_lists_of_tuples_are_accepted_and_named_on_reading() -> None:
    cloud = point_cloud2.create_cloud_xyz32(Header(), [(1, 2, 3), [4, 5, 6]])
    points = point_cloud2.read_points_list(cloud)
    assert points == [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)]
    assert points[1].y == 5.0


def test_selected_points_by_index_and_by_pixel() -> None:
    points = np.arange(24, dtype=np.float32).reshape(8, 3)
    cloud = point_cloud2.create_cloud_xyz32(Header(), points)
    cloud.width, cloud.height, cloud.row_step = 4, 2, 48
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, uvs=[5, 0]), points[[5, 0]])
    # Column 1 of row 1 is point 5.
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud, uvs=np.array([[1, 1]])), points[[5]])


def test_padded_rows_are_cut_off() -> None:
    points = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    padded = np.full((2, 8), np.nan, np.float32)
    padded[:, :6] = points.reshape(2, 6)
    cloud = point_cloud2.create_cloud_xyz32(Header(), [(0, 0, 0)])
    cloud.width, cloud.height, cloud.row_step, cloud.data = 2, 2, 32, padded.tobytes()
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), points.reshape(4, 3))


def test_big_endian_clouds_are_read() -> None:
    cloud = point_cloud2.create_cloud_xyz32(Header(), [(0, 0, 0)])
    cloud.is_bigendian, cloud.data = True, struct.pack(">fff", 1.0, -2.0, 3.5)
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(cloud), [[1.0, -2.0, 3.5]])


def test_repeated_fields_get_numbered_names() -> None:
    field = PointField(name="f_dc", offset=4, datatype=PointField.FLOAT64, count=3)
    dtype = point_cloud2.dtype_from_fields([field])
    assert dtype.names == ("f_dc_0", "f_dc_1", "f_dc_2")
    assert dtype.fields is not None
    assert dtype.fields["f_dc_2"][1] == 20


def test_points_that_do_not_fit_the_fields_are_refused() -> None:
    with pytest.raises(AssertionError, match="do not match"):
        point_cloud2.create_cloud(Header(), FIELDS, np.zeros(2, dtype=[("x", "<f4")]))
    with pytest.raises(AssertionError, match="same datatype"):
        point_cloud2.create_cloud(Header(), FIELDS, np.zeros((2, 5), np.float32))
    _, cloud = _mixed()
    with pytest.raises(AssertionError):
        point_cloud2.read_points(cloud, ["intensity"])
    with pytest.raises(AssertionError, match="same datatype"):
        point_cloud2.read_points_numpy(cloud, ["x", "label"])
