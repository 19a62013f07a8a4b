"""Features of images and their matches, against OpenCV's own matcher one match at a time."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.geometry.features import FeatureMethod, Features, find_features, match_features, match_found

RATIO = 0.8


def matched_one_by_one(features0: Features, features1: Features) -> set[tuple[int, int]]:
    """Return mutual best matches that pass the ratio test, with OpenCV's matcher: the slow twin."""
    norm = cv2.NORM_L2 if features0.method == "sift" else cv2.NORM_HAMMING

    def best(query: NDArray[Any], train: NDArray[Any]) -> dict[int, int]:
        found = cv2.BFMatcher(norm).knnMatch(query, train, k=2)
        return {m[0].queryIdx: m[0].trainIdx for m in found if m[0].distance < RATIO * m[1].distance}

    forward = best(features0.descriptors, features1.descriptors)
    backward = best(features1.descriptors, features0.descriptors)
    return {(i, j) for i, j in forward.items() if backward.get(j) == i}


def textured(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 255, (60, 80), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.mark.parametrize("method", ["sift", "orb"])
def test_matches_are_those_of_opencvs_matcher(method: FeatureMethod) -> None:
    image = textured(0)
    turned = cv2.warpAffine(image, cv2.getRotationMatrix2D((160, 120), 7.0, 1.05), (320, 240))
    features0, features1 = find_features(image, method), find_features(np.asarray(turned, np.uint8), method)
    expected = matched_one_by_one(features0, features1)
    found = match_found(features0, features1, RATIO)
    assert len(expected) > 50
    assert len(found) == len(expected)
    pairs = sorted(expected)
    assert np.array_equal(found.pixels0, features0.points[[i for i, _ in pairs]])
    assert np.array_equal(found.pixels1, features1.points[[j for _, j in pairs]])


@pytest.mark.parametrize("seed", range(5))
def test_matches_of_descriptors_with_ties_are_those_of_opencvs_matcher(seed: int) -> None:
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 4, (40, 4)).astype(np.float32)  # so few values that distances tie and descriptors repeat
    features0 = Features("sift", rng.uniform(0, 99, (30, 2)), few[:30])
    features1 = Features("sift", rng.uniform(0, 99, (25, 2)), few[rng.permutation(40)[:25]])
    expected = sorted(matched_one_by_one(features0, features1))
    found = match_found(features0, features1, RATIO)
    assert np.array_equal(found.pixels0, features0.points[[i for i, _ in expected]].reshape(-1, 2))
    assert np.array_equal(found.pixels1, features1.points[[j for _, j in expected]].reshape(-1, 2))


def test_two_images_at_once_or_one_by_one_give_the_same() -> None:
    first, second = textured(1), np.roll(textured(1), 9, axis=1)
    at_once = match_features(first, second)
    one_by_one = match_found(find_features(first), find_features(second))
    assert np.array_equal(at_once.pixels0, one_by_one.pixels0)
    assert np.array_equal(at_once.pixels1, one_by_one.pixels1)


def test_a_colour_image_is_looked_at_in_grey() -> None:
    gray = textured(2)
    colour = np.repeat(gray[..., None], 3, axis=2)
    assert np.array_equal(find_features(gray).points, find_features(colour).points)


def test_without_features_there_are_no_matches() -> None:
    blank = find_features(np.full((120, 160), 128, np.uint8))
    assert len(blank.points) == 0
    assert len(match_found(blank, find_features(textured(3)))) == 0
    assert len(match_found(find_features(textured(3)), blank)) == 0


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="surf"):
        find_features(textured(4), "surf")  # type: ignore[arg-type]
