"""Masks of things that move, published beside the camera's images: their pixels must not become a map."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from lsm_perception.accounting import Drop
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.images import check_image
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.source_image import SourceImage
from lsm_perception.symptoms import Symptom, see

KEPT = 30
ENCODINGS = ("mono8", "8UC1")
Mask = NDArray[np.bool_]


class MaskSource:
    """Keeps the newest masks undecoded and gives the one that belongs to a keyframe; nothing waits for it."""

    def __init__(self, max_pixels: int, max_age_s: float, problem: Callable[[str], None]) -> None:
        """Start with none.

        Args:
            max_pixels: largest mask accepted.
            max_age_s: a mask belongs to an image whose stamp differs by at most this, seconds.
            problem: told of masks that do not fit and of images without one, once there have been masks.
        """
        self._max_pixels = max_pixels
        self._max_age_ns = round(max_age_s * 1e9)
        self._problem = problem
        self._lock = threading.Lock()
        self._messages: deque[tuple[int, Image]] = deque(maxlen=KEPT)

    def configure(self, max_pixels: int, max_age_s: float) -> None:
        """Take new limits."""
        self._max_pixels, self._max_age_ns = max_pixels, round(max_age_s * 1e9)

    def add(self, message: Image) -> None:
        """Keep a mask (mono8 or 8UC1).

        Raises:
            BadMessageError: its size, encoding or data cannot be a mask's.
        """
        check_image(message, self._max_pixels)
        if message.encoding not in ENCODINGS:
            raise BadMessageError(
                Drop.BAD_ENCODING, f"A mask cannot be {message.encoding}.", f"Publish {' or '.join(ENCODINGS)}."
            )
        with self._lock:
            self._messages.append((stamp_to_ns(message.header.stamp), message))

    def of(self, image: SourceImage) -> Mask | None:
        """Return the mask [height, width] nearest in time to an image, True where something moves; None without."""
        with self._lock:
            messages = list(self._messages)
        if not messages:
            return None
        stamp_ns, message = min(messages, key=lambda kept: abs(kept[0] - image.stamp_ns))
        fault = self._misfit(message, stamp_ns, image)
        if fault:
            self._problem(see(f"{fault}: no mask is used.", Symptom.MASKS_AND_DEPTH))
            return None
        rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
        return np.asarray(rows[:, : message.width] != 0)

    def _misfit(self, message: Image, stamp_ns: int, image: SourceImage) -> str:
        """Return why a mask does not belong to an image, "" when it does."""
        apart_ns = abs(stamp_ns - image.stamp_ns)
        if apart_ns > self._max_age_ns:
            return f"The nearest mask is {apart_ns * 1e-9:.3f} s from the image (see input.mask_max_age_s)"
        if (message.width, message.height) != (image.width, image.height):
            due = f"{image.width}x{image.height}"
            return f"The mask is {message.width}x{message.height}, it must be {due} as the image"
        if message.header.frame_id not in ("", image.frame_id):
            return (
                f"The mask is of frame '{message.header.frame_id}', it must be of the image's, '{image.frame_id}'"
            )
        return ""

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._messages.clear()
