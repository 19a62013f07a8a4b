"""Backends mast3r and splatt3r on small checkpoints in the official formats."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lsm_core import load_backend
from lsm_core.backends.checkpoint_identity import identify
from lsm_core.backends.mast3r import Mast3rBackend, Mast3rOptions
from lsm_core.backends.mast3r_keys import MAST3R_RULES
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.backends.seeded_mast3r import splatt3r_state, write_mast3r, write_splatt3r
from lsm_core.backends.splatt3r import Splatt3rBackend, Splatt3rOptions
from lsm_core.errors import InputError, UnsupportedError, WeightsError
from lsm_core.nn.splatt3r import Splatt3r
from lsm_core.weights.table import MAST3R, SPLATT3R

GAUSSIANS = "downstream_head1.gaussian_dpt.dpt."
ALIAS = "scratch.layer_rn.0.weight"
K = np.array([[120.0, 0, 80], [0, 120, 60], [0, 0, 1]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mast3r")
    write_mast3r(path / MAST3R.name)
    write_splatt3r(path / SPLATT3R.name)
    return path


def splatt3r(folder: Path, **options: Any) -> Splatt3rBackend:
    found = load_backend("splatt3r", "cpu", folder, options=Splatt3rOptions(**{"size": 64} | options))
    assert isinstance(found, Splatt3rBackend)
    return found


def mast3r(folder: Path, **options: Any) -> Mast3rBackend:
    found = load_backend("mast3r", "cpu", folder, options=Mast3rOptions(**{"size": 80} | options))
    assert isinstance(found, Mast3rBackend)
    return found


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8)


PAIR = [picture(1), picture(2)]


def test_splatt3r_gives_metric_gaussians_on_a_square_from_the_middle(folder: Path) -> None:
    found = splatt3r(folder, size=96).predict(PAIR)
    assert found.unit == "metric" and found.features is None
    assert found.pointmaps[0].shape == (96, 96, 3)
    assert found.gaussians is not None and len(found.gaussians) == 2 * 96 * 96
    middle = found.grid_to_image[0] @ torch.tensor([47.5, 47.5, 1])
    torch.testing.assert_close(middle[:2], torch.tensor([79.5, 59.5]), atol=1e-4, rtol=0)
    corner = found.grid_to_image[0] @ torch.tensor([-0.5, -0.5, 1])
    torch.testing.assert_close(corner[:2], torch.tensor([19.5, -0.5]), atol=1e-4, rtol=0)


def test_splatt3r_gaussians_lie_near_their_points_with_the_colour_of_their_pixels(folder: Path) -> None:
    """The seeded file ends as the head does before its training: hardly an offset, and small."""
    backend = splatt3r(folder)
    for view in (0, 1):
        head: Any = backend.network.head_of(view)
        head.gaussian_dpt.dpt.head[4].weight[10:13] = 0  # what is added to the colour
    found = backend.predict(PAIR)
    assert found.gaussians is not None
    points = torch.cat([p.flatten(0, 1) for p in found.pointmaps])
    offset = (found.gaussians.means - points).norm(dim=1)
    assert 0 < float(offset.max()) < 0.01
    assert float((found.gaussians.scales.log() + 7).abs().max()) < 0.01
    torch.testing.assert_close(found.gaussians.quats.norm(dim=1), torch.ones(len(points)), atol=1e-4, rtol=0)
    pixels = torch.cat([torch.as_tensor(c).flatten(0, 1) for c in found.colors]) / 255
    torch.testing.assert_close(found.gaussians.rgb, pixels, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(427, 640), (641, 480), (64, 64), (100, 75)])
def test_any_image_becomes_a_whole_square(folder: Path, size: tuple[int, int]) -> None:
    """The reference stops at a side that rounding leaves odd."""
    view = splatt3r(folder, size=80).encode(np.zeros((*size, 3), np.uint8))
    assert view.tensors["image"].shape == (1, 3, 80, 80)
    ends = view.grid_to_image @ torch.tensor([[-0.5, 79.5], [-0.5, 79.5], [1, 1]])
    assert float(ends[:2].min()) >= -0.51 and bool((ends[:2, 1] <= torch.tensor([size[1], size[0]]) - 0.49).all())


def test_the_fast_path_gives_what_the_twin_gives(folder: Path) -> None:
    for load in (splatt3r, mast3r):
        fast, twin = (
            load(folder, pair_decoders=True).predict(PAIR),
            load(folder, reference=True, orders="both").predict(PAIR),
        )
        assert fast.gaussians is not None and twin.gaussians is not None
        pairs = [*zip(fast.pointmaps, twin.pointmaps, strict=True), (fast.gaussians.means, twin.gaussians.means)]
        for ours, theirs in [*pairs, (fast.gaussians.sh, twin.gaussians.sh)]:
            assert float((ours - theirs).abs().max()) <= 1e-4 * float(theirs.abs().max())


def test_half_precision_is_close_and_only_the_dense_part_is_half(folder: Path) -> None:
    half, full = splatt3r(folder, precision="bfloat16"), splatt3r(folder)
    head: Any = half.network.head_of(0)
    assert head.gaussian_dpt.dpt.scratch.layer1_rn.weight.dtype == torch.bfloat16
    assert head.gaussian_dpt.dpt.head[4].weight.dtype == torch.float32
    ours, theirs = half.predict(PAIR).pointmaps[1], full.predict(PAIR).pointmaps[1]
    assert ours.dtype == torch.float32 and 0 < float((ours - theirs).norm() / theirs.norm()) < 0.1


@pytest.mark.parametrize(("second", "batches"), [(None, [2]), (K, [1])])
def test_the_other_order_is_decoded_only_where_intrinsics_are_unknown(
    folder: Path, second: np.ndarray | None, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, seen = splatt3r(folder), list[int]()
    decode = backend.network.decode

    def counted(views: Any) -> Any:
        seen.append(len(views[0].tokens))
        return decode(views)

    monkeypatch.setattr(backend.network, "decode", counted)
    found = backend.predict(PAIR, [K, second])
    assert seen == batches
    usual = splatt3r(folder).predict(PAIR)
    torch.testing.assert_close(found.pointmaps[1], usual.pointmaps[1], atol=1e-4, rtol=1e-4)


def test_descriptors_are_loaded_and_computed_on_request_only(folder: Path) -> None:
    plain, asked = splatt3r(folder), splatt3r(folder, descriptors=True)
    assert not any("head_local_features" in key for key in plain.network.state_dict())
    with pytest.raises(UnsupportedError, match="descriptors=True"):
        plain.describe(PAIR)
    with pytest.raises(InputError, match="descriptors=True"):
        splatt3r(folder, pose="descriptors")
    found = asked.describe(PAIR)
    assert found[1].vectors.shape == (1, 64, 64, 6)
    torch.testing.assert_close(found[1].vectors.norm(dim=-1), torch.ones(1, 64, 64))
    assert float(found[0].confidence.min()) > 1  # 1 + exp; the metric MASt3R has exp alone
    assert float(mast3r(folder).describe(PAIR)[0].confidence.min()) < 1


def test_mast3r_finds_the_pose_from_matches_and_gives_them_in_pixels_of_the_images(folder: Path) -> None:
    backend = mast3r(folder)
    found = backend.predict(PAIR)
    matches = backend.match(PAIR)
    assert found.unit == "metric" and found.stats["matches"] == len(matches) > 10
    assert matches.pixels0[:, 0].max() > 80 and matches.pixels0.min() >= 0  # of 160 x 120, not of the grid of 80
    points = mast3r(folder, pose="points", descriptors=False).predict(PAIR)
    assert points.stats["matches"] != found.stats["matches"]
    torch.testing.assert_close(points.pointmaps[1], found.pointmaps[1])


def test_words_are_refused(folder: Path) -> None:
    backend = splatt3r(folder)
    with pytest.raises(UnsupportedError, match="no language"):
        backend.query(backend.predict(PAIR), ["chair"])


def test_a_checkpoint_of_another_model_is_named(folder: Path, tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    with pytest.raises(WeightsError, match="checkpoint of Splatt3R, not of MASt3R"):
        load_backend("mast3r", "cpu", folder / SPLATT3R.name)
    with pytest.raises(WeightsError, match=r"checkpoint of MASt3R.*not of Splatt3R"):
        load_backend("splatt3r", "cpu", folder / MAST3R.name)
    with pytest.raises(WeightsError, match="checkpoint of DUSt3R"):
        load_backend("mast3r", "cpu", tmp_path / "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth")
    with pytest.raises(WeightsError, match="checkpoint of MASt3R"):
        load_backend("dust3r", "cpu", folder / MAST3R.name)
    for name in ("mast3r", "splatt3r"):
        with pytest.raises(WeightsError, match=f"lsm weights fetch {name}"):
            load_backend(name, "cpu")
        with pytest.raises(WeightsError, match=f"lsm weights fetch {name}"):
            load_backend(name, "cpu", tmp_path)


@pytest.fixture
def omegaconf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A class that is there when the file is written and gone when it is read."""
    module = types.ModuleType("omegaconf.dictconfig")
    body = {"__module__": module.__name__, "__setstate__": lambda self, state: pytest.fail("foreign code ran")}
    module.DictConfig = type("DictConfig", (), body)  # type: ignore[attr-defined]
    for name in ("omegaconf", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    yield module.DictConfig


def test_the_training_programs_own_classes_are_not_needed_and_not_run(
    omegaconf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = write_splatt3r(tmp_path / "plain.ckpt")
    config = omegaconf()
    config.content = {"use_offsets": True, "other": omegaconf()}
    document = {
        "hyper_parameters": {"config": config},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}],
        "state_dict": splatt3r_state(network),
    }
    torch.save(document, tmp_path / "foreign.ckpt", pickle_module=pickle)
    monkeypatch.delitem(sys.modules, "omegaconf.dictconfig")
    found = splatt3r(tmp_path / "foreign.ckpt").network.state_dict()
    for key, tensor in Splatt3r(replace(network.sizes, descriptor=None)).state_dict().items():
        assert found[key].shape == tensor.shape
        torch.testing.assert_close(found[key], network.state_dict()[key])


def spoiled(folder: Path, change: Any, tmp_path: Path) -> Path:
    document = torch.load(folder / SPLATT3R.name, weights_only=False)
    change(document["state_dict"])
    torch.save(document, tmp_path / "spoiled.ckpt")
    return tmp_path / "spoiled.ckpt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("encoder.dec_norm.bias"), "missing dec_norm.bias"),
        (lambda s: s.update({"encoder.surprise": torch.ones(1)}), "unknown surprise"),
        (lambda s: s.update({"surprise": torch.ones(1)}), "unknown tensor 'surprise'"),
        (
            lambda s: s.update({f"encoder.{GAUSSIANS}{ALIAS}": torch.ones(16, 8, 3, 3)}),
            "same tensor",
        ),
        (lambda s: s.update({f"encoder.{GAUSSIANS}head.4.bias": torch.ones(12)}), "Gaussian head"),
    ],
)
def test_a_file_that_does_not_fit_says_where(folder: Path, change: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        splatt3r(spoiled(folder, change, tmp_path))


@pytest.mark.parametrize("left_out", [0, 1])
def test_what_is_stored_twice_may_be_stored_once_under_either_name(
    folder: Path, left_out: int, tmp_path: Path
) -> None:
    state = torch.load(folder / MAST3R.name, weights_only=False)["model"]
    names = [name for pair in MAST3R_RULES.aliases.items() for name in pair[left_out : left_out + 1]]
    save_file({k: v.clone() for k, v in state.items() if k not in names}, tmp_path / "model.safetensors")
    assert identify(tmp_path / "model.safetensors").whole
    found, usual = mast3r(tmp_path / "model.safetensors").trunk.state_dict(), mast3r(folder).trunk.state_dict()
    assert all(torch.equal(found[key], usual[key]) for key in usual)


def test_verify_names_both_files(folder: Path, tmp_path: Path) -> None:
    for name, title in ((MAST3R.name, "MASt3R"), (SPLATT3R.name, "Splatt3R")):
        identity = identify(folder / name)
        assert identity.whole and identity.title.startswith(title) and not identity.released_size
    broken = identify(spoiled(folder, lambda s: s.update({"surprise": torch.ones(1)}), tmp_path))
    assert not broken.whole and broken.foreign == ("surprise",)
