"""The store of keyframes is bounded and answers by id, stamp and camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from lsm_core.mapping import KeyframeRecord, KeyframeWindow, WindowConfig, single_view

from .scenes import plane_prediction
from .test_clouds import random_cloud


def record(i: int, camera: str = "", segment: int = 1, points: int = 0) -> KeyframeRecord:
    cloud = random_cloud(points) if points else None
    return KeyframeRecord(i, i * 100, camera, "optical", segment, np.eye(4), None, 0, cloud)


def test_oldest_leave_first_and_are_returned() -> None:
    window = KeyframeWindow(WindowConfig(max_keyframes=3))
    gone = [r.id for i in range(1, 6) for r in window.add(record(i))]
    assert gone == [1, 2] and len(window) == 3
    assert window.get(2) is None and window.get(3) is not None


def test_bytes_are_bounded_but_the_newest_stays() -> None:
    one = KeyframeWindow()
    one.add(record(1, points=1000))
    window = KeyframeWindow(WindowConfig(max_bytes=int(2.5 * one.bytes)))
    for i in range(1, 6):
        window.add(record(i, points=1000))
    assert len(window) == 2 and window.bytes <= 2.5 * one.bytes
    assert [r.id for r in window.add(record(6, points=100_000))] == [4, 5]
    latest = window.latest()
    assert latest is not None and latest.id == 6


def test_halving_pushes_out_the_oldest_and_holds_from_then_on() -> None:
    window = KeyframeWindow(WindowConfig(max_keyframes=6))
    for i in range(1, 7):
        window.add(record(i))
    assert [r.id for r in window.keep_half()] == [1, 2, 3] and window.max_keyframes == 3
    assert [r.id for r in window.add(record(7))] == [4]
    assert [r.id for r in window.keep_half()] == [5] and window.max_keyframes == 2
    assert window.keep_half() == [] and window.max_keyframes == 2


def test_lookup_by_stamp_prefers_exact_then_nearest_and_respects_cameras() -> None:
    window = KeyframeWindow()
    for i in range(1, 7):
        window.add(record(i, camera="left" if i % 2 else "right"))
    ids = [found.id for s in (300, 330, 90000, 0) if (found := window.nearest(s)) is not None]
    assert ids == [3, 3, 6, 1]
    right = window.nearest(300, "right")
    assert right is not None and right.id == 4  # the newer of two equally near
    left = window.latest("left")
    assert left is not None and left.id == 5 and window.latest("back") is None


def test_segments_and_clear() -> None:
    window = KeyframeWindow()
    for i in range(1, 7):
        window.add(record(i, segment=1 + i // 4))
    assert [r.id for r in window.of_segment(2)] == [4, 5, 6]
    assert [r.id for r in window.of_segment(2, last=2)] == [5, 6]
    assert [r.id for r in window.clear()] == [1, 2, 3, 4, 5, 6] and len(window) == 0


def test_same_id_replaces() -> None:
    window = KeyframeWindow()
    window.add(record(1))
    window.add(record(1, segment=7))
    found = window.get(1)
    assert len(window) == 1 and found is not None and found.segment == 7


def test_single_view_keeps_the_geometry_of_that_view() -> None:
    prediction = replace(plane_prediction(), features=[torch.zeros(24, 32, 8), torch.ones(24, 32, 8)])
    one = single_view(prediction, 1)
    assert one.views == 1 and torch.equal(one.pointmaps[0], prediction.pointmaps[1])
    assert torch.allclose(one.depth(0), prediction.depth(1))
    assert (
        one.features is not None and one.features[0].dtype == torch.float16 and float(one.features[0].mean()) == 1
    )
