"""Each protocol from the command line: data in the released layout, seeded weights in the released format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from box_room import view
from fitted_checkpoints import KnownView, write_fitted_checkpoints
from fitted_noposplat import write_fitted
from PIL import Image
from small_layouts import (
    Recording,
    chunk_entry,
    put,
    record,
    scannet1500_superglue,
    scannet_lsm_test,
    scannetpp_splatt3r,
    torch_chunks,
)

from lsm_core.backends.seeded import write_seeded
from lsm_core.cli.main import main
from lsm_core.data.formats.scannet_lsm_test import LABELS
from lsm_core.data.views import PosedView
from lsm_core.evaluation.prepared import in_baselines, prepared
from lsm_core.evaluation.protocol_study import paper_rows
from lsm_core.evaluation.protocols import PROTOCOLS

SCENE = "5aca87f95a9412c6"


def scannet(root: Path) -> list[str]:
    scannet_lsm_test(root, record())
    return []


def scannetpp(root: Path) -> list[str]:
    scannetpp_splatt3r(root, record())
    listed = root / "test_set_0.9_0.9.json"
    listed.write_text(json.dumps([["aaaa000000", 0, 2, 1], ["bbbb000000", 0, 2, 1]] + [["x", 0, 0, 0]] * 9))
    return ["--list", str(listed)]


def chunks(root: Path) -> list[str]:
    torch_chunks(root, record())
    listed = root / "evaluation_index_re10k.json"
    entries = {
        SCENE: {"context": [0, 4], "target": [1, 2], "overlap": 0.6},
        "gone": {"context": [0, 1], "target": [0]},
    }
    listed.write_text(json.dumps(entries | {"unusable": None}))
    return ["--list", str(listed)]


def pairs(root: Path) -> list[str]:
    scannet1500_superglue(root, record(4))
    return []


# protocol, data, changes that make it quick, figures that must come out
CASES = [
    ("lsm-scannet", scannet, [], {"source_miou", "target_miou", "psnr", "ssim"}),
    ("splatt3r-scannetpp", scannetpp, [], {"psnr", "psnr_masked", "psnr_on_mask", "ssim"}),
    ("noposplat-re10k", chunks, ["--switch", "pose_align_steps=2"], {"psnr", "ssim", "large/psnr"}),
    ("noposplat-pose", chunks, ["--patience", "1"], {"auc_5", "auc_10", "auc_20", "maa_30"}),
    pytest.param("noposplat-pose", pairs, ["--patience", "1"], {"auc_5", "auc_20"}, marks=pytest.mark.slow),
    ("pixelsplat-re10k", chunks, [], {"psnr", "ssim"}),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    folder, made = tmp_path_factory.mktemp("weights"), dict[str, str]()

    def seeded(backend: str) -> str:
        if backend not in made:
            made[backend] = str(write_seeded(backend, folder / backend))
        return made[backend]

    return seeded


@pytest.mark.parametrize(("name", "write", "quick", "expected"), CASES)
def test_a_protocol_runs_from_data_to_table(
    name: str,
    write: Callable[[Path], list[str]],
    quick: list[str],
    expected: set[str],
    weights: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """What a model of random weights scores means nothing; that every figure is there and finite does."""
    data = tmp_path / "data"
    more = write(data)
    protocol = PROTOCOLS[name]
    files = [tmp_path / "out.json", tmp_path / "out.png"]
    command = ["eval", name, "--data", str(data), "--weights", weights(protocol.backend), *more, *quick]
    command += ["--json", str(files[0]), "--sheet", str(files[1]), "--device", "cpu", "--limit", "2"]
    assert main(command) == 0
    document: dict[str, Any] = json.loads(files[0].read_text())
    figures = document["figures"]
    assert expected <= set(figures)
    assert all(figures[key] is not None and np.isfinite(figures[key]) for key in expected)
    table, switches = document["tables"][0], document["tables"][1]
    methods = [row[0] for row in table["rows"]]
    assert any(m.startswith("paper†: ") for m in methods)
    assert f"here: {protocol.backend}" in methods
    assert "arXiv" in table["note"] and "transcription" in table["note"]
    assert len(switches["rows"]) >= 15
    assert len(document["pairs"][protocol.backend]) >= 1
    assert np.asarray(Image.open(files[1])).ndim == 3


def room_test_set(root: Path) -> None:
    """Write three frames of the box room as LSM's test set; raw labels 1, 2, 3 are wall, floor, ceiling."""
    scene = root / "scene0000_00"
    for step in range(3):
        seen = view(2 * step)
        assert seen.depth is not None and seen.label is not None
        put(scene / "images" / f"{step:05d}.jpg", seen.image)
        np.savez(scene / "images" / f"{step:05d}.npz", camera_intrinsics=seen.K, camera_pose=seen.T_world_cam)
        put(scene / "depths" / f"{step:05d}.png", (1000 * seen.depth).round().astype(np.uint16))
        put(scene / "labels" / f"{step:05d}.png", seen.label.astype(np.uint16))
    names = json.dumps({"scene0000_00": [f"{step:05d}" for step in range(3)]})
    (root / "selected_seqs_test.json").write_text(names)
    lines = [f"{k}\t{name}\t{name}" for k, name in enumerate(LABELS[:3], 1)]
    (root / "scannetv2-labels.combined.tsv").write_text("\n".join(["id\tcategory\tnyu40class", *lines]) + "\n")


def known(taken: PosedView) -> KnownView:
    """Return what a fitted network is to know of a view."""
    assert taken.depth is not None and taken.label is not None
    return KnownView(taken.image, taken.depth, np.maximum(taken.label - 1, 0), taken.T_world_cam, taken.K)


def test_a_large_spatial_model_that_knows_the_room_scores_high(tmp_path: Path) -> None:
    """Crop, labels, depth and units of the protocol fit those of the data and of the backend."""
    room_test_set(tmp_path / "data")
    protocol = PROTOCOLS["lsm-scannet"]
    (taken,) = protocol.samples(tmp_path / "data", None)
    context = prepared(taken, protocol.crop, protocol.side).context
    write_fitted_checkpoints(tmp_path / "weights", [known(v) for v in context], LABELS)
    out = tmp_path / "out.json"
    command = ["eval", "lsm-scannet", "--data", str(tmp_path / "data"), "--weights", str(tmp_path / "weights")]
    assert main([*command, "--device", "cpu", "--json", str(out)]) == 0
    figures = json.loads(out.read_text())["figures"]
    assert figures["rel"] < 5 and figures["tau"] > 60 and figures["rotation_median_deg"] < 3
    assert figures["source_miou"] > 0.6 and figures["source_accuracy"] > 0.8


def room_chunk(root: Path) -> list[str]:
    """Write five frames of the box room as RealEstate10K is released."""
    frames = [view(step) for step in range(5)]
    poses = np.stack([frame.T_world_cam for frame in frames])
    recording = Recording([frame.image for frame in frames], [], np.zeros(frames[0].size, np.uint8), poses)
    (root / "test").mkdir(parents=True)
    torch.save([chunk_entry(SCENE, recording)], root / "test" / "000000.torch")
    listed = root / "evaluation_index_re10k.json"
    listed.write_text(json.dumps({SCENE: {"context": [0, 4], "target": [2], "overlap": 0.5}}))
    return ["--list", str(listed)]


def test_a_noposplat_that_knows_the_room_draws_it_and_finds_its_pose(tmp_path: Path) -> None:
    """Crop, baseline unit and target cameras of the protocols fit those of the backend."""
    more = room_chunk(tmp_path / "data")
    protocol = PROTOCOLS["noposplat-re10k"]
    (taken,) = protocol.samples(tmp_path / "data", tmp_path / "data" / "evaluation_index_re10k.json")
    ready = in_baselines(prepared(taken, protocol.crop, protocol.side))
    assert ready is not None
    baseline = float(np.linalg.norm(view(4).T_world_cam[:3, 3] - view(0).T_world_cam[:3, 3]))
    views = []
    for seen, step in zip(ready.context, (0, 4), strict=True):  # the chunk has no depth, the room has
        real = protocol.crop(view(step), protocol.side)
        assert real.depth is not None
        depth, label = (real.depth / baseline).astype(np.float32), np.zeros(seen.size, np.int32)
        views.append(KnownView(seen.image, depth, label, seen.T_world_cam, seen.K.astype(np.float64)))
    write_fitted(tmp_path / "noposplat.ckpt", views)
    out = tmp_path / "out.json"
    command = ["eval", "noposplat-re10k", "--data", str(tmp_path / "data"), *more, "--device", "cpu"]
    command += ["--weights", str(tmp_path / "noposplat.ckpt"), "--switch", "pose_align_steps=0"]
    assert main([*command, "--json", str(out)]) == 0
    figures = json.loads(out.read_text())["figures"]
    assert figures["psnr"] > 22 and figures["medium/psnr"] == figures["psnr"]
    assert figures["rotation_median_deg"] < 0.5 and figures["auc_5"] > 0.9


def test_the_paper_s_rows_are_those_of_the_list_and_group() -> None:
    splatt3r, pose = PROTOCOLS["splatt3r-scannetpp"], PROTOCOLS["noposplat-pose"]
    wide = paper_rows(splatt3r, "", Path("a/test_set_0.5_0.5.json"))
    assert [row.label for row in wide] == ["Splatt3R, wide"] and wide[0].figures["psnr"] == 19.41
    assert {row.label for row in paper_rows(pose, "", None)} == {
        "NoPoSplat, ScanNet-1500",
        "NoPoSplat*, ScanNet-1500",
    }
    acid = paper_rows(pose, "", Path("evaluation_index_acid.json"))
    assert [row.figures["auc_20"] for row in acid] == [0.709, 0.728]
    small = paper_rows(PROTOCOLS["noposplat-re10k"], "small", Path("evaluation_index_re10k.json"))
    assert [row.figures["psnr"] for row in small] == [22.514]


def test_the_roles_of_lsm_s_views_are_the_paper_s_or_the_release_s(tmp_path: Path) -> None:
    scannet_lsm_test(tmp_path, record())
    for name, given, asked in (("lsm-scannet", ["0", "40"], "20"), ("lsm-scannet-released", ["0", "20"], "40")):
        sample = PROTOCOLS[name].samples(tmp_path, None)[0]
        assert [v.name.split("/")[-1].lstrip("0") or "0" for v in sample.context] == given
        assert sample.targets[0].name.endswith(asked)


def test_every_row_names_figures_that_the_table_shows() -> None:
    for protocol in PROTOCOLS.values():
        shown = {figure.name for figure in protocol.figures}
        assert protocol.rows and protocol.data
        for row in protocol.rows:
            assert set(row.figures) <= shown, f"{protocol.name}: {row.label}"
            assert "arXiv" in row.source


def test_a_protocol_that_needs_a_list_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chunks(tmp_path)
    assert main(["eval", "noposplat-re10k", "--data", str(tmp_path), "--backend", "lsm-tiny"]) == 1
    assert "evaluation_index_re10k.json" in capsys.readouterr().err


def test_any_backend_can_be_measured_and_changes_are_said(tmp_path: Path) -> None:
    more = chunks(tmp_path / "data")
    out = tmp_path / "out.json"
    command = ["eval", "pixelsplat-re10k", "--data", str(tmp_path / "data"), *more, "--backend", "lsm-tiny"]
    assert main([*command, "--switch", "eight_bit=no", "--json", str(out)]) == 0
    document = json.loads(out.read_text())
    assert "switches were changed" in document["tables"][0]["note"]
    assert "1 scenes of the list are not in the data" in document["tables"][0]["note"]
    assert ["eight_bit", "False"] in document["tables"][1]["rows"]
