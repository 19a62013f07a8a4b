"""CameraInfo to intrinsics of the images as they arrive, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from lsm_perception.accounting import Drop
from lsm_perception.calibration import Calibration
from lsm_perception.conversions.errors import BadMessageError, UnusableInfoError

# distortion model -> numbers of coefficients it may have; "" stands for none
_COEFFICIENTS: dict[str, tuple[int, ...]] = {
    "": (0,),
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (0, 8, 12, 14),
}
SHORTEST, LONGEST = 0.05, 200  # focal length in image widths: 168 to 0.3 degrees of view


def calibration_from_info(info: CameraInfo, width: int, height: int, rectified: bool = False) -> Calibration | None:
    """Return the calibration of images of a size, with binning and region of interest applied.

    K of the message is that of the full sensor. A binned pixel is the mean of b x b, so its centre lies at the
    mean of theirs: c' = (c - offset - (b - 1) / 2) / b.

    Args:
        info: as published beside the image.
        width, height: size of the image, pixels.
        rectified: the image is rectified: its camera is P, whatever lens it was taken with.

    Returns:
        None when the message says "uncalibrated" (K[0] == 0, or P[0] == 0 for rectified images).

    Raises:
        BadMessageError: fisheye or unknown model, or coefficients that do not fit it: the image is not a
            pinhole camera's.
        UnusableInfoError: numbers that are not finite, or a size that is not the image's.
    """
    K = np.asarray(info.p, np.float64).reshape(3, 4)[:, :3] if rectified else np.asarray(info.k).reshape(3, 3)
    distortion = np.zeros(0) if rectified else np.asarray(info.d, np.float64)
    if not (np.isfinite(K).all() and np.isfinite(distortion).all()):
        raise UnusableInfoError(
            Drop.BAD_CAMERA_INFO, "camera_info has numbers that are not finite.", "Calibrate the camera anew."
        )
    if K[0, 0] == 0:
        return None
    if not rectified:
        check_model(info.distortion_model, distortion)
    if not all(SHORTEST * info.width <= K[i, i] <= LONGEST * info.width for i in (0, 1)):
        raise UnusableInfoError(
            Drop.BAD_CAMERA_INFO,
            f"camera_info has a focal length of {K[0, 0]:g}, {K[1, 1]:g} for {info.width} columns: "
            f"not {SHORTEST} to {LONGEST} widths.",
            "Give the focal length in pixels of this stream.",
        )
    bin_x, bin_y = max(1, info.binning_x), max(1, info.binning_y)
    whole = not (info.roi.width and info.roi.height)
    full = (info.width, info.height) if whole else (info.roi.width, info.roi.height)
    offset = (0, 0) if whole else (info.roi.x_offset, info.roi.y_offset)
    expected = (full[0] // bin_x, full[1] // bin_y)
    if (width, height) != expected:
        raise UnusableInfoError(
            Drop.BAD_CAMERA_INFO,
            f"camera_info is for {expected[0]}x{expected[1]} images, the image has {width}x{height}.",
            "Publish the calibration of this stream.",
        )
    K = np.array([[K[0, 0], K[0, 1], K[0, 2]], [0, K[1, 1], K[1, 2]], [0, 0, 1]], np.float64)
    K[0, 2] = (K[0, 2] - offset[0] - (bin_x - 1) / 2) / bin_x
    K[1, 2] = (K[1, 2] - offset[1] - (bin_y - 1) / 2) / bin_y
    K[0, :2] /= bin_x
    K[1, 1] /= bin_y
    return Calibration(width, height, K, distortion)


def check_model(model: str, distortion: NDArray[np.float64]) -> None:
    """Check that a distortion model can be undone here.

    Raises:
        BadMessageError: it cannot; the message names the model.
    """
    if model not in _COEFFICIENTS:
        kind = "a fisheye model" if model in ("equidistant", "fisheye", "kannala_brandt") else "not a known model"
        raise BadMessageError(
            Drop.BAD_CAMERA_INFO,
            f"Distortion model '{model[:40]}' ({kind}) cannot be undone here.",
            "Rectify the images first (image_proc), and publish plumb_bob or rational_polynomial.",
        )
    if len(distortion) not in _COEFFICIENTS[model] and np.any(distortion):
        raise BadMessageError(
            Drop.BAD_CAMERA_INFO,
            f"{len(distortion)} coefficients do not fit distortion model '{model}'.",
            f"Publish {' or '.join(str(count) for count in _COEFFICIENTS[model])} of them.",
        )


def info_message(K: NDArray[Any], width: int, height: int, header: Header) -> CameraInfo:
    """Return the CameraInfo of an undistorted image with these intrinsics."""
    flat = [float(v) for v in np.asarray(K, np.float64).reshape(9)]
    fx, _, cx, _, fy, cy, *_ = flat
    return CameraInfo(
        header=header,
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=flat,
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
