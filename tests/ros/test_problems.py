"""Problems: the newest for diagnostics, each kind in the log now and then, never a flood."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from lsm_perception.problems import LINES_PER_PERIOD, PERIOD_S, Problems


class Noted:
    """Problems with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[str] = []
        self.problems = Problems(self.lines.append, lambda: self.now)


def test_the_newest_problem_has_an_age() -> None:
    noted = Noted()
    assert noted.problems.newest() == ("", float("inf"))
    noted.problems.note("depth image of 3 bytes")
    noted.now += 2
    assert noted.problems.newest() == ("depth image of 3 bytes", 2.0)


def test_a_kind_is_logged_once_per_period_whatever_its_numbers() -> None:
    noted = Noted()
    for size in range(100):
        noted.problems.note(f"image of {size} bytes")
    assert noted.lines == ["image of 0 bytes"] and noted.problems.newest()[0] == "image of 99 bytes"
    noted.now += PERIOD_S
    noted.problems.note("image of 7 bytes")
    assert noted.lines == ["image of 0 bytes", "image of 7 bytes"]


def test_a_second_kind_is_not_hidden_by_the_first() -> None:
    noted = Noted()
    noted.problems.note("image of 3 bytes")
    noted.problems.note("no such encoding")
    assert noted.lines == ["image of 3 bytes", "no such encoding"]


def test_many_kinds_together_do_not_flood() -> None:
    noted = Noted()
    for second in range(20):
        for letter in range(1000):
            noted.problems.note("encoding " + "x" * letter)
        assert len(noted.lines) <= LINES_PER_PERIOD * (1 + second // PERIOD_S)
        noted.now += 1
    assert len(noted.lines) == 4 * LINES_PER_PERIOD
