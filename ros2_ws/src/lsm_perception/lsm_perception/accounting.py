"""What became of every image: delivered = used + sum of dropped, always."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Drop(StrEnum):
    """Why an image was not used. Values of the keyframe selection are the words of ~/keyframes."""

    BAD_SIZE = "bad_size"  # width, height, step or data length do not fit together, or are out of bounds
    BAD_ENCODING = "bad_encoding"  # the encoding is unknown or cannot be an image
    BAD_DATA = "bad_data"  # compressed data are empty, truncated or not a picture
    BAD_STAMP = "bad_stamp"  # the stamp is zero, repeated or older than the one before
    BAD_CAMERA_INFO = "bad_camera_info"  # the lens model is one that cannot be undone here (fisheye)
    STALE = "stale"  # older on arrival than input.max_age_s
    BLANK = "blank"  # no contrast: lens cap, darkness
    SATURATED = "saturated"
    FROZEN = "frozen"  # equal to the image before it
    TORN = "torn"  # the lower rows are constant or of the image before it
    BLURRED = "blurred"
    STATIC = "static"  # a good image in which nothing moved
    SIMILAR = "similar"  # a good image that moved, not far enough for a keyframe
    TOO_SOON = "too_soon"  # within keyframes.min_interval_s of the last keyframe
    BLUR = "blur"  # due as a keyframe, but much less sharp than the last one
    SUPERSEDED = "superseded"  # due as a keyframe, but a newer one came before this one's turn
    UNPAIRED = "unpaired"  # of a rig's second camera: no keyframe of the first one fell on its time
    UNSYNCHRONISED = "unsynchronised"  # of a rig's second camera: too far in time from the first one's keyframe
    NO_EXTRINSICS = "no_extrinsics"  # of a rig's second camera: tf does not know where it is
    RESET = "reset"  # it was waiting or in work when the node was reset
    INACTIVE = "inactive"  # the node was deactivated while it waited
    BACKEND = "backend_error"  # the model failed on it
    NON_FINITE = "non_finite"  # the model answered with numbers that are not finite
    INTERNAL = "internal"  # a fault of this node; the log has the details


@dataclass(frozen=True)
class Counts:
    """Counters at one moment.

    Attributes:
        delivered: images given to a callback whose fate is decided: used + sum of dropped.
        pending: images that wait or are in work; they become part of `delivered` when decided.
        used: images that became a keyframe.
        dropped: the others, by reason.
        transport_lost: images that were sent and never reached a callback; not part of `delivered`.
    """

    delivered: int = 0
    pending: int = 0
    used: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    transport_lost: int = 0


class Ticket:
    """The account of one image; settled exactly once, the first call counts."""

    __slots__ = ("_account", "_open")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._open = True

    def use(self) -> bool:
        """Count the image as used; False when it was settled before."""
        return self._account._settle(self, None)

    def drop(self, reason: str) -> bool:
        """Count the image as dropped; False when it was settled before."""
        return self._account._settle(self, str(reason))


class Account:
    """Thread-safe counters of images."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used = 0
        self._dropped: Counter[str] = Counter()
        self._pending = 0
        self._transport_lost = 0

    def open(self) -> Ticket:
        """Start the account of one image that a callback received."""
        with self._lock:
            self._pending += 1
        return Ticket(self)

    def lose(self, count: int) -> None:
        """Count images that were sent and never reached a callback."""
        with self._lock:
            self._transport_lost += count

    def counts(self) -> Counts:
        """Return the counters at this moment; they add up."""
        with self._lock:
            dropped = dict(sorted(self._dropped.items()))
            delivered = self._used + sum(dropped.values())
            return Counts(delivered, self._pending, self._used, dropped, self._transport_lost)

    def clear(self) -> None:
        """Set the decided counters to zero; images in work stay pending."""
        with self._lock:
            self._used = self._transport_lost = 0
            self._dropped.clear()

    def _settle(self, ticket: Ticket, reason: str | None) -> bool:
        with self._lock:
            if not ticket._open:
                return False
            ticket._open = False
            self._pending -= 1
            if reason is None:
                self._used += 1
            else:
                self._dropped[reason] += 1
            return True
