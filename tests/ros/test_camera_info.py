"""CameraInfo to intrinsics: binning and regions of interest, lens models undone or refused, and the way back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from lsm_perception.calibration import Calibration
from lsm_perception.conversions.camera_info import calibration_from_info
from lsm_perception.conversions.errors import BadMessageError
from sensor_msgs.msg import CameraInfo, RegionOfInterest

K = np.array([[500.0, 0, 319.5], [0, 510.0, 239.5], [0, 0, 1]])
PLUMB_BOB = [-0.25, 0.08, 0.001, -0.0005, 0.0]


def info(**fields: object) -> CameraInfo:
    given_fields = {
        "width": 640,
        "height": 480,
        "k": K.ravel().tolist(),
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
    }
    return CameraInfo(**(given_fields | fields))


def test_plain_calibration_is_taken_as_it_is() -> None:
    found = calibration_from_info(info(), 640, 480)
    assert found is not None and np.array_equal(found.K, K) and not found.distorted


def test_a_point_projects_to_the_same_place_under_binning_and_region_of_interest() -> None:
    """A binned pixel is the mean of 2x2 pixels: its centre is half a pixel off theirs."""
    roi = RegionOfInterest(x_offset=100, y_offset=60, width=400, height=300)
    found = calibration_from_info(info(binning_x=2, binning_y=2, roi=roi), 200, 150)
    assert found is not None and found.K is not None
    point = np.array([0.1, -0.05, 1.0])
    full = (K @ point)[:2]
    binned = (found.K @ point)[:2]
    assert np.allclose(binned, (full - [100, 60] + 0.5) / 2 - 0.5)


@pytest.mark.parametrize(
    ("fields", "size", "words"),
    [
        ({"distortion_model": "equidistant", "d": [0.1] * 4}, (640, 480), "fisheye"),
        ({"distortion_model": "magic", "d": [0.1]}, (640, 480), "not a known model"),
        ({"d": [0.1, 0.2]}, (640, 480), "coefficients"),
        ({}, (320, 240), "640x480"),
        ({"k": [float("nan")] * 9}, (640, 480), "finite"),
        ({"k": [-500.0, 0.0, 1.0, 0.0, 500.0, 1.0, 0.0, 0.0, 1.0]}, (640, 480), "focal length"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(fields: dict, size: tuple[int, int], words: str) -> None:
    with pytest.raises(BadMessageError, match=words):
        calibration_from_info(info(**fields), *size)


def test_no_focal_length_means_uncalibrated() -> None:
    assert calibration_from_info(info(k=[0.0] * 9), 640, 480) is None


@pytest.mark.parametrize(
    ("model", "d"),
    [("plumb_bob", PLUMB_BOB), ("rational_polynomial", [0.1, -0.05, 0.001, 0.0005, 0.01, 0.2, -0.1, 0.005])],
)
def test_undistorting_puts_points_where_a_pinhole_camera_sees_them(model: str, d: list[float]) -> None:
    calibration = calibration_from_info(info(distortion_model=model, d=d), 640, 480)
    assert calibration is not None and calibration.distorted
    rays = np.array([[0.3, 0.2, 1.0], [-0.35, -0.25, 1.0], [0.0, 0.3, 1.0]])
    bent = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), K, np.array(d))[0].reshape(-1, 2)
    image = np.zeros((480, 640, 3), np.uint8)
    for x, y in np.rint(bent).astype(int):
        cv2.circle(image, (int(x), int(y)), 3, (255, 255, 255), -1)
    straight = calibration.undistort(image)[..., 0]
    for x, y in (K @ rays.T).T[:, :2] / rays[:, 2:]:
        assert straight[round(y), round(x)] > 128


def test_masks_go_back_to_the_distorted_pixels() -> None:
    calibration = Calibration(640, 480, K, np.array(PLUMB_BOB))
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:200, 80:260] = 255
    there = calibration.undistort(image)[..., 0] > 127
    back = calibration.to_source(there.astype(np.uint8), 0).astype(bool)
    assert (back == (image[..., 0] > 0)).mean() > 0.995
    labels = np.full((480, 640), 3, np.int32)
    returned = calibration.to_source(labels, -1)
    assert returned.dtype == np.int32 and set(np.unique(returned)) <= {-1, 3}


def test_an_undistorted_image_is_not_copied() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    assert Calibration(640, 480, K, np.zeros(5)).undistort(image) is image


@pytest.mark.parametrize("model", ["plumb_bob", "equidistant"])
def test_rectified_images_have_the_camera_of_p(model: str) -> None:
    P = np.array([[400.0, 0, 300.0, 0], [0, 410.0, 200.0, 0], [0, 0, 1, 0]])
    message = info(p=P.ravel().tolist(), distortion_model=model, d=[0.1] * 4, binning_x=2, binning_y=2)
    found = calibration_from_info(message, 320, 240, rectified=True)
    assert found is not None and found.K is not None and not found.distorted
    point = np.array([0.1, -0.05, 1.0])
    assert np.allclose((found.K @ point)[:2], ((P[:, :3] @ point)[:2] + 0.5) / 2 - 0.5)
