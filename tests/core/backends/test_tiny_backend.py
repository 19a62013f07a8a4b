"""lsm-tiny behind the API: shapes, frames, caching, honest failure, typed errors, the packaged weights."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lsm_core.backends.tiny import TinyBackend, TinyOptions, load
from lsm_core.backends.tiny_full_resolution import FullResolutionOptions
from lsm_core.backends.tiny_weights import PACKAGED, WeightsCard
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.geometry import apply_affine, project, transform_points
from lsm_core.nn.tiny import TinyConfig, TinyNet
from lsm_core.types import Prediction

K_IMAGE = np.array([[330.0, 0, 179.5], [0, 330.0, 134.5], [0, 0, 1]])
HEIGHT, WIDTH = 270, 360


@pytest.fixture(scope="module")
def untrained() -> TinyBackend:
    torch.manual_seed(0)
    network = TinyNet(TinyConfig()).eval().requires_grad_(False)
    return TinyBackend(network, torch.device("cpu"), WeightsCard("", 0, TinyConfig(), {}))


@pytest.fixture(scope="module")
def packaged() -> TinyBackend:
    assert PACKAGED.is_file(), "the package must carry its weights"
    backend = load(torch.device("cpu"), None)
    return backend


def noise_image(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Smooth coloured noise at several scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (6, 14, 34, 70):
        small = rng.random((cells, cells * 4 // 3, 3)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    total = (total - total.min()) / (total.max() - total.min())
    return (255 * total).astype(np.uint8)


def moved_plane() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64]]:
    """A textured plane at z = 2 seen from two places: both images and T_1_0."""
    T_1_0 = np.eye(4)
    T_1_0[:3, :3] = Rotation.from_euler("xyz", [3, -9, 6], degrees=True).as_matrix()
    T_1_0[:3, 3] = [0.2, 0.05, -0.05]
    first = noise_image(1)
    normal = np.array([0.0, 0.0, 1.0])
    H = K_IMAGE @ (T_1_0[:3, :3] + np.outer(T_1_0[:3, 3], normal) / 2.0) @ np.linalg.inv(K_IMAGE)
    second = cv2.warpPerspective(first, H, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    return first, second, T_1_0


@pytest.fixture(scope="module")
def plane(packaged: TinyBackend) -> Prediction:
    first, second, _ = moved_plane()
    return packaged.predict([first, second], [K_IMAGE, K_IMAGE])


def test_outputs_have_one_grid_per_view_and_know_where_it_lies(untrained: TinyBackend) -> None:
    prediction = untrained.predict([noise_image(0, 360, 540), noise_image(1, 360, 540)])
    assert prediction.pointmaps[0].shape == prediction.pointmaps[1].shape == (96, 144, 3)
    assert prediction.confidence[0].shape == (96, 144) and float(prediction.confidence[0].min()) > 0
    assert prediction.features is not None and prediction.features[1].shape == (96, 144, 64)
    assert prediction.colors[0].shape == (96, 144, 3) and prediction.colors[0].dtype == np.uint8
    corners = torch.tensor([[-0.5, -0.5], [143.5, 95.5]])
    expected = torch.tensor([[-0.5, -0.5], [539.5, 359.5]])
    torch.testing.assert_close(apply_affine(prediction.grid_to_image[0], corners), expected, atol=1e-3, rtol=0)
    assert prediction.image_sizes == [(360, 540)] * 2 and prediction.unit == "relative"


def test_intrinsics_of_the_grid_describe_the_same_rays_as_those_of_the_image(untrained: TinyBackend) -> None:
    prediction = untrained.predict([noise_image(0), noise_image(1)], [K_IMAGE, None])
    pixel = torch.tensor([30.0, 70.0])
    in_image = apply_affine(prediction.grid_to_image[0], pixel)
    ray_grid = torch.linalg.inv(prediction.intrinsics[0]) @ torch.tensor([*pixel, 1.0])
    ray_image = torch.from_numpy(np.linalg.inv(K_IMAGE) @ [*in_image.tolist(), 1.0]).float()
    torch.testing.assert_close(ray_grid, ray_image, atol=1e-4, rtol=0)


def test_unrelated_views_get_no_pose_and_nothing_that_pretends_one(untrained: TinyBackend) -> None:
    prediction = untrained.predict([noise_image(0), noise_image(1)])
    assert prediction.pose_valid == [True, False] and prediction.validity == 0.0
    assert bool(prediction.poses[1].isnan().all()) and bool(prediction.pointmaps[1].isnan().all())
    assert bool(torch.isfinite(prediction.pointmaps[0]).all())
    assert prediction.gaussians is not None and bool(torch.isfinite(prediction.gaussians.means).all())
    assert bool(torch.isfinite(prediction.extras["depth"][1]).all())


def test_cached_features_give_the_same_prediction_as_images(untrained: TinyBackend) -> None:
    images = [noise_image(0), noise_image(1)]
    direct = untrained.predict(images, [K_IMAGE, None])
    cached = untrained.predict([untrained.encode(images[0], K_IMAGE), untrained.encode(images[1])])
    assert torch.equal(direct.pointmaps[0], cached.pointmaps[0])
    assert torch.equal(direct.confidence[1], cached.confidence[1])


def test_views_of_different_shape_are_brought_to_the_first_ones_grid(untrained: TinyBackend) -> None:
    prediction = untrained.predict([noise_image(0, 240, 320), noise_image(1, 270, 480)])
    assert prediction.confidence[1].shape == (96, 128)
    left = apply_affine(prediction.grid_to_image[1], torch.tensor([-0.5, 0.0]))
    assert float(left[0]) > 5.0, "the wide image loses its sides"
    assert prediction.image_sizes[1] == (270, 480)


def test_what_cannot_be_done_is_a_typed_error(untrained: TinyBackend) -> None:
    image = noise_image(0)
    with pytest.raises(InputError, match="two views"):
        untrained.predict([image])
    with pytest.raises(InputError, match="two views"):
        untrained.predict([image] * 3)
    with pytest.raises(InputError, match="intrinsics"):
        untrained.predict([image, image], [K_IMAGE])
    with pytest.raises(UnsupportedError, match="poses"):
        untrained.predict([image, image], poses=[np.eye(4), np.eye(4)])
    with pytest.raises(InputError, match="uint8"):
        untrained.predict([image.astype(np.float32), image])


def test_decoded_features_are_the_linear_map_of_the_text_head(untrained: TinyBackend) -> None:
    features = torch.randn(3, 64)
    decoded = untrained.decode_features(features)
    assert decoded.shape == (3, 384)
    torch.testing.assert_close(untrained.decode_features(2 * features), 2 * decoded)


def test_packaged_weights_find_the_pose_of_a_moved_camera(plane: Prediction) -> None:
    *_, T_1_0 = moved_plane()
    assert plane.pose_valid == [True, True] and plane.validity > 0.5
    R = np.linalg.inv(plane.poses[1].double().numpy())[:3, :3]
    error_deg = np.degrees(Rotation.from_matrix(R @ T_1_0[:3, :3].T).magnitude())
    assert error_deg < 5.0  # of 11.2; a frontal plane is the ambiguous case


def test_pointmap_of_view_1_reprojects_onto_its_own_grid(plane: Prediction) -> None:
    T_1_0 = torch.linalg.inv(plane.poses[1])
    pixels, depth = project(transform_points(T_1_0, plane.pointmaps[1]), plane.intrinsics[1])
    height, width = depth.shape
    v, u = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    torch.testing.assert_close(pixels, torch.stack((u, v), -1), atol=0.02, rtol=0)
    torch.testing.assert_close(plane.depth(1), depth, atol=1e-3, rtol=1e-3)


def test_both_views_agree_on_the_surface(plane: Prediction) -> None:
    """View 1's points, seen from camera 0, lie at the depth that view 0 gives there."""
    pixels, depth = project(plane.pointmaps[1], plane.intrinsics[0])
    u, v = pixels[..., 0].round().long(), pixels[..., 1].round().long()
    h, w = plane.confidence[0].shape
    inside = (u >= 0) & (u < w) & (v >= 0) & (v < h)
    ratio = depth[inside] / plane.pointmaps[0][..., 2][v[inside], u[inside]]
    assert 0.9 < float(ratio.median()) < 1.1


def test_the_packaged_network_is_small_and_remembers_its_training(packaged: TinyBackend) -> None:
    assert PACKAGED.stat().st_size < 20e6
    assert packaged.card.training["steps"] > 0 and "seed" in packaged.card.training


@pytest.fixture(scope="module")
def at_full_resolution(packaged: TinyBackend) -> TinyBackend:
    options = TinyOptions(full_resolution=FullResolutionOptions())
    return TinyBackend(packaged.network, packaged.device, packaged.card, options)


def test_features_of_the_images_give_a_pose_where_the_network_has_no_matches(packaged: TinyBackend) -> None:
    first, second, T_1_0 = moved_plane()
    no_matches = TinyOptions(min_match_score=2.0, full_resolution=None)
    with_features = replace(no_matches, full_resolution=FullResolutionOptions())
    found = []
    for options in (no_matches, with_features):
        backend = TinyBackend(packaged.network, packaged.device, packaged.card, options)
        found.append(backend.predict([first, second], [K_IMAGE, K_IMAGE]))
    assert [prediction.pose_valid[1] for prediction in found] == [False, True]
    R = found[1].poses[1][:3, :3].double().numpy()
    assert np.degrees(Rotation.from_matrix(R @ T_1_0[:3, :3]).magnitude()) < 1.0
    assert 0 < found[1].stats["inliers"] <= found[1].stats["matches"]


def test_identical_images_at_full_resolution_have_no_motion(at_full_resolution: TinyBackend) -> None:
    image = noise_image(4)
    prediction = at_full_resolution.predict([image, image], [K_IMAGE, K_IMAGE])
    R = prediction.poses[1][:3, :3].double().numpy()
    assert np.degrees(Rotation.from_matrix(R).magnitude()) < 0.1
    assert prediction.stats["parallax_deg"] < 0.2


def test_tiny_images_at_full_resolution_are_answered(at_full_resolution: TinyBackend) -> None:
    prediction = at_full_resolution.predict([noise_image(0, 24, 32), noise_image(1, 24, 32)])
    assert prediction.validity < 0.8
    assert torch.isfinite(prediction.extras["depth"][1]).all()
