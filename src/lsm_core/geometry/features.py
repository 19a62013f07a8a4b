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


@dataclass(frozen=True)
class Features:
    """Points of one image and what they look like.

    Attributes:
        method: "sift" or "orb".
        points: [N, 2] float64 pixels (x, y).
        descriptors: [N, D] float32 (sift) or uint8 (orb).
    """

    method: FeatureMethod
    points: NDArray[np.float64]
    descriptors: NDArray[Any]


def match_features(
    image0: NDArray[np.uint8],
    image1: NDArray[np.uint8],
    method: FeatureMethod = "sift",
    ratio: float = 0.8,
    max_features: int = 4000,
) -> Matches:
    """Detect, describe and match points of two images; see `find_features` and `match_found`."""
    return match_found(
        find_features(image0, method, max_features), find_features(image1, method, max_features), ratio
    )


def find_features(image: NDArray[np.uint8], method: FeatureMethod = "sift", max_features: int = 4000) -> Features:
    """Detect and describe points of an image.

    Args:
        image: [H, W, 3] uint8 RGB or [H, W] uint8.
        method: "sift" or "orb".
        max_features: detected points at most.

    Raises:
        InputError: unknown method.
    """
    if method not in ("sift", "orb"):
        raise InputError(f"There is no feature method '{method}'.", "Choose sift or orb.")
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    opencv: Any = cv2  # the stubs of OpenCV 5 lack the detectors' factory functions
    if method == "sift":
        detector = opencv.SIFT_create(nfeatures=max_features)
    else:
        detector = opencv.ORB_create(nfeatures=max_features, fastThreshold=7)
    keypoints, descriptors = detector.detectAndCompute(gray, None)
    if descriptors is None:
        return Features(method, np.zeros((0, 2)), np.zeros((0, 1)))
    points = np.asarray(opencv.KeyPoint_convert(keypoints), np.float64).reshape(-1, 2)
    return Features(method, points, descriptors)


def match_found(features0: Features, features1: Features, ratio: float = 0.8) -> Matches:
    """Match the features of two images, found with the same method.

    Args:
        features0, features1: of the images.
        ratio: a match is kept if its distance is below this share of the second best one's.

    Returns:
        Mutual best matches in the order of image 0; possibly none.
    """
    if len(features0.points) < 2 or len(features1.points) < 2:
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    forward = _best_by_ratio(features0, features1, ratio)
    backward = _best_by_ratio(features1, features0, ratio)
    index0 = np.flatnonzero(forward >= 0)
    index0 = index0[backward[forward[index0]] == index0]
    return Matches(features0.points[index0], features1.points[forward[index0]])


def _best_by_ratio(query: Features, train: Features, ratio: float) -> NDArray[np.int64]:
    """Return [N] per query feature the train feature that passes the ratio test, -1 where none does."""
    norm, kind = (cv2.NORM_L2, cv2.CV_32F) if query.method == "sift" else (cv2.NORM_HAMMING, cv2.CV_32S)
    distance, index = cv2.batchDistance(query.descriptors, train.descriptors, kind, normType=norm, K=2)
    best, second = distance[:, 0].astype(np.float64), distance[:, 1].astype(np.float64)
    return np.where(best < ratio * second, index[:, 0].astype(np.int64), -1)
