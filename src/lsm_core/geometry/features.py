"""Point features of two images and their matches: SIFT or ORB through OpenCV, ratio test, mutual best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError

FeatureMethod = Literal["sift", "orb"]


@dataclass(frozen=True)
class Matches:
    """Pixels of two images that show the same point.

    Attributes:
        pixels0: [N, 2] float64 (x, y) in image 0; pixel (0, 0) is the centre of the top-left pixel.
        pixels1: [N, 2] float64 in image 1.
    """

    pixels0: NDArray[np.float64]
    pixels1: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pixels0)


def match_features(
    image0: NDArray[np.uint8],
    image1: NDArray[np.uint8],
    method: FeatureMethod = "sift",
    ratio: float = 0.8,
    max_features: int = 4000,
) -> Matches:
    """Detect, describe and match points of two images.

    Args:
        image0, image1: [H, W, 3] uint8 RGB or [H, W] uint8.
        method: "sift" or "orb".
        ratio: a match is kept if its distance is below this share of the second best one's.
        max_features: detected points per image.

    Returns:
        Mutual best matches; possibly none.

    Raises:
        InputError: unknown method.
    """
    if method not in ("sift", "orb"):
        raise InputError(f"There is no feature method '{method}'.", "Choose sift or orb.")
    points0, desc0 = _describe(image0, method, max_features)
    points1, desc1 = _describe(image1, method, max_features)
    if len(points0) < 2 or len(points1) < 2:
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    norm = cv2.NORM_L2 if method == "sift" else cv2.NORM_HAMMING
    forward = _best_by_ratio(desc0, desc1, norm, ratio)
    backward = _best_by_ratio(desc1, desc0, norm, ratio)
    pairs = [(i, j) for i, j in forward.items() if backward.get(j) == i]
    index = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Matches(points0[index[:, 0]], points1[index[:, 1]])


def _describe(
    image: NDArray[np.uint8], method: FeatureMethod, max_features: int
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return points [N, 2] and descriptors [N, D] of one image."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    opencv: Any = cv2  # the stubs of OpenCV 5 lack the detectors' factory functions
    if method == "sift":
        detector = opencv.SIFT_create(nfeatures=max_features)
    else:
        detector = opencv.ORB_create(nfeatures=max_features, fastThreshold=7)
    keypoints, descriptors = detector.detectAndCompute(gray, None)
    if descriptors is None:
        return np.zeros((0, 2)), np.zeros((0, 1))
    return np.array([k.pt for k in keypoints], dtype=np.float64).reshape(-1, 2), descriptors


def _best_by_ratio(query: NDArray[Any], train: NDArray[Any], norm: int, ratio: float) -> dict[int, int]:
    """Return query index -> train index of matches that pass the ratio test."""
    found = cv2.BFMatcher(norm).knnMatch(query, train, k=2)
    return {m[0].queryIdx: m[0].trainIdx for m in found if len(m) == 2 and m[0].distance < ratio * m[1].distance}
