"""The encodings of raw images this node takes: bytes per pixel, what the bytes are, and how they become grey."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

# OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's first two.
_BAYER_TO_GRAY = {
    "rggb": cv2.COLOR_BayerBG2GRAY,
    "bggr": cv2.COLOR_BayerRG2GRAY,
    "gbrg": cv2.COLOR_BayerGR2GRAY,
    "grbg": cv2.COLOR_BayerGB2GRAY,
}
_COLOURS = {
    "rgb": (3, cv2.COLOR_RGB2GRAY),
    "bgr": (3, cv2.COLOR_BGR2GRAY),
    "rgba": (4, cv2.COLOR_RGBA2GRAY),
    "bgra": (4, cv2.COLOR_BGRA2GRAY),
}


@dataclass(frozen=True)
class PixelFormat:
    """One value of `sensor_msgs/Image.encoding`.

    Attributes:
        channels: interleaved numbers per pixel.
        item: bytes per number, 1 or 2.
        to_gray: OpenCV code from the plain channels to grey; None where a channel is the grey already.
        luma: index of the channel that is the grey (mono, yuv).
        video_range: grey runs from 16 to 235 (yuv) instead of 0 to 255.
        mosaic: Bayer pattern: one colour per pixel.
        width_step: the width must be a multiple of this.
    """

    channels: int
    item: int = 1
    to_gray: int | None = None
    luma: int = 0
    video_range: bool = False
    mosaic: bool = False
    width_step: int = 1

    @property
    def pixel_bytes(self) -> int:
        """Bytes per pixel."""
        return self.channels * self.item


def _table() -> dict[str, PixelFormat]:
    table = {"8UC1": PixelFormat(1), "8UC3": PixelFormat(3, 1, cv2.COLOR_BGR2GRAY)}
    for item, bits in ((1, 8), (2, 16)):
        table[f"mono{bits}"] = PixelFormat(1, item)
        for name, (channels, code) in _COLOURS.items():
            table[f"{name}{bits}"] = PixelFormat(channels, item, code)
        for order, code in _BAYER_TO_GRAY.items():
            table[f"bayer_{order}{bits}"] = PixelFormat(1, item, code, mosaic=True)
    for name, luma in (("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)):
        table[name] = PixelFormat(2, luma=luma, video_range=True, width_step=2)
    return table


PIXEL_FORMATS = _table()
