"""Exact colours of every raw encoding: padded, in either byte order, and through the node."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from cv_bridge import CvBridge
from lsm_perception.accounting import Drop
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.images import check_image, decode_image
from lsm_perception.conversions.pixel_formats import PIXEL_FORMATS
from lsm_perception.conversions.stamps import stamp_from_ns
from node_process import ACTIVE, StubProcess
from raw_pictures import blocks, encoded, expected, inner, tolerance
from robot import Robot
from std_msgs.msg import Header

WIDE = [name for name, form in PIXEL_FORMATS.items() if form.item == 2]


def worst(found: np.ndarray, rgb: np.ndarray, encoding: str) -> int:
    """Return the largest error inside the blocks, grey levels."""
    where = inner(*rgb.shape[:2])
    return int(np.abs(found.astype(int) - expected(rgb, encoding))[where].max())


@pytest.mark.parametrize("padding", [0, 6, 13])
@pytest.mark.parametrize("encoding", PIXEL_FORMATS)
def test_colours_are_exact_with_and_without_padding(encoding: str, padding: int) -> None:
    rgb = blocks(96, 64)
    found = decode_image(encoded(rgb, encoding, padding=padding))
    assert found.shape == rgb.shape and found.dtype == np.uint8 and found.flags.c_contiguous
    assert worst(found, rgb, encoding) <= tolerance(encoding)


@pytest.mark.parametrize("encoding", WIDE)
def test_big_endian_numbers_are_read_in_order(encoding: str) -> None:
    rgb = blocks(96, 64)
    assert worst(decode_image(encoded(rgb, encoding, big=True, padding=4)), rgb, encoding) == 0


@pytest.mark.parametrize("encoding", ["yuv422", "yuv422_yuy2", "uyvy", "yuyv"])
def test_half_a_pixel_pair_is_refused(encoding: str) -> None:
    message = encoded(blocks(64, 64), encoding)
    message.width -= 1
    with pytest.raises(BadMessageError, match="even width") as error:
        check_image(message, 10**6)
    assert error.value.reason is Drop.BAD_SIZE


@pytest.fixture(scope="module")
def unlabelled(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """A node whose overlay is the decoded image itself: no pixel reaches the threshold of the only query."""
    settings = {"odometry.source": "none", "queries.texts": ["zebra"], "queries.threshold": 1.0}
    process = StubProcess(tmp_path_factory.mktemp("encodings"), settings)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def viewer(rclpy_session: None) -> Iterator[Robot]:
    client = Robot(("segmentation/overlay", "segmentation/label"))
    yield client
    client.close()


FAMILIES = ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "yuv422", "yuv422_yuy2", "uyvy", "bayer_rggb8",
            "bayer_grbg16", "rgb16"]  # fmt: skip


def test_each_family_keeps_its_colours_through_the_node(unlabelled: StubProcess, viewer: Robot) -> None:
    assert wait_until(lambda: viewer.images.get_subscription_count() > 0)
    for number, encoding in enumerate(FAMILIES, start=1):
        rgb = blocks(seed=number)
        # Another frame_id is another stream: its first image becomes a keyframe.
        header = Header(stamp=stamp_from_ns(number * 10**9), frame_id=f"camera_{encoding}")

        def overlays(frame: str = header.frame_id) -> list:
            return [m for m in viewer.messages("segmentation/overlay") if m.header.frame_id == frame]

        image = encoded(rgb, encoding, big=encoding.endswith("16"), padding=6, header=header)
        for _ in range(10):  # best effort: one may be lost, and the first ones before the node has found the viewer
            viewer.images.publish(image)
            if wait_until(lambda overlays=overlays: bool(overlays()), 2.0):
                break
        assert overlays(), (encoding, unlabelled.text[-2000:])
        found = CvBridge().imgmsg_to_cv2(overlays()[0])
        assert worst(found, rgb, encoding) <= tolerance(encoding), encoding
    labels = np.concatenate([np.frombuffer(m.data, np.uint8) for m in viewer.messages("segmentation/label")])
    assert (labels == 255).all()
    assert unlabelled.alive and "Traceback" not in unlabelled.text
