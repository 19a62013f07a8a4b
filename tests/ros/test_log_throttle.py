"""A complaint that comes again and again is logged once in a while."""

from __future__ import annotations

import logging

from lsm_perception.log_throttle import LogThrottle


class Collector(logging.Handler):
    """Keeps the texts of what passes."""

    def __init__(self, throttle: LogThrottle) -> None:
        super().__init__()
        self.addFilter(throttle)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def test_repeated_warnings_pass_a_few_per_period_and_tell_how_many_were_hidden() -> None:
    now = [0.0]
    collector = Collector(LogThrottle(5.0, 2, lambda: now[0]))
    logger = logging.Logger("any")
    logger.addHandler(collector)

    def complain(count: int) -> None:
        for i in range(count):
            logger.warning("frame %d is bad", i)

    complain(100)
    assert collector.texts == ["frame 0 is bad", "frame 1 is bad"]
    logger.warning("another complaint has its own period")
    assert len(collector.texts) == 3
    now[0] = 5.1
    complain(3)
    assert collector.texts[3:] == ["frame 0 is bad (98 more like it)", "frame 1 is bad"]


def test_information_is_never_hidden() -> None:
    collector = Collector(LogThrottle(5.0, 1, lambda: 0.0))
    logger = logging.Logger("any")
    logger.addHandler(collector)
    for _ in range(3):
        logger.info("Active")
    assert collector.texts == ["Active"] * 3
