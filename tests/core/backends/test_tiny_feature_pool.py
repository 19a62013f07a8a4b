"""A weak pose is searched again with features: either kind of match may be wrong, and chance is no pose."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lsm_core.backends.tiny_feature_pool import (
    FeaturePoolOptions,
    PoolView,
    is_weak,
    pool_matches,
    search_with_features,
)
from lsm_core.backends.tiny_pose import PairPose, estimate_pose
from lsm_core.backends.tiny_residuals import MatchedPoints, PoseOptions, log_likelihood_ratios
from lsm_core.errors import GeometryError

WIDTH, HEIGHT, CELL = 256, 192, 8
K = np.array([[230.0, 0, 127.5], [0, 230.0, 95.5], [0, 0, 1]])
NORMAL = np.array([-0.6, 0.2, 1.0])  # the seen plane is NORMAL . X = 2: it has parallax
SEARCH, OPTIONS = PoseOptions(), FeaturePoolOptions()
Views = tuple[PoolView, PoolView]


def true_pose(turn_deg: float = -6.0, step: float = 0.3) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("xyz", [2, turn_deg, 4], degrees=True).as_matrix()
    T[:3, 3] = step * np.array([0.9, 0.2, -0.3])
    return T


def noise(height: int = HEIGHT, width: int = WIDTH, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cells in (8, 20, 45, 90):
        total += cv2.resize(rng.random((cells, cells * 4 // 3, 3)).astype(np.float32), (width, height))
    return (255 * (total - total.min()) / np.ptp(total)).astype(np.uint8)


def tiles() -> np.ndarray:
    """A texture that repeats every 16 px."""
    return np.tile(noise(16, 16, seed=5), (HEIGHT // 16, WIDTH // 16, 1))


def plane_depth(normal: np.ndarray, offset: float) -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT:CELL, 0:WIDTH:CELL] + (CELL - 1) / 2
    rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], -1)
    return (offset / (rays @ normal)).astype(np.float32)


def views(T: np.ndarray, texture: np.ndarray, zoom: int = 1) -> Views:
    """The plane seen from both places, images `zoom` times as large as the grid."""
    height, width = HEIGHT * zoom, WIDTH * zoom
    to_image = np.array([[zoom, 0, (zoom - 1) / 2], [0, zoom, (zoom - 1) / 2], [0, 0, 1.0]])
    K_image = to_image @ K
    H = K_image @ (T[:3, :3] + np.outer(T[:3, 3], NORMAL) / 2.0) @ np.linalg.inv(K_image)
    first = texture if zoom == 1 else cv2.resize(texture, (width, height))
    second = cv2.warpPerspective(first, H, (width, height), borderMode=cv2.BORDER_REFLECT)
    normal_1 = T[:3, :3] @ NORMAL
    depth_1 = plane_depth(normal_1, 2.0 + float(normal_1 @ T[:3, 3]))
    return (
        PoolView(first, K, to_image, plane_depth(NORMAL, 2.0), CELL),
        PoolView(second, K, to_image, depth_1, CELL),
    )


def project(points: np.ndarray) -> np.ndarray:
    return points[:, :2] / points[:, 2:] * [K[0, 0], K[1, 1]] + [K[0, 2], K[1, 2]]


def matches(pair: Views, T: np.ndarray, count: int = 80, wrong: float = 0.0) -> MatchedPoints:
    """Matches of the network that agree with a pose, but for a share of them."""
    rng = np.random.default_rng(0)
    pixels_0 = rng.uniform([30, 20], [226, 172], (count, 2))
    points_0 = pair[0].lift(pixels_0)
    points_1 = points_0 @ T[:3, :3].T + T[:3, 3]
    pixels_1 = project(points_1)
    bad = rng.random(count) < wrong
    pixels_1[bad] = rng.uniform([0, 0], [WIDTH, HEIGHT], (int(bad.sum()), 2))
    return MatchedPoints(points_0, pair[1].lift(pixels_1), pixels_1, pixels_0, K, K)


def none_of(found: MatchedPoints) -> MatchedPoints:
    return found.rows(slice(0, 0))


def turn_deg(pose: PairPose, T: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(pose.T_1_0[:3, :3] @ T[:3, :3].T).magnitude()))


def step_deg(pose: PairPose, T: np.ndarray) -> float:
    a, b = pose.T_1_0[:3, 3], T[:3, 3]
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def test_features_give_the_pose_where_the_networks_matches_are_wrong() -> None:
    T = true_pose()
    pair = views(T, noise())
    own = matches(pair, true_pose(), wrong=1.0)
    pose = search_with_features(pair, own, None, SEARCH, OPTIONS)
    assert turn_deg(pose, T) < 0.5 and step_deg(pose, T) < 5.0
    assert pose.inlier_count > 0.8 * pose.match_count  # the support is that of the features alone


def test_features_outweigh_a_wrong_pose_that_the_network_agrees_on() -> None:
    T, other = true_pose(), true_pose(turn_deg=8.0, step=-0.2)
    pair = views(T, noise())
    own = matches(pair, other, count=60)
    first = estimate_pose(own, SEARCH)
    assert turn_deg(first, T) > 10
    pose = search_with_features(pair, own, first, SEARCH, OPTIONS)
    assert turn_deg(pose, T) < 0.5


@pytest.mark.parametrize("case", ["unrelated images", "repeated texture"])
def test_the_networks_matches_give_the_pose_where_features_are_wrong(case: str) -> None:
    T = true_pose()
    pair = views(T, noise() if case == "unrelated images" else tiles())
    if case == "unrelated images":
        pair = (pair[0], replace(pair[1], image=noise(seed=8)))
    own = matches(pair, T, wrong=0.2)
    pose = search_with_features(pair, own, estimate_pose(own, SEARCH), SEARCH, OPTIONS)
    assert turn_deg(pose, T) < 1.0 and step_deg(pose, T) < 10.0


def test_neither_kind_alone_but_both_together() -> None:
    T = true_pose()
    pair = views(T, noise())
    own = matches(pair, T, count=10)
    pose = search_with_features(pair, own, None, SEARCH, replace(OPTIONS, features=12))
    assert turn_deg(pose, T) < 1.0


def test_a_pure_rotation_has_no_parallax() -> None:
    T = true_pose(step=0.0)
    pair = views(T, noise())
    pose = search_with_features(pair, none_of(matches(pair, T)), None, SEARCH, OPTIONS)
    assert turn_deg(pose, T) < 0.3
    assert pose.parallax_deg < 0.5


def test_identical_images_have_no_motion() -> None:
    pair = views(np.eye(4), noise())
    pose = search_with_features(pair, none_of(matches(pair, np.eye(4))), None, SEARCH, OPTIONS)
    assert turn_deg(pose, np.eye(4)) < 0.05
    assert pose.parallax_deg < 0.1


def test_chance_is_no_pose() -> None:
    pair = views(true_pose(), noise())
    unrelated = (pair[0], replace(pair[1], image=noise(seed=8)))
    with pytest.raises(GeometryError, match="chance"):
        search_with_features(unrelated, matches(pair, true_pose(), count=300, wrong=1.0), None, SEARCH, OPTIONS)


@pytest.mark.parametrize("size", [(1, 1), (6, 9), (16, 16)])
def test_tiny_images_without_matches_are_refused(size: tuple[int, int]) -> None:
    pair = views(true_pose(), noise())
    small = tuple(replace(view, image=np.zeros((*size, 3), np.uint8)) for view in pair)
    with pytest.raises(GeometryError, match="Neither"):
        search_with_features((small[0], small[1]), none_of(matches(pair, true_pose())), None, SEARCH, OPTIONS)


@pytest.mark.parametrize(("zoom", "longer_side_px"), [(1, 640), (3, 2000), (3, 400)])
def test_features_lie_where_the_true_pose_puts_them(zoom: int, longer_side_px: int) -> None:
    T = true_pose()
    pair = views(T, noise(), zoom)
    options = replace(OPTIONS, longer_side_px=longer_side_px)
    found = pool_matches(pair, none_of(matches(pair, T)), SEARCH, options).found
    assert len(found.points_0) > 50
    error = np.linalg.norm(project(found.points_0 @ T[:3, :3].T + T[:3, 3]) - found.pixels_in_1, axis=1)
    assert np.median(error) < 0.4


def test_the_same_input_gives_the_same_pose() -> None:
    pair = views(true_pose(), noise())
    own = matches(pair, true_pose(), wrong=0.6)
    first, second = (search_with_features(pair, own, None, SEARCH, OPTIONS) for _ in range(2))
    np.testing.assert_array_equal(first.T_1_0, second.T_1_0)


def test_weak_is_little_support_or_a_small_share_of_it() -> None:
    strong = PairPose(np.eye(4), 1.0, np.ones(200, bool), 200, 5.0, 300)
    assert not is_weak(strong, OPTIONS)
    assert is_weak(None, OPTIONS)
    assert is_weak(replace(strong, inlier_count=OPTIONS.enough_support - 1), OPTIONS)
    assert is_weak(replace(strong, match_count=500), OPTIONS)


def test_likelihood_of_an_exact_match_is_its_density_against_chance() -> None:
    T = np.eye(4)  # depth moves nothing: the covariance is that of the match alone
    pair = views(T, noise())
    found = matches(pair, T, count=20)
    expected = np.log(1000.0 / (2 * np.pi * SEARCH.match_px**2))
    np.testing.assert_allclose(log_likelihood_ratios(found, T, 1.0, SEARCH, 1000.0), expected, rtol=1e-6)
    aside = replace(found, pixels_in_1=found.pixels_in_1 + np.array([0.0, 2 * SEARCH.match_px]))
    np.testing.assert_allclose(log_likelihood_ratios(aside, T, 1.0, SEARCH, 1000.0), expected - 2.0, rtol=1e-6)
    away = replace(found, pixels_in_1=found.pixels_in_1 + 100.0)
    assert not log_likelihood_ratios(away, T, 1.0, SEARCH, 1000.0).any()


def test_a_pose_under_which_depth_explains_anything_gains_less() -> None:
    T, far = true_pose(), true_pose(step=0.8)
    pair = views(T, noise())
    near_gain = log_likelihood_ratios(matches(pair, T), T, 1.0, SEARCH, 49152.0).sum()
    far_gain = log_likelihood_ratios(matches(views(far, noise()), far), far, 1.0, SEARCH, 49152.0).sum()
    assert 0 < far_gain < 0.9 * near_gain
