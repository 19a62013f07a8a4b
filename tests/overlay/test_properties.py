"""The stand-ins on what Hypothesis thinks of: round trips, and no error but those of the real packages."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 is not in this environment")
pytest.importorskip("cv_bridge", reason="the workspace is not built")

import tf_transformations as tf
from cv_bridge import CvBridge, CvBridgeError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

pytestmark = pytest.mark.ros
bridge = CvBridge()
ENCODINGS = [
    *("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "rgb16", "8UC1", "8UC4", "16SC2", "32FC1", "32FC3"),
    *("64FC1", "bayer_rggb8", "bayer_gbrg16", "yuv422", "yuyv", "nv21", "16UC", "", "8UC0"),
]
DTYPES = {"8U": np.uint8, "8S": np.int8, "16U": np.uint16, "16S": np.int16, "32S": np.int32, "32F": np.float32,
          "64F": np.float64}  # fmt: skip


@given(
    st.sampled_from(ENCODINGS),
    st.sampled_from(["passthrough", *ENCODINGS]),
    st.tuples(*[st.one_of(st.integers(0, 40), st.sampled_from([2**31, 2**32 - 1]))] * 3),
    st.binary(max_size=4000),
    st.integers(0, 1),
)
def test_any_image_message_is_converted_or_refused(
    encoding: str, wanted: str, size: tuple[int, int, int], data: bytes, big: int
) -> None:
    message = Image(width=size[0], height=size[1], step=size[2], encoding=encoding, is_bigendian=big)
    message.data = array("B", data)
    try:
        found = bridge.imgmsg_to_cv2(message, wanted)
    except CvBridgeError:
        return
    assert found.shape[:2] == (size[1], size[0])


@given(
    st.sampled_from(sorted(DTYPES)), st.integers(1, 4), st.integers(1, 20), st.integers(1, 20), st.integers(0, 99)
)
def test_every_element_type_survives_a_round_trip(
    depth: str, channels: int, width: int, height: int, seed: int
) -> None:
    shape = (height, width) if channels == 1 else (height, width, channels)
    image = np.random.default_rng(seed).integers(0, 100, shape).astype(DTYPES[depth])
    message = bridge.cv2_to_imgmsg(image, f"{depth}C{channels}")
    back = bridge.imgmsg_to_cv2(message)
    assert back.dtype == image.dtype and np.array_equal(back, image)
    assert np.array_equal(bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image)), image)


@given(st.binary(max_size=300), st.text(max_size=8), st.sampled_from(["passthrough", *ENCODINGS]))
def test_any_bytes_are_a_picture_or_refused(data: bytes, form: str, wanted: str) -> None:
    message = CompressedImage(data=array("B", data), format=form.encode("utf-8", "ignore").decode())
    with pytest.raises(CvBridgeError):
        bridge.compressed_imgmsg_to_cv2(message, wanted)


FIELD = st.tuples(st.text("xyzrgbi", min_size=1, max_size=4), st.integers(1, 8))


@given(st.lists(FIELD, min_size=1, max_size=6, unique_by=lambda f: f[0]), st.integers(0, 20), st.integers(0, 99))
def test_clouds_of_any_fields_survive_a_round_trip(fields: list, count: int, seed: int) -> None:
    made, offset = [], 0
    for name, datatype in fields:
        made.append(PointField(name=name, offset=offset, datatype=datatype, count=1))
        offset += point_cloud2.dtype_from_fields(made[-1:]).itemsize - made[-1].offset
    rows = np.zeros(count, point_cloud2.dtype_from_fields(made))
    rng = np.random.default_rng(seed)
    for name in rows.dtype.names or ():
        rows[name] = rng.integers(0, 100, count)
    message = point_cloud2.create_cloud(Header(frame_id="a"), made, rows)
    back = point_cloud2.read_points(message)
    assert back.dtype == rows.dtype and np.array_equal(back, rows)
    assert message.row_step == len(message.data) == count * message.point_step


ODD_FIELD = st.tuples(
    st.sampled_from(["x", "y", "z", ""]), st.integers(0, 255), st.integers(0, 40), st.integers(0, 3)
)


@given(st.lists(ODD_FIELD, max_size=4), st.tuples(*[st.integers(0, 20)] * 4), st.binary(max_size=500))
def test_any_cloud_message_is_read_or_refused_as_by_the_real_package(
    fields: list, size: tuple, data: bytes
) -> None:
    cloud = PointCloud2(width=size[0], height=size[1], point_step=size[2], row_step=size[3], data=array("B", data))
    cloud.fields = [PointField(name=n, datatype=d, offset=o, count=c) for n, d, o, c in fields]
    try:
        found = point_cloud2.read_points(cloud)
    except (AssertionError, KeyError, ValueError, TypeError):
        return
    assert found.size == size[0] * max(size[1], 0)


ANGLE = st.floats(-6, 6)
UNIT = (
    arrays(np.float64, 4, elements=st.floats(-1, 1))
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)


@given(UNIT, UNIT)
def test_quaternions_agree_with_matrices(a: np.ndarray, b: np.ndarray) -> None:
    A, B = tf.quaternion_matrix(a), tf.quaternion_matrix(b)
    assert np.allclose(A[:3, :3], Rotation.from_quat(a).as_matrix())
    assert np.allclose(tf.quaternion_matrix(tf.quaternion_multiply(a, b)), A @ B)
    assert np.allclose(tf.quaternion_matrix(tf.quaternion_inverse(a)) @ A, np.eye(4))
    back = tf.quaternion_from_matrix(A)
    assert np.allclose(back, a, atol=1e-7) or np.allclose(back, -a, atol=1e-7)


@given(ANGLE, ANGLE, ANGLE)
def test_euler_angles_survive_a_round_trip(roll: float, pitch: float, yaw: float) -> None:
    M = tf.euler_matrix(roll, pitch, yaw)
    assert np.allclose(tf.euler_matrix(*tf.euler_from_matrix(M)), M, atol=1e-7)
    assert np.allclose(tf.quaternion_matrix(tf.quaternion_from_euler(roll, pitch, yaw)), M, atol=1e-9)
