"""Depth images registered to the camera's images: a source of metres that needs no motion."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from cv_bridge import CvBridge, CvBridgeError
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from lsm_perception.conversions.images import check_size
from lsm_perception.conversions.stamps import stamp_to_ns

KEPT = 30
TOLERANCE_NS = 20_000_000
MILLIMETRES = "16UC1"
METRES = "32FC1"
_BYTES = {MILLIMETRES: 2, "mono16": 2, METRES: 4}
_bridge = CvBridge()


class DepthSource:
    """Keeps the newest depth images undecoded, and converts the one that belongs to a keyframe."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._messages: deque[tuple[int, Image]] = deque(maxlen=KEPT)

    def add(self, message: Image) -> None:
        """Keep a depth image (16UC1 millimetres or 32FC1 metres).

        Raises:
            BadMessageError: its size is out of bounds.
            ValueError: its encoding or data cannot be a depth image's.
        """
        check_size(message.width, message.height, self._max_pixels)
        item = _BYTES.get(message.encoding)
        if item is None:
            raise ValueError(f"Depth encoding '{message.encoding[:40]}' is neither {MILLIMETRES} nor {METRES}.")
        if message.step < item * message.width or len(message.data) != message.step * message.height:
            raise ValueError("A depth image's step and data do not fit its size.")
        with self._lock:
            self._messages.append((stamp_to_ns(message.header.stamp), message))

    def at(self, stamp_ns: int, width: int, height: int) -> NDArray[np.float32] | None:
        """Return the depth [height, width] in metres nearest in time (within 20 ms), NaN where there is none.

        Returns:
            None when there is no such image, or it has another size and so is not registered.
        """
        with self._lock:
            near = [m for t, m in self._messages if abs(t - stamp_ns) <= TOLERANCE_NS]
        near = [m for m in near if (m.width, m.height) == (width, height)]
        if not near:
            return None
        return depth_in_metres(min(near, key=lambda m: abs(stamp_to_ns(m.header.stamp) - stamp_ns)))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._messages.clear()


def depth_in_metres(message: Image) -> NDArray[np.float32] | None:
    """Return a checked depth image in metres, NaN where it is zero or not finite; None when it cannot be read."""
    try:
        raw = np.asarray(_bridge.imgmsg_to_cv2(message))
    except (CvBridgeError, TypeError, ValueError):
        return None
    depth = raw.astype(np.float32) * (1.0 if message.encoding == METRES else 1e-3)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float32)
