"""Backend lsm on small checkpoints in the official formats: loading, predicting, asking, refusing."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_core import load_backend
from lsm_core.backends.dust3r import Dust3rOptions
from lsm_core.backends.lsm import LsmBackend, LsmOptions, load
from lsm_core.backends.lsm_files import FILES
from lsm_core.backends.pair_geometry import CameraOptions
from lsm_core.backends.seeded_checkpoints import SMALL, write_checkpoints
from lsm_core.errors import InputError, LsmError, UnsupportedError, WeightsError
from lsm_core.weights.files import read_checkpoint

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lsm")
    write_checkpoints(path)
    return path


@pytest.fixture(scope="module")
def backend(folder: Path) -> LsmBackend:
    return load(CPU, folder, LsmOptions(size=96))  # small, so the tests are fast


def picture(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_files_fill_the_network_they_came_from(folder: Path, tmp_path: Path) -> None:
    network, texts = write_checkpoints(tmp_path, seed=7)
    loaded = load(CPU, tmp_path, LsmOptions(reference=True))  # the fast way folds some tensors into others
    for ours, theirs in ((loaded.network, network), (loaded._texts.tower, texts)):
        state = ours.state_dict()
        assert all(torch.equal(v, state[k]) for k, v in theirs.state_dict().items())


def test_the_backbone_is_the_original_by_default_and_the_finetuned_on_request(folder: Path) -> None:
    key = "dec_blocks.0.mlp.fc1.weight"
    original = load(CPU, folder)
    finetuned = load_backend("lsm", "cpu", folder, options=LsmOptions(backbone="finetuned"))
    assert isinstance(finetuned, LsmBackend)
    difference = finetuned.network.dust3r.state_dict()[key] - original.network.dust3r.state_dict()[key]
    torch.testing.assert_close(difference, torch.full_like(difference, 0.001), atol=1e-6, rtol=1e-3)


def test_a_pair_gives_all_a_prediction_promises(folder: Path) -> None:
    found = load_backend("lsm", "cpu", folder).predict([picture(seed=1), picture(seed=2)])
    assert found.unit == "relative" and found.views == 2
    for view in range(2):
        assert found.pointmaps[view].shape == (256, 256, 3) and found.confidence[view].shape == (256, 256)
        assert bool((found.confidence[view] > 0).all()) and found.colors[view].shape == (256, 256, 3)
    assert found.gaussians is not None and len(found.gaussians) == 2 * 256 * 256
    assert found.gaussians.features is not None and found.gaussians.features.shape[1] == SMALL.feature_dim
    assert torch.equal(found.gaussians.means[: 256 * 256], found.pointmaps[0].flatten(0, 1))
    assert 0.0 <= found.validity <= 1.0


def test_equal_input_gives_equal_output_and_the_generator_is_heard(backend: LsmBackend) -> None:
    pair = [picture(seed=1), picture(seed=2)]
    one, same = (backend.predict(pair).gaussians for _ in range(2))
    other = backend.predict(pair, generator=torch.Generator().manual_seed(99)).gaussians
    assert one is not None and same is not None and other is not None
    assert torch.equal(one.scales, same.scales)
    assert float((other.scales / one.scales - 1).abs().max()) > 1e-3


def test_encoding_first_or_within_predict_is_the_same(backend: LsmBackend) -> None:
    pair = [picture(seed=3), picture(seed=4)]
    a = backend.predict([backend.encode(image) for image in pair])
    b = backend.predict(pair)
    assert torch.equal(a.pointmaps[1], b.pointmaps[1])


def test_texts_get_masks_at_the_size_of_the_image(backend: LsmBackend) -> None:
    found = backend.predict([picture(120, 160, 1), picture(120, 160, 2)])
    answer = backend.query(found, ["chair", "table", "floor"])
    assert answer.masks[0][1].shape == (120, 160) and answer.scores[1][2].shape == (120, 160)
    assert all(0.0 <= p <= 1.0 for p in answer.presence)
    vectors = backend.encode_texts(["chair", "table"])
    assert vectors.shape == (2, 512)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("reference", ["first", "confidence"])
def test_both_ways_to_choose_the_reference_view_run(folder: Path, reference: str) -> None:
    options = LsmOptions(size=96, cameras=CameraOptions(reference=reference, average_focal=True))  # type: ignore[arg-type]
    found = load(CPU, folder, options).predict([picture(seed=1), picture(seed=2)])
    assert found.pointmaps[0].shape == (64, 96, 3)
    assert found.intrinsics[0][0, 0] == found.intrinsics[1][0, 0]


@pytest.mark.parametrize(
    ("first", "second"),
    [((300, 200), (200, 300)), ((16, 16), (40, 90)), ((121, 163), (97, 33)), ((700, 900), (64, 64))],
)
def test_odd_small_and_mixed_sizes_are_brought_to_one_grid(
    backend: LsmBackend, first: tuple[int, int], second: tuple[int, int]
) -> None:
    found = backend.predict([picture(*first), picture(*second, seed=2)])
    assert found.pointmaps[0].shape == found.pointmaps[1].shape
    assert found.image_sizes == [first, second]


def test_long_edge_mode_mixes_portrait_and_landscape(folder: Path) -> None:
    found = load(CPU, folder, LsmOptions(size=128)).predict([picture(60, 90), picture(90, 60, 2)])
    assert found.pointmaps[0].shape == found.pointmaps[1].shape == (64, 128, 3)


@pytest.mark.parametrize("pair", ["identical", "black"])
def test_pairs_without_geometry_are_said_to_be_so(backend: LsmBackend, pair: str) -> None:
    image = np.zeros((120, 160, 3), np.uint8) if pair == "black" else picture()
    found = backend.predict([image, image])
    assert all(bool(torch.isfinite(p).all()) for p in found.pointmaps)
    assert found.validity < 1.0


@pytest.mark.parametrize(
    "image",
    [
        picture()[..., 0],
        np.zeros((120, 160, 4), np.uint8),
        picture().astype(np.float32),
        np.full((120, 160, 3), np.nan),
        picture(1, 1),
        np.zeros((17000, 20, 3), np.uint8),
        picture(16, 400),
        "a.jpg",
        None,
    ],
)
def test_what_is_no_image_is_refused_with_a_typed_error(backend: LsmBackend, image: object) -> None:
    with pytest.raises(InputError):
        backend.encode(image)  # type: ignore[arg-type]


def test_one_image_three_images_poses_and_foreign_features_are_refused(backend: LsmBackend) -> None:
    views = [picture(seed=1), picture(seed=2)]
    for wrong in (views[:1], [*views, views[0]]):
        with pytest.raises(InputError, match="two views"):
            backend.predict(wrong)
    with pytest.raises(UnsupportedError):
        backend.predict(views, poses=[np.eye(4)] * 2)
    with pytest.raises(InputError, match="finite 3x3"):
        backend.predict(views, intrinsics=[np.full((3, 3), np.nan), None])


def test_without_weights_the_command_that_brings_them_is_named() -> None:
    with pytest.raises(WeightsError, match="lsm weights fetch lsm"):
        load_backend("lsm", "cpu")


@pytest.mark.parametrize("part", list(FILES))
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, part: str) -> None:
    for name in FILES.values():
        os.link(folder / name, tmp_path / name)
    (tmp_path / FILES[part]).unlink()
    with pytest.raises(WeightsError, match=FILES[part].replace(".", r"\.")):
        load(CPU, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "folder"])
def test_a_damaged_file_is_refused_at_once(folder: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.pth"
    whole = (folder / FILES["dust3r"]).read_bytes()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"<html>not found</html>"}[damage])
    with pytest.raises(WeightsError):
        read_checkpoint(path)


def test_the_file_of_another_model_is_named_with_key(folder: Path, tmp_path: Path) -> None:
    for part, name in FILES.items():
        os.link(folder / FILES["lseg" if part == "dust3r" else part], tmp_path / name)
    with pytest.raises(WeightsError, match=r"has no tensor 'enc_norm\.weight'"):
        load(CPU, tmp_path)


def test_a_wrong_shape_is_named_with_key_and_both_shapes(folder: Path, tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    document = torch.load(tmp_path / FILES["lsm"], weights_only=False)
    document["model"]["gaussian_head.gaussian_proj.bias"] = torch.zeros(7)
    torch.save(document, tmp_path / FILES["lsm"])
    with pytest.raises(WeightsError, match=r"gaussian_proj\.bias' has shape \[7\], not \[120\]"):
        load(CPU, tmp_path)


class Malicious:
    """Unpickling this with the plain module would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.system, (f"touch {self.path}",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    torch.save({"model": {"w": torch.ones(2)}, "args": Malicious(proof)}, tmp_path / "evil.pth")
    assert torch.equal(read_checkpoint(tmp_path / "evil.pth").tensors["w"], torch.ones(2))
    assert not proof.exists()
    pickle.loads(pickle.dumps(Malicious(proof)))
    assert proof.exists()  # the same object does harm where it is trusted


def test_options_of_another_backend_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"takes no Dust3rOptions.*lsm_core\.backends\.lsm\.LsmOptions"):
        load_backend("lsm", "cpu", folder, options=Dust3rOptions())


def test_errors_are_all_of_one_family() -> None:
    assert issubclass(WeightsError, LsmError) and issubclass(InputError, LsmError)
