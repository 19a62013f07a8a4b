"""An image on its way through the node: checked, not yet decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class SourceImage:
    """One image of one camera; holds the encoded bytes until it is kept or dropped.

    Attributes:
        camera: name as in the parameter `cameras`; "" for the only camera.
        stamp_ns: the image's own stamp, nanoseconds.
        frame_id: the image's own optical frame.
        width, height: full size in pixels.
        decode: returns the full image, [height, width, 3] uint8 RGB.
        preview: returns a reduced grey image [h, w] uint8 for the gates.
        received_s: monotonic time of reception, for latency figures.
        encoding: as the message names it: an encoding, or a compressed format.
    """

    camera: str
    stamp_ns: int
    frame_id: str
    width: int
    height: int
    decode: Callable[[], Rgb]
    preview: Callable[[], Gray]
    received_s: float = 0.0
    encoding: str = ""

    @property
    def form(self) -> tuple[str, str, int, int]:
        """What images of one stream have in common: frame_id, encoding, width, height."""
        return self.frame_id, self.encoding, self.width, self.height
