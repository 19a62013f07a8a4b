"""The bench for a GPU, run on the CPU at small size; and what it says about half precision."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from lsm_core.backends.seeded_checkpoints import SMALL, fill, write_checkpoints
from lsm_core.cli import bench_lsm_device
from lsm_core.cli.main import main
from lsm_core.evaluation.bench_lsm import PAIR, TWIN, LsmTimes, Seconds
from lsm_core.evaluation.stage_errors import stage_errors
from lsm_core.nn.lsm import Lsm
from lsm_core.nn.rope import grid_rope_tables

NAMES = ("lsm_tiny", "lsm_tiny_part_dust3r", "lsm_tiny_clip", "rope2d")


@pytest.mark.shared
def test_it_answers_the_fixtures_compares_precisions_and_times_pairs(shared_dir: Path, tmp_path: Path) -> None:
    for path in (shared_dir / "fixtures" / "lsm").iterdir():
        if path.name.split(".")[0] in NAMES:
            os.symlink(path, tmp_path / path.name)
    weights, report = tmp_path / "weights", tmp_path / "report.md"
    write_checkpoints(weights)
    command = ["bench", "lsm-device", str(tmp_path), "--weights", str(weights), "--device", "cpu", "--repeats", "1"]
    command += ["--sizes", "32", "--precision", "float32,bfloat16", "--md", str(report)]
    assert main(command) == 0
    text = report.read_text()
    assert all(f"| {name} | passed |" in text for name in NAMES)
    assert text.count("| DUSt3R decoders |") == 2 and "| float32, ms | bfloat16, ms |" in text


def test_a_fixture_out_of_tolerance_is_exit_code_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.json").write_text("{}")
    times = LsmTimes({PAIR: Seconds(1, 1), TWIN: Seconds(2, 2)}, 0.0, 0.0, 0.0, 1, {})
    monkeypatch.setattr(bench_lsm_device, "bench_lsm", lambda *_: times)
    command = ["bench", "lsm-device", str(tmp_path), "--weights", str(tmp_path), "--device", "cpu"]
    assert main([*command, "--precision", "float32"]) == 1


@pytest.mark.parametrize("sizes", ["100", "64,x", ""])
def test_sizes_that_are_no_multiples_of_32_are_refused(tmp_path: Path, sizes: str) -> None:
    assert main(["bench", "lsm-device", str(tmp_path), "--device", "cpu", "--sizes", sizes]) == 2


def images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(1, 3, 64, 64, generator=generator) * 2 - 1 for _ in (0, 1)]


def test_errors_of_half_precision_are_of_its_size_and_do_not_reach_what_stays_in_float32() -> None:
    network = Lsm(SMALL)
    fill(network, 3)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    found = {half: stage_errors(network, images(), half) for half in (torch.bfloat16, torch.float16)}
    for brain, half in zip(*found.values(), strict=True):
        assert 0 < brain.typical < 0.05
        if brain.stage == "point transformer":
            assert brain.typical == half.typical < 2e-3  # float16 in both
        else:
            assert half.typical < brain.typical / 3  # three bits more
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_dense_part_can_be_captured_and_replays_the_same() -> None:
    from lsm_core.evaluation.bench_lsm import captured

    device = torch.device("cuda")
    network = Lsm(SMALL)
    fill(network, 3)
    network, image = network.to(device), images()[0].to(device)
    grid_rope_tables.cache_clear()
    found: list[torch.Tensor] = []
    with torch.inference_mode():
        expected = network.encode(image).geometry.tokens
        replay = captured(lambda: found.append(network.encode(image).geometry.tokens), device)
        replay()
    torch.testing.assert_close(found[-1], expected, atol=1e-4, rtol=1e-4)
