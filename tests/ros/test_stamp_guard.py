"""Stamps that leap: one wrong one costs one image, a jump of time costs one image and one reset."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("torch")

from lsm_perception.stamp_guard import StampGuard, StampVerdict

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
START = 1_700_000_000 * SECOND
GOOD, BAD = StampVerdict.GOOD, StampVerdict.BAD
BACK, AHEAD = StampVerdict.JUMPED_BACK, StampVerdict.JUMPED_AHEAD


def judged(guard: StampGuard, *seconds: float) -> list[StampVerdict]:
    """Judge stamps given in seconds after START."""
    return [guard.judge(START + round(s * SECOND)) for s in seconds]


def test_stamps_that_run_forward_are_good() -> None:
    assert judged(StampGuard(1.0), 0, 0.1, 0.2, 5, 15) == [GOOD] * 5


def test_zero_negative_repeated_and_late_stamps_are_bad_and_change_nothing() -> None:
    guard = StampGuard(1.0)
    assert judged(guard, 10) == [GOOD]
    assert [guard.judge(0), guard.judge(-5)] == [BAD, BAD]
    assert judged(guard, 10, 9.9, 9.1, 10.1, 10.0, 10.2) == [BAD, BAD, BAD, GOOD, BAD, GOOD]


@pytest.mark.parametrize("leap", [3600.0, -3600.0, -1.5, 11.0])
def test_one_wrong_stamp_costs_one_image(leap: float) -> None:
    guard = StampGuard(1.0)
    assert judged(guard, 0, 0.1, 0.1 + leap, 0.2, 0.3) == [GOOD, GOOD, BAD, GOOD, GOOD]


def test_two_cameras_mixed_on_one_topic_never_jump() -> None:
    guard = StampGuard(1.0)
    verdicts = judged(guard, *(t for i in range(50) for t in (0.1 * i, 0.1 * i - 3600)))
    assert verdicts[0::2] == [GOOD] * 50 and set(verdicts[1::2]) == {BAD}


def test_a_bag_that_starts_again_jumps_back_once() -> None:
    guard = StampGuard(1.0)
    judged(guard, *range(30))
    assert judged(guard, 0.0, 0.1) == [BAD, BACK]
    guard.reset()
    assert judged(guard, 0.1, 0.2, 0.3) == [GOOD] * 3


def test_time_that_goes_on_an_hour_later_jumps_ahead_once() -> None:
    assert judged(StampGuard(1.0), 0, 0.1, 3600, 3600.1, 3600.2) == [GOOD, GOOD, BAD, AHEAD, GOOD]


def test_after_a_jump_of_the_clock_images_of_before_are_not_first_ones() -> None:
    guard = StampGuard(1.0)
    judged(guard, 59.8, 59.9)
    guard.reset(lambda: START)  # the bag began again, two images of its end are on their way
    assert judged(guard, 60.0) == [BAD]
    assert judged(guard, 0.05, 0.15) == [GOOD, GOOD]


def test_stamps_that_do_not_follow_the_clock_are_taken_from_the_second_on() -> None:
    guard = StampGuard(1.0)
    guard.reset(lambda: START - HOUR)
    assert judged(guard, 0.0, 0.1, 0.2) == [BAD, GOOD, GOOD]


def test_whatever_came_a_steady_stream_is_taken_again() -> None:
    chance = random.Random(4)
    for _ in range(200):
        guard = StampGuard(1.0)
        for _ in range(chance.randrange(20)):
            guard.judge(chance.choice([0, -1, START, START + HOUR, START - HOUR, chance.getrandbits(62)]))
        at = START + chance.randrange(-HOUR, HOUR)
        verdicts = []
        for i in range(33):  # a second and a little at 30 Hz
            verdicts.append(guard.judge(at + i * SECOND // 30))
            if verdicts[-1] is BACK:
                guard.reset()
        assert verdicts[-1] is GOOD and verdicts.count(BACK) <= 1
