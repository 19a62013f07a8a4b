"""Backends lsm and dust3r on small checkpoints that know two images: poses, Gaussians and words are right."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from fitted_checkpoints import write_fitted_checkpoints
from known_pair import CLASSES, HEIGHT, T_CAM0_CAM1, WIDTH, K, known_pair

from lsm_core.backends import dust3r, lsm
from lsm_core.backends.dust3r import Dust3rOptions
from lsm_core.backends.lsm import LsmBackend, LsmOptions
from lsm_core.backends.pair_geometry import CameraOptions
from lsm_core.errors import UnsupportedError
from lsm_core.nn.gaussian_head import point_spacing
from lsm_core.types import Prediction

CPU = torch.device("cpu")
VIEWS = known_pair()
IMAGES = [view.rgb for view in VIEWS]
LABEL = VIEWS[0].label
CROP = slice((WIDTH - HEIGHT) // 2, (WIDTH + HEIGHT) // 2)  # columns that the square crop keeps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("known")
    write_fitted_checkpoints(path, VIEWS, CLASSES)
    return path


@pytest.fixture(scope="module")
def backend(folder: Path) -> LsmBackend:
    return lsm.load(CPU, folder)


@pytest.fixture(scope="module")
def found(backend: LsmBackend) -> Prediction:
    return backend.predict(IMAGES, [K, K])


def check_pose(found: Prediction) -> None:
    assert found.pose_valid == [True, True] and found.validity > 0.9
    np.testing.assert_allclose(found.poses[1].numpy()[:3, :3], T_CAM0_CAM1[:3, :3], atol=0.01)
    np.testing.assert_allclose(found.poses[1].numpy()[:3, 3], T_CAM0_CAM1[:3, 3], atol=0.03)


def test_the_pose_is_found_from_one_pass_through_the_encoder_per_image(backend: LsmBackend) -> None:
    passes: Counter[str] = Counter()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: passes.update([name]))
        for name, module in (
            ("encoder", backend.network.dust3r.patch_embed),
            ("language", backend.network.lseg.vit),
            ("decoder", backend.network.dust3r.dec_blocks[0]),
            ("fusion", backend.network.point_transformer),
        )
    ]
    check_pose(backend.predict(IMAGES, [K, K]))
    for hook in hooks:
        hook.remove()
    assert passes == {"encoder": 2, "language": 2, "decoder": 1, "fusion": 1}  # both orders in one batch


@pytest.mark.parametrize("reference", ["first", "confidence"])
def test_without_calibration_the_focal_length_is_found_too(folder: Path, reference: str) -> None:
    model = dust3r.load(CPU, folder, Dust3rOptions(256, cameras=CameraOptions(reference=reference)))  # type: ignore[arg-type]
    found = model.predict(IMAGES)
    check_pose(found)
    for view in range(2):
        focal = found.grid_to_image[view][0, 0] * found.intrinsics[view][0, 0]
        assert float(focal) == pytest.approx(K[0, 0], rel=0.01)


def test_dust3rs_gaussians_are_its_points_as_wide_as_they_are_apart(folder: Path) -> None:
    found = dust3r.load(CPU, folder, Dust3rOptions(256)).predict(IMAGES, [K, K])
    assert found.gaussians is not None and found.features is None
    points = torch.cat([p.flatten(0, 1) for p in found.pointmaps])
    assert torch.equal(found.gaussians.means, points)
    assert bool((found.confidence[0] > 1).all())
    torch.testing.assert_close(found.gaussians.scales[:, 0], 0.5 * point_spacing(points[None])[0])
    depth = torch.from_numpy(VIEWS[1].depth[:, CROP])[None, None]
    wanted = torch.nn.functional.interpolate(depth, (256, 256), mode="bilinear")[0, 0]
    torch.testing.assert_close(found.depth(1), wanted, atol=0.05, rtol=0.02)


def test_a_pair_it_does_not_know_gets_no_pose(folder: Path) -> None:
    model = dust3r.load(CPU, folder, Dust3rOptions(256))
    strange = np.random.default_rng(9).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    found = model.predict([IMAGES[0], strange], [K, K])
    assert found.pose_valid == [True, False] and found.validity == 0.0
    assert bool(found.poses[1].isnan().all())


def test_words_are_found_in_the_input_views(backend: LsmBackend, found: Prediction) -> None:
    answer = backend.query(found, CLASSES)
    assert len(answer.labels) == 2
    for labels in answer.labels:
        assert (labels == LABEL)[:, CROP].mean() > 0.9


def test_words_are_found_in_rendered_views_through_64_numbers_per_gaussian(
    backend: LsmBackend, found: Prediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found.gaussians is not None and found.gaussians.features is not None
    assert found.gaussians.features.shape == (2 * 256 * 256, 64)
    decoded = 0
    decode = backend.decode_features

    def counting(features: torch.Tensor) -> torch.Tensor:
        nonlocal decoded
        decoded += features[..., 0].numel()
        return decode(features)

    monkeypatch.setattr(backend, "decode_features", counting)
    seen = LABEL[1::3, CROP.start + 1 : CROP.stop : 3]  # what the square crop shows, on 80 x 80 pixels
    answer = backend.query(found, CLASSES, camera=found.camera(0).resized(80, 80))
    assert (answer.labels[0] == seen)[4:-4, 4:-4].mean() > 0.85
    assert decoded < 200  # of 6,400 pixels and 131,072 Gaussians: the decoder is read off, not applied


def test_about_the_principal_point_the_same_scene_is_seen_from_another_crop(folder: Path) -> None:
    model = lsm.load(CPU, folder, LsmOptions(crop="principal_point"))
    shifted = K.copy()
    shifted[0, 2] = 139.5
    view = model.encode(IMAGES[0], shifted)
    centre = view.grid_to_image @ torch.tensor([127.5, 127.5, 1.0])
    assert centre[:2].tolist() == pytest.approx([139.5, 119.5], abs=0.6)
    assert model.encode(IMAGES[0]).grid_to_image[0, 2] > view.grid_to_image[0, 2]  # without calibration: the middle


def test_words_are_refused_by_the_geometry_alone(folder: Path) -> None:
    model = dust3r.load(CPU, folder, Dust3rOptions(256))
    with pytest.raises(UnsupportedError, match="--semantics lseg"):
        model.query(model.predict(IMAGES, [K, K]), ["chair"])
