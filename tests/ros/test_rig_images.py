"""The second camera's waiting images: bounded, nearest in time, never lost from the account."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from lsm_perception.accounting import Account, Drop
from lsm_perception.calibration import Calibration
from lsm_perception.gate import TimeJumpedBack
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Candidate
from lsm_perception.rig_gate import SecondGate
from lsm_perception.rig_images import KEPT, WANTED, SecondImages
from lsm_perception.source_image import SourceImage

from lsm_core.mapping import KeyframeAction, KeyframeDecision, KeyframeReason

MS = 1_000_000


def image(stamp_ns: int, frame: str = "right") -> SourceImage:
    pixels = np.zeros((4, 4, 3), np.uint8)
    return SourceImage("right", stamp_ns, frame, 4, 4, lambda: pixels, lambda: pixels[..., 0])


def candidate(stamp_ns: int) -> Candidate:
    nan = math.nan
    decision = KeyframeDecision(KeyframeAction.KEEP, KeyframeReason.REQUESTED, stamp_ns, nan, nan, nan, 0)
    return Candidate(image(stamp_ns), Calibration(4, 4), decision, None)


class Bench:
    """The buffer with its account."""

    def __init__(self, max_sync_s: float = 0.02, max_wait_s: float = 0.0) -> None:
        self.account = Account()
        self.images = SecondImages(max_sync_s, max_wait_s)
        self.images.start()

    def add(self, *stamps_ms: int) -> None:
        for stamp in stamps_ms:
            self.images.submit("right", candidate(stamp * MS), self.account.open())

    @property
    def dropped(self) -> dict[str, int]:
        return self.account.counts().dropped

    @property
    def pending(self) -> int:
        return self.account.counts().pending


def test_only_the_newest_wait_and_the_others_are_unpaired() -> None:
    bench = Bench()
    bench.add(*range(10, 1010, 10))
    assert bench.pending == KEPT and bench.dropped == {Drop.UNPAIRED: 100 - KEPT}


def test_the_image_a_candidate_waits_for_stays_whatever_comes() -> None:
    bench = Bench()
    bench.add(100)
    bench.images.want(101 * MS)
    bench.add(*range(200, 2000, 10))
    assert bench.pending == KEPT + 1
    taken = bench.images.take(101 * MS)
    assert taken.image is not None and taken.image.stamp_ns == 100 * MS and taken.offset_s == pytest.approx(-0.001)


def test_many_candidates_do_not_make_it_grow() -> None:
    bench = Bench()
    for stamp in range(100, 5000, 10):
        bench.add(stamp)
        bench.images.want(stamp * MS)
    assert bench.pending <= KEPT + WANTED


def test_the_nearest_is_taken_older_ones_leave_and_newer_ones_stay() -> None:
    bench = Bench()
    bench.add(70, 90, 105, 120)
    taken = bench.images.take(100 * MS)
    assert taken.image is not None and taken.image.stamp_ns == 105 * MS
    assert bench.dropped == {Drop.UNPAIRED: 2} and bench.pending == 2  # the one taken, and the one at 120
    taken.image.ticket.use()
    assert bench.account.counts().used == 1


def test_too_far_in_time_is_none_and_the_older_are_unsynchronised() -> None:
    bench = Bench()
    bench.add(50, 75, 130)
    taken = bench.images.take(100 * MS)
    assert taken.image is None and taken.offset_s == pytest.approx(-0.025)
    assert bench.dropped == {Drop.UNSYNCHRONISED: 2} and bench.pending == 1


def test_an_image_on_its_way_is_waited_for() -> None:
    bench = Bench(max_wait_s=10.0)
    bench.add(10)
    threading.Timer(0.1, bench.add, [100]).start()
    taken = bench.images.take(100 * MS)
    assert taken.image is not None and taken.image.stamp_ns == 100 * MS


def test_a_camera_that_never_spoke_is_not_waited_for() -> None:
    bench = Bench(max_wait_s=30.0)
    started = time.monotonic()
    taken = bench.images.take(100 * MS)
    assert taken.image is None and math.isnan(taken.offset_s) and time.monotonic() - started < 10


def test_reset_and_stop_settle_what_waits_and_end_a_wait() -> None:
    bench = Bench(max_wait_s=30.0)
    bench.add(10, 20)
    bench.images.reset()
    assert bench.dropped == {Drop.RESET: 2}
    bench.add(30)
    threading.Timer(0.1, bench.images.stop).start()
    assert bench.images.take(100 * MS).image is None
    bench.add(40)
    assert bench.dropped == {Drop.RESET: 2, Drop.INACTIVE: 2} and bench.pending == 0


def test_the_second_gate_takes_growing_stamps_and_reports_a_jump() -> None:
    gate, calibration = SecondGate(NodeParameters()), Calibration(4, 4)
    assert gate.consider(image(5_000 * MS), calibration).drop is None
    for stamp in (5_000, 4_900, 0, -3):
        assert gate.consider(image(stamp * MS), calibration).drop is Drop.BAD_STAMP
    assert gate.consider(image(1_000 * MS), calibration).drop is Drop.BAD_STAMP  # doubted first
    with pytest.raises(TimeJumpedBack):
        gate.consider(image(1_100 * MS), calibration)
    gate.reset()
    assert gate.consider(image(1_100 * MS), calibration).drop is None


def test_the_second_gate_sees_another_format() -> None:
    gate = SecondGate(NodeParameters())
    assert not gate.changed_format(image(1)) and not gate.changed_format(image(2))
    assert gate.changed_format(image(3, frame="other"))
