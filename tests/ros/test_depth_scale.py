"""Metres from depth images: conversion, matching in time, and a metric state without odometry."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import FRAME, Harness
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.stamps import stamp_from_ns
from lsm_perception.depth_source import KEPT, DepthSource
from lsm_perception_msgs.msg import Scale
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from synthetic_world import HEIGHT, WIDTH, View, walk


def depth_message(depth: np.ndarray, stamp_ns: int, encoding: str = "32FC1", **fields: object) -> Image:
    """Return a depth image; metres are turned into millimetres for 16UC1."""
    raw = (
        depth.astype(np.float32) if encoding == "32FC1" else np.rint(np.nan_to_num(depth) * 1000).astype(np.uint16)
    )
    message = Image(height=depth.shape[0], width=depth.shape[1], encoding=encoding)
    message.header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=FRAME)
    message.step = raw.shape[1] * raw.itemsize
    message.data = array("B", raw.tobytes())
    for name, value in fields.items():
        setattr(message, name, value)
    return message


DEPTH = np.where(np.indices((24, 32)).sum(0) % 7 == 0, np.nan, 1.234)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_both_encodings_give_metres_and_nan(encoding: str) -> None:
    source = DepthSource(10_000)
    source.add(depth_message(DEPTH, 5_000_000_000, encoding))
    found = source.at(5_000_000_000, 32, 24)
    assert found is not None and found.dtype == np.float32
    assert np.allclose(found, DEPTH, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1", "mono16"])
@pytest.mark.parametrize("big", [0, 1], ids=["little", "big"])
def test_padding_and_byte_order_do_not_change_metres(encoding: str, big: int) -> None:
    """Some drivers call their millimetres mono16."""
    plain = depth_message(DEPTH, 5_000_000_000, "32FC1" if encoding == "32FC1" else "16UC1")
    item = plain.step // plain.width
    values = np.frombuffer(plain.data, f"<{'f' if item == 4 else 'u'}{item}").reshape(24, 32)
    rows = np.frombuffer(values.astype(values.dtype.newbyteorder(">" if big else "<")).tobytes(), np.uint8)
    padded = np.concatenate([rows.reshape(24, -1), np.full((24, 8), 255, np.uint8)], 1)
    source = DepthSource(10_000)
    source.add(
        depth_message(
            DEPTH,
            5_000_000_000,
            encoding,
            data=array("B", padded.tobytes()),
            step=padded.shape[1],
            is_bigendian=big,
        )
    )
    found = source.at(5_000_000_000, 32, 24)
    assert found is not None and np.allclose(found, DEPTH, atol=1e-6, equal_nan=True)


def test_only_the_newest_are_kept_and_clear_forgets_them() -> None:
    source = DepthSource(10_000)
    for i in range(KEPT + 1):
        source.add(depth_message(np.full((24, 32), 1.0 + i), (i + 1) * 1_000_000_000))
    assert source.at(1_000_000_000, 32, 24) is None and source.at(2_000_000_000, 32, 24) is not None
    source.clear()
    assert source.at(2_000_000_000, 32, 24) is None


def test_the_nearest_in_time_is_taken_and_none_far_away() -> None:
    source = DepthSource(10_000)
    for offset_ms, value in ((-15, 1.0), (4, 2.0), (40, 3.0)):
        source.add(depth_message(np.full((24, 32), value), 5_000_000_000 + offset_ms * 1_000_000))
    found = source.at(5_000_000_000, 32, 24)
    assert found is not None and (found == 2.0).all()
    assert source.at(6_000_000_000, 32, 24) is None
    assert source.at(5_000_000_000, 64, 48) is None  # another size is not registered to the image


def test_infinite_and_negative_depths_are_none() -> None:
    source = DepthSource(10_000)
    odd = np.full((24, 32), 1.0)
    odd[0, :3] = (np.inf, -np.inf, -2.0)
    source.add(depth_message(odd, 1_000_000_000))
    found = source.at(1_000_000_000, 32, 24)
    assert found is not None and np.isnan(found[0, :3]).all() and (found[0, 3:] == 1).all()


@pytest.mark.parametrize(
    "fields",
    [{"encoding": "rgb8"}, {"data": array("B", b"12")}, {"step": 3}, {"width": 0}, {"width": 2**31}],
)
def test_malformed_depth_is_refused(fields: dict) -> None:
    source = DepthSource(10_000)
    with pytest.raises((BadMessageError, ValueError)):
        source.add(depth_message(DEPTH, 1_000_000_000, **fields))
    assert source.at(1_000_000_000, 32, 24) is None


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(12)


def test_depth_gives_metres_without_odometry_and_nothing_hangs_on_odom(
    rclpy_session: None, views: list[View]
) -> None:
    harness = Harness(FakeBackend(views), listen=("scale", "depth/image", "points"))
    try:
        harness.wait_active()
        harness.wait_connected("depth/image", "points")
        publisher = harness.client.create_publisher(Image, "depth", 10)
        assert wait_until(lambda: publisher.get_subscription_count() > 0)
        publisher.publish(depth_message(DEPTH, views[0].stamp_ns, encoding="rgb8"))  # malformed: no harm
        stream = harness.node.runtime.cameras[""].stream  # type: ignore[union-attr]
        for view in views:
            publisher.publish(depth_message(view.depth, view.stamp_ns + 2_000_000))
            at = view.stamp_ns
            assert wait_until(lambda at=at: stream.depth.at(at, WIDTH, HEIGHT) is not None)
            harness.walk([view])
        assert wait_until(lambda: any(m.state == Scale.METRIC for m in harness.messages("scale")))
        scale = harness.messages("scale")[-1]
        assert scale.source == Scale.SOURCE_DEPTH and scale.spread < 0.05
        assert wait_until(lambda: len(harness.messages("depth/image")) > 0)
        message = harness.messages("depth/image")[-1]
        values = np.asarray(message.data, np.uint8).view(np.float32)
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        truth = next(v for v in views if v.stamp_ns == stamp_ns)
        assert np.nanmedian(values) == pytest.approx(float(np.median(truth.depth)), rel=0.1)
        edges = {(t.header.frame_id, t.child_frame_id) for m in harness.messages("tf") for t in m.transforms}
        assert ("lsm_map", "lsm_keyframe") in edges and not any(parent == "odom" for parent, _ in edges)
    finally:
        harness.close()
