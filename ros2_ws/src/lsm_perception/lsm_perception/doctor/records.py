"""What was heard while listening: per topic when and with which stamps, transforms, the clock."""

from __future__ import annotations

import struct
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from rclpy.duration import Duration
from rclpy.serialization import deserialize_message
from tf2_ros import Buffer

from lsm_perception.conversions.stamps import SECOND_NS, stamp_to_ns

KEPT = 20_000  # arrivals per topic; a clock at 1 kHz for 20 s
TF_CACHE_S = 60.0
STAMP_END = 12  # bytes of a serialized message up to the end of its header's stamp


@dataclass(frozen=True)
class Arrival:
    """One message: its stamp, and when it came by the machine's clock and by one that never jumps.

    Attributes:
        stamp_ns: in its header, or what /clock said.
        wall_ns: the machine's clock, nanoseconds since 1970.
        mono_s: seconds.
    """

    stamp_ns: int
    wall_ns: int
    mono_s: float


def arrival(stamp_ns: int, mono_s: float | None = None) -> Arrival:
    """Return that a message came now, or at a moment of `time.monotonic`."""
    return Arrival(stamp_ns, time.time_ns(), time.monotonic() if mono_s is None else mono_s)


@dataclass(frozen=True)
class Serialized:
    """A message as it came over the network, and its class."""

    kind: type
    data: bytes


class Record:
    """The arrivals of one topic and its newest message. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals: deque[Arrival] = deque(maxlen=KEPT)
        self._newest: Any = None

    def add(self, message: Any, came: Arrival) -> None:
        """Note a message, or a Serialized one: only the newest of those is ever unpacked."""
        with self._lock:
            self._arrivals.append(came)
            self._newest = message

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """What came, oldest first."""
        with self._lock:
            return tuple(self._arrivals)

    @property
    def newest(self) -> Any:
        """The newest message, None for none, or for one that cannot be unpacked."""
        with self._lock:
            if isinstance(self._newest, Serialized):
                try:
                    self._newest = deserialize_message(self._newest.data, self._newest.kind)
                except Exception:  # what the middleware raises for bytes that are no message of the type
                    self._newest = None
            return self._newest


def take_stamped(record: Record, kind: type, data: bytes) -> None:
    """Note a message that begins with a header, without unpacking it: images may be many and large.

    CDR: a representation header of 4 bytes, whose second one is 1 for little endian, then sec (int32) and nanosec
    (uint32) of the stamp. Source: DDS-XTypes 1.3, 7.4.3; OMG CDR.
    """
    if len(data) < STAMP_END:
        return
    order = "<" if data[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(order + "iI", data, 4)
    record.add(Serialized(kind, data), arrival(sec * SECOND_NS + nanosec))


def rate_hz(arrivals: tuple[Arrival, ...]) -> float:
    """Return messages per second between the first and the last arrival; 0 for fewer than two."""
    if len(arrivals) < 2:
        return 0.0
    span_s = arrivals[-1].mono_s - arrivals[0].mono_s
    return (len(arrivals) - 1) / span_s if span_s > 0 else 0.0


class TransformRecord:
    """All transforms heard: who is whose parent, when they came, and a buffer to look them up in. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parents: dict[str, dict[str, bool]] = {}
        self._moving: dict[str, deque[Arrival]] = {}
        self.buffer = Buffer(Duration(seconds=TF_CACHE_S))

    def take(self, message: Any, static: bool, mono_s: float | None = None) -> None:
        """Note a TFMessage; transforms that tf itself refuses are left out.

        Args:
            message: of /tf or /tf_static.
            static: whether it is of the latter.
            mono_s: when it came; now by default.
        """
        for transform in message.transforms:
            child, parent = transform.child_frame_id.lstrip("/"), transform.header.frame_id.lstrip("/")
            came = arrival(stamp_to_ns(transform.header.stamp), mono_s)
            with self._lock:
                self._parents.setdefault(child, {})[parent] = static
                if not static:
                    self._moving.setdefault(child, deque(maxlen=KEPT)).append(came)
            try:
                store = self.buffer.set_transform_static if static else self.buffer.set_transform
                store(transform, "lsm_doctor")
            except Exception:  # tf2's own checks: a rotation that is none, a frame that is its own parent
                continue

    @property
    def parents(self) -> dict[str, tuple[str, ...]]:
        """The parents of each frame, sorted."""
        with self._lock:
            return {child: tuple(sorted(found)) for child, found in sorted(self._parents.items())}

    def moving(self, child: str) -> tuple[Arrival, ...]:
        """Return the arrivals of a frame's transform on /tf."""
        with self._lock:
            return tuple(self._moving.get(child, ()))

    def chain(self, frame: str) -> list[str]:
        """Return a frame and its ancestors, up to the root."""
        parents, out = self.parents, [frame]
        while out[-1] in parents and parents[out[-1]][0] not in out:
            out.append(parents[out[-1]][0])
        return out
