"""Time stamps as integers of nanoseconds: never through a float."""

from __future__ import annotations

from builtin_interfaces.msg import Time

SECOND_NS = 1_000_000_000


def stamp_to_ns(stamp: Time) -> int:
    """Return a stamp as nanoseconds."""
    return int(stamp.sec) * SECOND_NS + int(stamp.nanosec)


def stamp_from_ns(stamp_ns: int) -> Time:
    """Return nanoseconds as a stamp.

    Raises:
        ValueError: the time does not fit the message (before 1901 or after 2038).
    """
    sec, nanosec = divmod(int(stamp_ns), SECOND_NS)
    if not -(2**31) <= sec < 2**31:
        raise ValueError(f"{stamp_ns} ns does not fit builtin_interfaces/Time.")
    return Time(sec=sec, nanosec=nanosec)
