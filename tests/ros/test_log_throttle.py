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


def test_repeated_warnings_pass_once_per_period_and_tell_how_many_were_hidden() -> None:
    now = [0.0]
    collector = Collector(LogThrottle(5.0, lambda: now[0]))
    logger = logging.Logger("any")
    logger.addHandler(collector)

    def complain(count: int) -> None:
        for i in range(count):
            logger.warning("frame %d is bad", i)

    complain(100)
    assert collector.texts == ["frame 0 is bad"]
    logger.warning("another complaint has its own period")
    assert len(collector.texts) == 2
    now[0] = 5.1
    complain(2)
    assert collector.texts[2:] == ["frame 0 is bad (99 more like it)"]


def test_information_is_never_hidden() -> None:
    collector = Collector(LogThrottle(5.0, lambda: 0.0))
    logger = logging.Logger("any")
    logger.addHandler(collector)
    for _ in range(3):
        logger.info("Active")
    assert collector.texts == ["Active"] * 3
