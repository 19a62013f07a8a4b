"""The bench of the Large Spatial Model, at small size: every stage is timed, the reference's way gives the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_core.backends.lsm import LsmOptions, encoded_view, load
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.cli.main import main
from lsm_core.evaluation.bench_lsm import reference_pair
from lsm_core.evaluation.bench_scene import ROOM, room_pointmaps
from lsm_core.nn.gaussian_head import merge_points


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lsm")
    write_checkpoints(path)
    return path


def test_each_stage_has_a_time_and_the_ratio_follows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "bench",
        "lsm",
        "--weights",
        str(folder),
        "--device",
        "cpu",
        "--size",
        "96",
        "--repeats",
        "1",
        "--precision",
        "float32,bfloat16",
        "--json",
    ]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)["precisions"]
    assert list(report) == ["float32", "bfloat16"]
    for found in report.values():
        stages = found["stages"]
        assert len(stages) == 8 and all(took["wall"] > 0 and took["cpu"] > 0 for took in stages.values())
        assert found["peak_mib"] >= found["own_mib"] > 100
        for ratio, kind in (("ratio", "wall"), ("cpu_ratio", "cpu")):
            expected = stages["reference: pair and its cameras"][kind] / stages["pair and its cameras"][kind]
            assert found[ratio] == pytest.approx(expected)
        assert list(found["presence"]) == ["chair", "table", "floor"]


def test_the_references_way_gives_the_same_where_the_points_are_the_same(folder: Path) -> None:
    fast, slow = (load(torch.device("cpu"), folder, LsmOptions(size=96, reference=twin)) for twin in (False, True))
    images = [np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8) for seed in (1, 2)]
    with torch.inference_mode():
        expected = reference_pair(slow, images)
        views = [encoded_view(fast.encode(image)) for image in images]
        own = fast.network.dust3r.pointmaps([view.geometry for view in views], (64, 96))
        permutations = fast.network.point_transformer.permutations(torch.Generator().manual_seed(0))
        given = fast.network.fuse(views, expected.pointmaps, permutations)
        alone = fast.network.fuse(views, own, permutations)
    for ours, theirs in zip(own, expected.pointmaps, strict=True):
        torch.testing.assert_close(ours.points, theirs.points, atol=1e-4, rtol=1e-4)
    for ours, theirs in zip(given.gaussians, expected.gaussians, strict=True):
        for part in ("means", "scales", "rotations", "opacities", "sh", "features"):
            torch.testing.assert_close(getattr(ours, part), getattr(theirs, part), atol=1e-4, rtol=1e-4)
    # From points of its own features may differ, for one reason: rounding puts a few points into the next voxel,
    # which changes what they and their neighbours are convolved, pooled and grouped with.
    apart = (alone.point_features - expected.point_features).abs().amax(1) > 1e-4
    moved = (cells(alone.merged.coords) != cells(expected.merged.coords)).any(1)
    assert float(moved.float().mean()) < 1e-3
    assert bool(moved.any()) or not bool(apart.any())


def cells(coords: torch.Tensor) -> torch.Tensor:
    """Return the voxel of each point."""
    return ((coords - coords.amin(0)) / 0.01).trunc()


def test_the_points_of_the_drawn_room_lie_on_its_walls_and_fill_many_voxels() -> None:
    maps = room_pointmaps(256, 256)
    low, high = (torch.tensor(corner) for corner in ROOM)
    for points in maps:
        assert bool((points >= low - 1e-4).all()) and bool((points <= high + 1e-4).all())
        on_a_wall = torch.minimum((points - low).abs(), (points - high).abs()).amin(-1)
        assert float(on_a_wall.max()) < 1e-4
    merged = merge_points([points[None] for points in maps], [torch.zeros(1, 3, 256, 256)] * 2)
    assert 30_000 < len(cells(merged.coords).unique(dim=0)) < 45_000  # as rooms do
