"""A straightened picture shows each point where the pinhole camera sees it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lsm_core.data.formats.depth_registration import register_depth
from lsm_core.data.formats.lens import Lens

K = np.array([[300.0, 0, 159.5], [0, 310.0, 119.5], [0, 0, 1]])
SIZE = (320, 240)


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [("plumb_bob", (0.26, -0.95, -0.005, 0.003, 1.16)), ("equidistant", (0.1, -0.05, 0.02, 0.0))],
)
def test_a_point_moves_from_the_distorted_to_the_straight_pixel(
    model: str, coefficients: tuple[float, ...]
) -> None:
    D = np.array(coefficients)
    point = np.array([[[-0.35, 0.22, 1.0]]])
    if model == "equidistant":
        seen = cv2.fisheye.projectPoints(point, np.zeros(3), np.zeros(3), K, D)[0].reshape(2)
    else:
        seen = cv2.projectPoints(point, np.zeros(3), np.zeros(3), K, D)[0].reshape(2)
    straight = (K @ point[0, 0])[:2]
    assert np.linalg.norm(seen - straight) > 1.5
    image: NDArray[np.float32] = np.zeros(SIZE[::-1], np.float32)
    cv2.circle(image, (round(float(seen[0])), round(float(seen[1]))), 3, 5.0, -1)
    depth = Lens(K, D, SIZE, model).straighten(image, smooth=False)
    rows, columns = np.nonzero(depth)
    assert set(np.unique(depth)) == {0.0, 5.0}, "depth is not mixed"
    np.testing.assert_allclose((columns.mean(), rows.mean()), straight, atol=0.8)


def test_labels_keep_their_numbers() -> None:
    labels = np.full(SIZE[::-1], 893, np.int32)
    out = Lens(K, np.array([0.1, 0, 0, 0, 0]), SIZE).straighten(labels, smooth=False)
    assert out.dtype == np.int32 and set(np.unique(out)) <= {0, 893}


def test_registered_depth_keeps_the_nearest_of_two_points() -> None:
    depth = np.zeros((240, 320), np.float32)
    depth[100, 100], depth[100, 101] = 2.0, 4.0
    T = np.eye(4)
    T[0, 3] = -(101 - 100) / 300 * 4.0  # moves the far point onto the near one's column, the near one further left
    moved = register_depth(depth, K, T, K, (240, 320))
    assert moved[100, 100] == 4.0 and moved[100, 98] == 2.0
    narrow = K.copy()
    narrow[0, 0] = 3.0
    both = register_depth(depth, K, np.eye(4), narrow, (240, 320))
    assert both[both > 0].tolist() == [2.0], "two pixels of depth, one of the picture: the nearest stays"
