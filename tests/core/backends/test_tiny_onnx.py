"""lsm-tiny run by onnxruntime: the same numbers as PyTorch at every grid, and clear errors about its folder."""

from __future__ import annotations

import builtins
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsm_core.backends import load_backend
from lsm_core.backends.base import Backend
from lsm_core.backends.tiny import TinyOptions
from lsm_core.backends.tiny_grid import GRIDS
from lsm_core.backends.tiny_onnx import load_onnx_network
from lsm_core.backends.tiny_onnx_export import export_onnx, stage_of, tensors_of
from lsm_core.backends.tiny_weights import PACKAGED, load_network
from lsm_core.cli.main import main
from lsm_core.errors import DependencyError, DeviceError, WeightsError
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.nn.tiny import Encoded, TinyConfig, TinyNet, stack_views
from lsm_core.nn.tiny.network import Refined
from lsm_core.training.export import export_weights
from lsm_core.types import Prediction

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
pytest.importorskip("onnx", reason="the extra [onnx] is not installed")

TOLERANCE = 1e-3
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the shipped weights."""
    folder = tmp_path_factory.mktemp("shipped")
    export_onnx(None, folder)
    return folder


@pytest.fixture(scope="module")
def searching(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network with the finer search, all its parts at work; weights are random."""
    torch.manual_seed(0)
    network = TinyNet(TinyConfig(fine_bins=12))
    for parameter in network.parameters():
        if not bool(parameter.any()):
            torch.nn.init.normal_(parameter, std=0.05)
    folder = tmp_path_factory.mktemp("searching")
    export_weights(network.state_dict(), network.config, folder / "w" / PACKAGED.name, {})
    export_onnx(folder / "w", folder / "onnx")
    return folder / "onnx"


@pytest.fixture(scope="module", params=["shipped", "searching"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def picture(height: int, width: int, seed: int) -> torch.Tensor:
    """A smooth random image [1, 3, height, width]."""
    coarse = torch.rand(1, 3, height // 16, width // 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def worst(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    assert all(a[k].shape == b[k].shape for k in a)
    return max(float((a[k] - b[k]).abs().max()) for k in a)


def test_every_stage_gives_pytorchs_numbers_at_every_grid_with_and_without_intrinsics(folder: Path) -> None:
    plain, _ = load_network(folder, CPU)
    fast, _ = load_onnx_network(folder, CPU)
    heads = onnxruntime.InferenceSession(str(folder / "heads.onnx"), providers=["CPUExecutionProvider"])
    T = torch.eye(4).repeat(2, 1, 1)
    T[0, 0, 3], T[1, 0, 3] = 0.3, -0.3
    grids = GRIDS if plain.fine_search is None else GRIDS[:2]  # the searching network takes longer
    for number, (height, width) in enumerate(grids):
        K = torch.tensor([[0.9 * width, 0, width / 2], [0, 0.8 * width, height / 2], [0, 0, 1.0]])[None]
        images, has = [picture(height, width, seed) for seed in (1, 2)], torch.tensor([number % 3 > 0] * 2)
        for known in (torch.tensor([True]), torch.tensor([False])):
            one, other = ([n.encode(image, K, known) for image in images] for n in (plain, fast))
            assert max(worst(tensors_of(a), tensors_of(b)) for a, b in zip(one, other, strict=True)) < TOLERANCE
        views = stack_views(*one)
        matched = plain.match(views)
        assert worst(tensors_of(matched), tensors_of(fast.match(views))) < TOLERANCE
        refined = plain.refine(views, matched, T, has)
        assert worst(tensors_of(refined), tensors_of(fast.refine(views, matched, T, has))) < TOLERANCE
        given = {k: v.numpy() for k, v in tensors_of(refined).items()}
        half = heads.run(None, {entry.name: given[entry.name] for entry in heads.get_inputs()})
        for name, value in zip(("log_depth", "log_confidence", "features"), half, strict=True):
            expected = refined.at_half(getattr(refined, name))
            assert float((torch.from_numpy(value) - expected).abs().max()) < TOLERANCE


def test_the_finer_search_is_part_of_the_graph(searching: Path) -> None:
    """Its evidence comes from the pose: with another one, the graph's depth changes as PyTorch's does."""
    plain, card = load_network(searching, CPU)
    fast, _ = load_onnx_network(searching, CPU)
    assert card.network.fine_bins == 12 and plain.fine_search is not None
    views = stack_views(
        *(plain.encode(picture(192, 256, s), torch.eye(3)[None], torch.tensor([False])) for s in (1, 2))
    )
    matched, has = plain.match(views), torch.ones(2, dtype=torch.bool)
    near, far = torch.eye(4).repeat(2, 1, 1), torch.eye(4).repeat(2, 1, 1)
    near[:, 0, 3], far[:, 0, 3] = 0.05, 0.5
    change = [n.refine(views, matched, far, has).log_depth - n.refine(views, matched, near, has).log_depth
              for n in (plain, fast)]  # fmt: skip
    assert float(change[0].abs().max()) > 0.01
    torch.testing.assert_close(change[1], change[0], rtol=0, atol=TOLERANCE)


def predictions(shipped: Path, size: tuple[int, int], known: bool) -> tuple[Prediction, Prediction, list[Backend]]:
    scene = textured_pair(size[1], size[0], 0)
    K = [view.K if known else None for view in scene.views]
    options = TinyOptions(full_resolution=None)  # its corners and thresholds make much of the last digits
    backends = [load_backend("lsm-tiny", "cpu", weights, options=options) for weights in (None, shipped)]
    first, second = (b.predict([view.image for view in scene.views], K) for b in backends)
    return first, second, backends


@pytest.mark.parametrize(
    ("size", "known"), [((480, 640), True), ((360, 640), False), ((640, 360), True), ((300, 300), False)]
)
def test_a_whole_prediction_is_that_of_pytorch(shipped: Path, size: tuple[int, int], known: bool) -> None:
    expected, found, _ = predictions(shipped, size, known)
    assert found.pose_valid == expected.pose_valid == [True, True]
    pairs: list[tuple[Any, Any]] = [
        *zip(found.poses, expected.poses, strict=True), *zip(found.pointmaps, expected.pointmaps, strict=True),
        *zip(found.confidence, expected.confidence, strict=True),
        *zip(found.intrinsics, expected.intrinsics, strict=True),
        *zip(found.features or [], expected.features or [], strict=True),
        *zip(found.extras["depth"], expected.extras["depth"], strict=True),
    ]  # fmt: skip
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    assert found.validity == pytest.approx(expected.validity, abs=TOLERANCE)


def test_words_are_answered_alike(shipped: Path) -> None:
    expected, found, (plain, fast) = predictions(shipped, (240, 320), True)
    texts = ["chair", "wall", "floor"]
    ours, theirs = fast.query(found, texts), plain.query(expected, texts)
    for view in range(2):
        np.testing.assert_allclose(ours.scores[view], theirs.scores[view], atol=5e-3)
    assert ours.presence == pytest.approx(theirs.presence, abs=5e-3)


def test_features_of_one_image_are_reused(shipped: Path) -> None:
    scene = textured_pair(320, 240, 0)
    backend = load_backend("lsm-tiny", "cpu", shipped)
    encoded = [backend.encode(view.image, view.K) for view in scene.views]
    again = backend.predict(encoded)
    direct = backend.predict([view.image for view in scene.views], [view.K for view in scene.views])
    torch.testing.assert_close(again.pointmaps[1], direct.pointmaps[1])


def copy_of(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def test_a_damaged_or_foreign_folder_is_refused(shipped: Path, tmp_path: Path) -> None:
    cut = copy_of(shipped, tmp_path / "cut")
    (cut / "match.onnx").write_bytes((cut / "match.onnx").read_bytes()[:-10])
    other = copy_of(shipped, tmp_path / "other")
    manifest = json.loads((other / "onnx.json").read_text())
    (other / "onnx.json").write_text(json.dumps({**manifest, "weights": "0" * 64}))
    gone = copy_of(shipped, tmp_path / "gone")
    (gone / "refine.onnx").unlink()
    for folder, message in ((cut, "damaged"), (other, "not of the weights"), (gone, "cannot be read")):
        with pytest.raises(WeightsError, match=message) as raised:
            load_backend("lsm-tiny", "cpu", folder)
        assert f"lsm weights onnx {folder}" in str(raised.value)


def test_another_device_and_a_missing_package_are_named(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError, match="device=cpu"):
        load_onnx_network(shipped, torch.device("cuda"))
    imported = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] in ("onnxruntime", "onnx"):
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match=r"lsm_core\[onnx\]"):
        load_onnx_network(shipped, CPU)
    with pytest.raises(DependencyError, match=r"lsm_core\[onnx\]"):
        export_onnx(None, tmp_path / "new")


def test_names_in_the_graphs_are_those_of_the_stages(shipped: Path) -> None:
    names = {
        name: (
            {entry.name for entry in session.get_inputs()},
            {entry.name for entry in session.get_outputs()},
        )
        for name in ("encode.onnx", "match.onnx", "refine.onnx")
        for session in [onnxruntime.InferenceSession(str(shipped / name), providers=["CPUExecutionProvider"])]
    }
    given = names["encode.onnx"][1] | {"T_other_self", "has_pose"}
    assert names["encode.onnx"][0] == {"image", "intrinsics", "known"}
    assert names["match.onnx"][0] <= given
    assert names["refine.onnx"][0] <= given | names["match.onnx"][1]
    zeros = {name: torch.zeros(1) for name in names["encode.onnx"][1]}
    assert tensors_of(stage_of(Encoded, zeros)).keys() == zeros.keys()
    assert {n.split(".")[0] for n in names["refine.onnx"][1]} == {Refined.__name__.lower()}


def test_the_commands_write_the_folder_and_compare_both_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "onnx", str(tmp_path / "graphs"), "--json"]) == 0
    files = [Path(row["file"]).name for row in json.loads(capsys.readouterr().out)["files"]]
    assert files == ["encode.onnx", "match.onnx", "refine.onnx", "heads.onnx"]
    assert main(["bench", "onnx", "--repeats", "1", "--size", "160x120", "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert len(stages) == 5 and all(0 < stage["difference"] < TOLERANCE for stage in stages)
