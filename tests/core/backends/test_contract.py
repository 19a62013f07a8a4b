"""What every backend of the registry promises, on small random weights; a new one is taken up by its name."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lsm_core.backends import Backend, backend_names, load_backend
from lsm_core.backends.seeded import load_seeded
from lsm_core.errors import DeviceError, InputError, LsmError, UnsupportedError
from lsm_core.geometry import apply_affine, se3_exp
from lsm_core.types import Gaussians, Prediction, ViewFeatures

HEIGHT, WIDTH = 72, 96
K = np.array([[80.0, 0, 47.5], [0, 80.0, 35.5], [0, 0, 1]])
T_CAM0_CAM1 = se3_exp(torch.tensor([0.3, 0.02, 0.05, 0.01, -0.05, 0.02]))
FEW_CALLS, MANY_CALLS = 3, 50


def picture(seed: int) -> np.ndarray:
    """Return an image with large shapes and some texture."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3)).repeat(12, 0).repeat(12, 1)
    return np.clip(small + rng.integers(-20, 21, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


IMAGES = [picture(0), picture(1)]


@pytest.fixture(scope="module", params=backend_names())
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return load_seeded(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def found(backend: Backend) -> Prediction:
    """The pair as predicted from its images; not to be changed."""
    return predict(backend)


def predict(backend: Backend, views: Sequence[Any] = IMAGES, **given: Any) -> Prediction:
    """Predict a pair with what the backend needs to be told."""
    if backend.needs_poses:
        given.setdefault("poses", [torch.eye(4), T_CAM0_CAM1])
    given.setdefault("intrinsics", [K, K])
    return backend.predict(views, generator=torch.Generator().manual_seed(3), **given)


def tensors_of(value: object) -> list[Tensor]:
    """Return all tensors and arrays in a prediction or in parts of it, in a fixed order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, np.ndarray):
        return [torch.from_numpy(value)]
    if isinstance(value, Gaussians | Prediction | ViewFeatures):
        return [t for field in fields(value) for t in tensors_of(getattr(value, field.name))]
    if isinstance(value, dict):
        return [t for key in sorted(value) for t in tensors_of(value[key])]
    return [t for part in value for t in tensors_of(part)] if isinstance(value, list | tuple) else []


def assert_equal(first: Prediction, second: Prediction) -> None:
    ours, theirs = tensors_of(first), tensors_of(second)
    assert len(ours) == len(theirs) > 10
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def test_shapes_frames_and_units(backend: Backend, found: Prediction) -> None:
    assert found.backend == backend.name and found.unit in ("metric", "relative") and found.views == 2
    assert 0.0 <= found.validity <= 1.0 and found.image_sizes == [(HEIGHT, WIDTH)] * 2
    assert torch.equal(found.poses[0].cpu(), torch.eye(4)) and found.pose_valid[0]
    for v in range(2):
        h, w = found.pointmaps[v].shape[:2]
        assert found.pointmaps[v].shape == (h, w, 3) and found.confidence[v].shape == (h, w)
        assert found.colors[v].shape == (h, w, 3) and found.colors[v].dtype == np.uint8
        floats = (found.pointmaps[v], found.confidence[v], found.poses[v], found.intrinsics[v])
        assert all(t.dtype == torch.float32 and t.device == backend.device for t in floats)
        assert found.poses[v].shape == (4, 4) and found.grid_to_image[v].shape == (3, 3)
        corners = apply_affine(found.grid_to_image[v].cpu(), torch.tensor([[0.0, 0.0], [w - 1.0, h - 1.0]]))
        assert bool((corners > -1).all() and (corners < torch.tensor([WIDTH, HEIGHT])).all())
        Kg = found.intrinsics[v]
        assert float(Kg[0, 0]) > 0 and float(Kg[1, 1]) > 0 and 0 < float(Kg[0, 2]) < w and 0 < float(Kg[1, 2]) < h
        if found.pose_valid[v]:
            R = found.poses[v][:3, :3].double().cpu()
            assert torch.allclose(R @ R.T, torch.eye(3).double(), atol=1e-4) and float(torch.det(R)) > 0
            assert bool(torch.isfinite(found.pointmaps[v]).all()) and bool((found.confidence[v] > 0).all())
            assert found.depth(v).shape == (h, w)
    if backend.needs_poses:
        torch.testing.assert_close(found.poses[1].cpu(), T_CAM0_CAM1, atol=1e-5, rtol=0)


def test_gaussians_are_whole_and_in_range(found: Prediction) -> None:
    gaussians = found.gaussians
    if gaussians is None:
        return
    parts = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh)
    assert all(t.dtype == torch.float32 and bool(torch.isfinite(t).all()) for t in parts)
    assert len(gaussians) > 0 and gaussians.degree <= 3 and bool((gaussians.scales > 0).all())
    norms = torch.linalg.vector_norm(gaussians.quats, dim=-1)
    torch.testing.assert_close(norms, torch.ones_like(norms), atol=1e-4, rtol=0)
    assert float(gaussians.opacities.min()) >= 0 and float(gaussians.opacities.max()) <= 1


def test_equal_input_gives_equal_output_whatever_was_asked_between(backend: Backend, found: Prediction) -> None:
    predict(backend, [picture(5), picture(6)])
    assert_equal(predict(backend), found)


def test_without_a_generator_the_seed_is_fixed(backend: Backend) -> None:
    given = {"poses": [torch.eye(4), T_CAM0_CAM1]} if backend.needs_poses else {}
    assert_equal(backend.predict(IMAGES, [K, K], **given), backend.predict(IMAGES, [K, K], **given))  # type: ignore[arg-type]


def test_views_encoded_alone_give_what_their_images_give(backend: Backend, found: Prediction) -> None:
    encoded = [backend.encode(image, K) for image in IMAGES]
    assert all(view.backend == backend.name and view.image.shape == (HEIGHT, WIDTH, 3) for view in encoded)
    assert_equal(predict(backend, encoded, intrinsics=None), found)


def test_inputs_are_not_changed(backend: Backend) -> None:
    images, intrinsics = [image.copy() for image in IMAGES], [K.copy(), torch.from_numpy(K.copy())]
    poses = [torch.eye(4), T_CAM0_CAM1.clone()]
    encoded = [backend.encode(image, k) for image, k in zip(images, intrinsics, strict=True)]
    before = [t.clone() for t in tensors_of(encoded)]
    given = {"poses": poses} if backend.needs_poses else {}
    predict(backend, encoded, intrinsics=None, **given)
    predict(backend, images, intrinsics=intrinsics, **given)
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(encoded), before, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(images, IMAGES, strict=True))
    assert all(np.array_equal(np.asarray(k), K) for k in intrinsics)
    assert torch.equal(poses[0], torch.eye(4)) and torch.equal(poses[1], T_CAM0_CAM1)


def test_bad_input_is_refused_by_type(backend: Backend) -> None:
    other = ViewFeatures("another", IMAGES[0], None, torch.eye(3), {})
    nan = np.full((3, 3), np.nan)
    for views, given in (
        ([], {}),
        (IMAGES[:1], {}),
        (IMAGES * 20, {}),
        (["a.jpg", IMAGES[1]], {}),
        ([other, IMAGES[1]], {"intrinsics": None}),
        (IMAGES, {"intrinsics": [K]}),
        (IMAGES, {"intrinsics": [K, nan]}),
        (IMAGES, {"intrinsics": [K, np.eye(4)]}),
    ):
        with pytest.raises(InputError) as caught:
            predict(backend, views, **given)  # type: ignore[arg-type]
        assert caught.value.message
    assert len(predict(backend).poses) == 2  # and it goes on


def test_poses_are_read_or_refused(backend: Backend) -> None:
    poses = [torch.eye(4), T_CAM0_CAM1]
    if not backend.needs_poses:
        with pytest.raises(UnsupportedError, match="pose"):
            backend.predict(IMAGES, [K, K], poses=poses)
        return
    with pytest.raises(InputError, match="pose") as caught:
        backend.predict(IMAGES, [K, K])
    assert "odometry" in caught.value.fix  # what to connect
    for bad in (poses[:1], [poses[0], torch.full((4, 4), torch.nan)], [poses[0], 2 * torch.eye(4)]):
        with pytest.raises(InputError):
            backend.predict(IMAGES, [K, K], poses=bad)


def test_intrinsics_are_asked_for_only_where_they_are_needed(backend: Backend) -> None:
    if backend.needs_intrinsics:
        with pytest.raises(InputError, match="intrinsics"):
            predict(backend, intrinsics=None)
    else:
        found = predict(backend, intrinsics=None)
        assert all(float(k[0, 0]) > 0 for k in found.intrinsics)


def test_words_are_answered_or_refused(backend: Backend, found: Prediction) -> None:
    if not backend.has_language:
        with pytest.raises(UnsupportedError, match="no language"):
            backend.query(found, ["chair"])
        assert found.features is None and backend.embedding_dim == 0
        return
    assert found.features is not None
    assert backend.decode_features(found.features[0]).shape[-1] == backend.embedding_dim > 0


@pytest.mark.parametrize("calls", [FEW_CALLS, pytest.param(MANY_CALLS, marks=pytest.mark.slow)])
def test_pairs_leave_no_tensor_behind(backend: Backend, calls: int) -> None:
    encoded = [backend.encode(image, K) for image in IMAGES]

    def held() -> int:
        gc.collect()
        return sum(t.nbytes for t in gc.get_objects() if type(t) is Tensor and t.device.type != "meta")

    for _ in range(2):  # what is made once and kept
        predict(backend, encoded, intrinsics=None)
    before = held()
    for _ in range(calls):
        predict(backend, encoded, intrinsics=None)
    assert held() <= before + 4096


def test_a_device_that_is_not_there_is_a_typed_error() -> None:
    for name in backend_names():
        with pytest.raises(DeviceError):
            load_backend(name, "tpu9")


@pytest.mark.parametrize("name", [name for name in backend_names() if name != "lsm-tiny"])
def test_weights_that_are_missing_or_no_checkpoint_are_typed_errors(name: str, tmp_path: Path) -> None:
    rubbish = tmp_path / "model.ckpt"
    rubbish.write_bytes(b"not a checkpoint")
    for weights in (None, tmp_path / "nothing.ckpt", rubbish):
        with pytest.raises(LsmError) as caught:
            load_backend(name, "cpu", weights)
        assert caught.value.code == "bad_weights" and caught.value.fix


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("name", backend_names())
def test_a_gpu_gives_the_same_on_its_own_device(name: str, tmp_path: Path) -> None:
    here, there = load_seeded(name, tmp_path), load_seeded(name, tmp_path, device="cuda")
    ours, theirs = predict(here), predict(there)
    assert all(p.device.type == "cuda" for p in theirs.pointmaps)
    assert theirs.gaussians is None or theirs.gaussians.means.device.type == "cuda"
    for a, b in zip(ours.confidence, theirs.confidence, strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=2e-3, atol=2e-3)
    there.close()
