"""The bench of the Large Spatial Model, at small size: every stage is timed, the reference's way gives the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_core.backends.lsm import LsmOptions, joined, load
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.cli.main import main
from lsm_core.evaluation.bench_lsm import reference_pair
from lsm_core.nn.lsm import LsmOutput


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
        "--json",
    ]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    stages = report["stages_s"]
    assert all(seconds > 0 for seconds in stages.values()) and report["peak_mib"] > 100
    expected = stages["reference: pair and its cameras"] / stages["pair and its cameras"]
    assert report["ratio"] == pytest.approx(expected)


def test_the_references_way_gives_the_same_gaussians(folder: Path) -> None:
    backend = load(torch.device("cpu"), folder, LsmOptions(size=96))
    images = [np.random.default_rng(seed).integers(0, 256, (120, 160, 3), dtype=np.uint8) for seed in (1, 2)]
    with torch.inference_mode():
        slow = reference_pair(backend, images)
    fast = backend.predict(images).gaussians
    assert isinstance(slow, LsmOutput) and fast is not None
    whole = joined(slow.gaussians)
    torch.testing.assert_close(fast.means, whole.means, atol=1e-4, rtol=1e-4)
    # A point that rounding puts into the next voxel changes its neighbours, too: not every feature can agree.
    close = torch.isclose(fast.features, whole.features, atol=2e-3, rtol=5e-3)
    assert float(close.float().mean()) > 0.8
