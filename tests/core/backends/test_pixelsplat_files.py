"""pixelSplat's released files: which keys they have, which one is taken, and what is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lsm_core.backends.checkpoint_identity import identify
from lsm_core.backends.pixelsplat_files import build, file_in, three_views
from lsm_core.backends.seeded_pixelsplat import SMALL, pixelsplat_state, write_pixelsplat
from lsm_core.errors import WeightsError
from lsm_core.nn.pixelsplat import Pixelsplat, PixelsplatConfig
from lsm_core.weights.table import checkpoints_of

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "re10k.ckpt"
    write_pixelsplat(path)
    return path


def changed(file: Path, to: Path, change: Callable[[State], object]) -> Path:
    """Write a copy with other tensors."""
    state = dict(torch.load(file, weights_only=False)["state_dict"])
    change(state)
    torch.save({"state_dict": state}, to)
    return to


@pytest.mark.shared
@pytest.mark.parametrize("variant", ["re10k", "acid", "re10k_3_view"])
def test_the_released_keys_and_shapes_fit_exactly(shared_dir: Path, tmp_path: Path, variant: str) -> None:
    manifest = json.loads((shared_dir / "specs/manifests/manifest_pixelsplat.json").read_text())
    entry = manifest["variants"][variant]
    listed = {key: (shape, dtype) for key, shape, dtype in manifest["keys"] + entry.get("extra_keys", [])}
    assert entry["file"] in [c.name for c in checkpoints_of("pixelsplat")]
    released = PixelsplatConfig() if entry["num_context_views"] == 2 else three_views(PixelsplatConfig())
    with torch.device("meta"):
        state = pixelsplat_state(Pixelsplat(released))
    assert {k: (list(t.shape), str(t.dtype).removeprefix("torch.")) for k, t in state.items()} == listed
    path = tmp_path / entry["file"]
    with torch.serialization.skip_data():
        torch.save({"state_dict": {k: torch.empty(t.shape, dtype=t.dtype) for k, t in state.items()}}, path)
    found = identify(path)
    assert found.kind == "pixelsplat" and found.released_size and found.whole
    assert all("layer4" in key for key in found.parts[0].differences.unused)


def test_a_lightning_file_is_read_without_its_classes_and_gives_its_network(file: Path, tmp_path: Path) -> None:
    assert b"TrainingCallback" in file.read_bytes()  # a class that must not be made
    for config in (SMALL, three_views(SMALL)):
        written = write_pixelsplat(tmp_path / "re10k.ckpt", config, seed=4)
        read = build(tmp_path / "re10k.ckpt", reference=True)
        assert read.config == config
        expected = written.state_dict()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in read.state_dict().items())
        assert not any(p.requires_grad for p in read.parameters())


def test_the_old_files_are_named_as_such(file: Path, tmp_path: Path) -> None:
    key = "encoder.epipolar_transformer.transformer.layers.0.1.fn.layers.0.weight"
    old = changed(file, tmp_path / "re10k.ckpt", lambda s: s.update({key: torch.zeros(32, 32, 7, 7)}))
    for refuse in (build, identify):
        with pytest.raises(WeightsError, match="before its camera-ready retraining") as caught:
            refuse(old)
        assert str(old) in str(caught.value) and "lsm weights list" in caught.value.fix


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("encoder.to_gaussians.1.bias"), "to_gaussians.1.bias"),
        (
            lambda s: s.pop("encoder.backbone.dino.blocks.1.attn.proj.bias"),
            "missing backbone.dino.blocks.1",
        ),
        (lambda s: s.update({"encoder.stranger": torch.zeros(1)}), "unknown stranger"),
        (lambda s: s.update({"decoder.weight": torch.zeros(1)}), "'decoder.weight', not under 'encoder.'"),
        (lambda s: s.update({"encoder.upscaler": torch.zeros(1)}), "unknown upscaler"),
        (
            lambda s: s.update({"encoder.high_resolution_skip.0.bias": torch.zeros(3)}),
            "'high_resolution_skip.0.bias' has shape [3], not [32]",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    file: Path, tmp_path: Path, change: Callable[[State], object], words: str
) -> None:
    with pytest.raises(WeightsError) as caught:
        build(changed(file, tmp_path / "changed.ckpt", change))
    assert words in str(caught.value)


def test_a_folder_gives_its_re10k_file_or_its_only_one(file: Path, tmp_path: Path) -> None:
    assert file_in(file) == file and file_in(file.parent) == file
    for name in ("acid.ckpt", "re10k_3_view.ckpt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(WeightsError, match=r"2 checkpoints: acid\.ckpt, re10k_3_view\.ckpt"):
        file_in(tmp_path)
    (tmp_path / "re10k.ckpt").write_bytes(b"")
    assert file_in(tmp_path).name == "re10k.ckpt"
    (tmp_path / "re10k.ckpt").unlink()
    (tmp_path / "acid.ckpt").unlink()
    assert file_in(tmp_path).name == "re10k_3_view.ckpt"
    for absent in (None, tmp_path / "none.ckpt"):
        with pytest.raises(WeightsError) as caught:
            file_in(absent)
        assert "lsm weights fetch pixelsplat" in caught.value.fix


def test_files_of_other_models_are_named(tmp_path: Path) -> None:
    torch.save({"model": {"dec_blocks.0.norm_y.weight": torch.ones(1)}}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"checkpoint of DUSt3R .* not of pixelSplat"):
        build(tmp_path / "other.pth")
