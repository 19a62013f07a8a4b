"""A camera from which nothing usable comes is reported in its own time, and so is its recovery."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from lsm_perception.accounting import Drop
from lsm_perception.image_watch import ImageWatch

SECOND = 1_000_000_000


def test_it_speaks_after_the_limit_and_counts_the_reasons() -> None:
    watch = ImageWatch("left")
    said = [watch.unusable(Drop.BLANK if i % 2 else Drop.FROZEN, i * SECOND, 5.0) for i in range(8)]
    assert said[:5] == [""] * 5 and all(said[5:])
    assert "camera 'left'" in said[5] and "for 5 s" in said[5] and "3 blank" in said[5]


def test_one_good_image_starts_the_count_anew() -> None:
    watch = ImageWatch("")
    assert watch.unusable(Drop.BLANK, 0, 5.0) == "" and watch.usable() == ""
    assert watch.unusable(Drop.BLANK, 6 * SECOND, 5.0) == ""
    assert watch.unusable(Drop.BLANK, 12 * SECOND, 5.0) != ""
    assert "again" in watch.usable() and watch.usable() == ""


def test_a_jump_back_in_time_starts_the_count_anew() -> None:
    watch = ImageWatch("")
    watch.unusable(Drop.TORN, 100 * SECOND, 5.0)
    assert watch.unusable(Drop.TORN, 1 * SECOND, 5.0) == ""
    assert watch.unusable(Drop.TORN, 3 * SECOND, 5.0) == ""
