"""Conversions between image encodings, as the real cv_bridge does them."""

import cv2
import numpy as np

from cv_bridge.encodings import Encoding

# OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's
# first two, hence the crossed letters.
_TO_BGR = {
    "mono": cv2.COLOR_GRAY2BGR,
    "rgb": cv2.COLOR_RGB2BGR,
    "rgba": cv2.COLOR_RGBA2BGR,
    "bgra": cv2.COLOR_BGRA2BGR,
    "bayer_rggb": cv2.COLOR_BayerBG2BGR,
    "bayer_bggr": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg": cv2.COLOR_BayerGR2BGR,
    "bayer_grbg": cv2.COLOR_BayerGB2BGR,
    "uyvy": cv2.COLOR_YUV2BGR_UYVY,
    "yuyv": cv2.COLOR_YUV2BGR_YUYV,
}
_FROM_BGR = {
    "mono": cv2.COLOR_BGR2GRAY,
    "rgb": cv2.COLOR_BGR2RGB,
    "rgba": cv2.COLOR_BGR2RGBA,
    "bgra": cv2.COLOR_BGR2BGRA,
}
# One step where there is one: it keeps alpha, and it loses nothing to rounding.
_DIRECT = {
    ("rgb", "mono"): cv2.COLOR_RGB2GRAY,
    ("rgba", "mono"): cv2.COLOR_RGBA2GRAY,
    ("bgra", "mono"): cv2.COLOR_BGRA2GRAY,
    ("rgba", "bgra"): cv2.COLOR_RGBA2BGRA,
    ("bgra", "rgba"): cv2.COLOR_BGRA2RGBA,
    ("rgba", "rgb"): cv2.COLOR_RGBA2RGB,
    ("uyvy", "rgb"): cv2.COLOR_YUV2RGB_UYVY,
    ("yuyv", "rgb"): cv2.COLOR_YUV2RGB_YUYV,
    ("uyvy", "mono"): cv2.COLOR_YUV2GRAY_UYVY,
    ("yuyv", "mono"): cv2.COLOR_YUV2GRAY_YUYV,
    ("mono", "rgba"): cv2.COLOR_GRAY2RGBA,
    ("mono", "bgra"): cv2.COLOR_GRAY2BGRA,
}


def convert(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    """Convert an image between encodings.

    Args:
        image: [H, W] or [H, W, C], elements of `source.dtype`.
        source: What `image` is.
        target: What is wanted.

    Returns:
        The converted image, or `image` itself when nothing has to change.

    Raises:
        ValueError: The conversion has no meaning (such as "16UC1" to "mono8").
    """
    if source == target:
        return image
    if not source.colour or not target.colour:
        _check_same_kind(source, target)
        return _change_depth(image, source.dtype, target.dtype, rescale=bool(source.colour or target.colour))
    if source.colour != target.colour:
        image = _change_colour(image, source, target)
    return _change_depth(image, source.dtype, target.dtype, rescale=True)


def _check_same_kind(source: Encoding, target: Encoding) -> None:
    """Refuse conversions from or to an encoding whose channels have no meaning."""
    if target.colour:
        raise ValueError(
            f"[{source.name}] is not a color format. but [{target.name}] is. The conversion does not make sense"
        )
    if source.channels != target.channels:
        raise ValueError(f"[{source.name}] and [{target.name}] do not have the same number of channels")


def _change_colour(image: np.ndarray, source: Encoding, target: Encoding) -> np.ndarray:
    """Convert between two colour layouts at the source's depth."""
    image = np.ascontiguousarray(image)
    direct = _DIRECT.get((source.colour, target.colour))
    if direct is not None:
        return np.asarray(cv2.cvtColor(image, direct))
    if source.colour != "bgr":
        image = np.asarray(cv2.cvtColor(image, _TO_BGR[source.colour]))
    if target.colour == "bgr":
        return image
    if target.colour not in _FROM_BGR:
        raise ValueError(f"Unsupported conversion from [{source.name}] to [{target.name}]")
    return np.asarray(cv2.cvtColor(image, _FROM_BGR[target.colour]))


def _change_depth(image: np.ndarray, source: np.dtype, target: np.dtype, *, rescale: bool) -> np.ndarray:
    """Change the element type: colours keep their brightness, other numbers their value, clipped."""
    if source == target:
        return image
    if image.size and rescale and (source, target) == (np.uint16, np.uint8):
        return np.asarray(cv2.convertScaleAbs(np.ascontiguousarray(image), alpha=255.0 / 65535.0))
    values = image.astype(np.float64)
    if rescale and (source, target) == (np.uint8, np.uint16):
        values *= 65535.0 / 255.0
    if np.issubdtype(target, np.integer):
        limits = np.iinfo(target)
        values = np.clip(np.rint(np.nan_to_num(values, nan=0.0)), limits.min, limits.max)
    return values.astype(target)
