"""Image messages to arrays and back."""

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs", reason="ROS 2 is not in this environment")
pytest.importorskip("cv_bridge", reason="the workspace is not built")

from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CompressedImage, Image

pytestmark = pytest.mark.ros
bridge = CvBridge()


def _bgr(height: int = 12, width: int = 16) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _smooth_bgr() -> np.ndarray:
    """Return a gradient: chroma and Bayer subsampling lose little of it."""
    rows, columns = np.mgrid[0:64, 0:64]
    return np.stack([rows * 3, columns * 3, rows + columns], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        ("mono8", np.uint8, 1),
        ("mono16", np.uint16, 1),
        ("bgr8", np.uint8, 3),
        ("rgb8", np.uint8, 3),
        ("bgra8", np.uint8, 4),
        ("16UC1", np.uint16, 1),
        ("32FC1", np.float32, 1),
        ("32FC2", np.float32, 2),
        ("64FC3", np.float64, 3),
        ("8SC1", np.int8, 1),
    ],
)
def test_passthrough_round_trip_is_exact(encoding: str, dtype: type, channels: int) -> None:
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    image = np.random.default_rng(0).uniform(0, 100, shape).astype(dtype)
    message = bridge.cv2_to_imgmsg(image, encoding)
    assert (message.encoding, message.height, message.width) == (encoding, 5, 7)
    assert message.step == 7 * channels * np.dtype(dtype).itemsize
    back = bridge.imgmsg_to_cv2(message)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)


def test_passthrough_names_the_element_type() -> None:
    assert bridge.cv2_to_imgmsg(_bgr()).encoding == "8UC3"
    assert bridge.cv2_to_imgmsg(np.zeros((2, 2), np.float32)).encoding == "32FC1"


def test_header_is_kept() -> None:
    message = Image()
    message.header.frame_id = "camera_optical"
    message.header.stamp.nanosec = 123456789
    assert bridge.cv2_to_imgmsg(_bgr(), "bgr8", message.header).header == message.header


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("bgr8", "rgb8", lambda im: im[..., ::-1]),
        ("bgr8", "mono8", lambda im: cv2.cvtColor(im, cv2.COLOR_BGR2GRAY)),
        ("rgb8", "mono8", lambda im: cv2.cvtColor(im, cv2.COLOR_RGB2GRAY)),
        ("bgr8", "bgra8", lambda im: np.dstack([im, np.full(im.shape[:2], 255, np.uint8)])),
        ("rgb8", "bgr16", lambda im: im[..., ::-1].astype(np.uint16) * 257),
    ],
)
def test_colour_conversion(source: str, target: str, expected) -> None:  # type: ignore[no-untyped-def]
    image = _bgr()
    out = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, source), target)
    np.testing.assert_array_equal(out, expected(image))


def test_mono_to_rgb_repeats_the_channel() -> None:
    image = _bgr()[..., 0].copy()
    out = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, "mono8"), "rgb8")
    np.testing.assert_array_equal(out, np.repeat(image[..., None], 3, axis=2))


def test_sixteen_bit_brightness_is_scaled_to_eight() -> None:
    image = np.array([[0, 257, 32896, 65535]], np.uint16)
    out = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, "mono16"), "mono8")
    np.testing.assert_array_equal(out, [[0, 1, 128, 255]])


def test_depth_keeps_its_numbers_when_the_type_changes() -> None:
    depth_mm = np.array([[0, 1234, 65535]], np.uint16)
    out = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(depth_mm, "16UC1"), "32FC1")
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, [[0.0, 1234.0, 65535.0]])
    rounded = np.array([[1.6, -3.0, 1e9]], np.float32)
    back = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(rounded, "32FC1"), "16UC1")
    np.testing.assert_array_equal(back, [[2, 0, 65535]])


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_colours_come_out_right(order: str) -> None:
    image = _smooth_bgr()
    mosaic = np.empty(image.shape[:2], np.uint8)
    for index, letter in enumerate(order):
        rows, columns = slice(index // 2, None, 2), slice(index % 2, None, 2)
        mosaic[rows, columns] = image[rows, columns, "bgr".index(letter)]
    out = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(mosaic, f"bayer_{order}8"), "bgr8")
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(out[inner].astype(int) - image[inner].astype(int)).max() <= 6


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv422_colours_come_out_right(encoding: str) -> None:
    image = _smooth_bgr() // 2 + 40
    blue, green, red = (image[..., c].astype(float) for c in range(3))
    # BT.601, limited range.
    luma = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    u = 128 + (-37.797 * red - 74.203 * green + 112.0 * blue) / 255
    v = 128 + (112.0 * red - 93.786 * green - 18.214 * blue) / 255
    chroma = np.empty_like(luma)
    chroma[:, 0::2], chroma[:, 1::2] = u[:, 0::2], v[:, 0::2]
    pair = [chroma, luma] if encoding in ("yuv422", "uyvy") else [luma, chroma]
    packed = np.rint(np.stack(pair, axis=2)).astype(np.uint8)
    out = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(packed, encoding), "bgr8")
    # Chroma is shared by two neighbours, which differ by up to 3 grey levels here.
    assert np.abs(out.astype(int) - image.astype(int)).max() <= 6


def test_padded_rows_are_cut_off() -> None:
    image = _bgr(4, 5)
    padded = np.zeros((4, 20), np.uint8)
    padded[:, :15] = image.reshape(4, 15)
    message = Image(height=4, width=5, encoding="bgr8", step=20, data=padded.tobytes())
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message), image)
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, "rgb8"), image[..., ::-1])


def test_big_endian_data_are_read_in_order() -> None:
    image = np.array([[1, 256, 65280]], np.uint16)
    message = bridge.cv2_to_imgmsg(image.astype(">u2"), "mono16")
    assert message.is_bigendian
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message), image)


@pytest.mark.parametrize(
    "changes",
    [{"step": 14}, {"data": bytes(10)}, {"encoding": "nonsense"}, {"height": 6}],
    ids=["short step", "short data", "unknown encoding", "too many rows"],
)
def test_lying_message_is_refused(changes: dict) -> None:
    fields = {"height": 4, "width": 5, "encoding": "bgr8", "step": 15, "data": bytes(60)} | changes
    with pytest.raises(CvBridgeError):
        bridge.imgmsg_to_cv2(Image(**fields))


@pytest.mark.parametrize(("source", "target"), [("16UC1", "mono8"), ("8UC3", "bgr8"), ("32FC1", "rgb8")])
def test_meaningless_conversion_is_refused(source: str, target: str) -> None:
    dtype = {"16UC1": np.uint16, "8UC3": np.uint8, "32FC1": np.float32}[source]
    image = np.zeros((3, 3, 3) if source.endswith("3") else (3, 3), dtype)
    with pytest.raises(CvBridgeError, match="does not make sense"):
        bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(image, source), target)


def test_array_of_another_type_than_the_encoding_is_refused() -> None:
    with pytest.raises(CvBridgeError, match="incompatible type 32FC1"):
        bridge.cv2_to_imgmsg(np.zeros((2, 2), np.float32), "mono8")
    with pytest.raises(TypeError):
        bridge.cv2_to_imgmsg([[1, 2]], "mono8")  # type: ignore[arg-type]


def test_png_round_trip_is_exact_and_converts() -> None:
    image = _bgr()
    message = bridge.cv2_to_compressed_imgmsg(image, "png")
    assert message.format == "png"
    np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(message), image)
    np.testing.assert_array_equal(bridge.compressed_imgmsg_to_cv2(message, "rgb8"), image[..., ::-1])
    depth = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    deep = bridge.compressed_imgmsg_to_cv2(bridge.cv2_to_compressed_imgmsg(depth, "png"))
    np.testing.assert_array_equal(deep, depth)


def test_jpeg_keeps_the_picture() -> None:
    image = _smooth_bgr()
    back = bridge.compressed_imgmsg_to_cv2(bridge.cv2_to_compressed_imgmsg(image), "bgr8")
    assert np.abs(back.astype(int) - image.astype(int)).mean() < 3


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0broken"])
def test_undecodable_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CvBridgeError, match="cannot decode"):
        bridge.compressed_imgmsg_to_cv2(CompressedImage(format="jpeg", data=data))
