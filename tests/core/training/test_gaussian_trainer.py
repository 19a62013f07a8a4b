"""The Gaussian head is trained alone: it improves a third view, resumes exactly, and leaves the rest as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from lsm_core.backends.tiny import load
from lsm_core.backends.tiny_surface import joined_discs, pair_gaussians
from lsm_core.backends.tiny_weights import PACKAGED, load_network
from lsm_core.data.shards import FrameShard, save_shard
from lsm_core.errors import InputError, WeightsError
from lsm_core.nn.tiny import TinyConfig, TinyNet
from lsm_core.nn.tiny.disc_inputs import OWN_CHANNELS
from lsm_core.nn.tiny.gaussian_head import SIDE
from lsm_core.training.export import export_weights
from lsm_core.training.gaussian_config import GaussianTrainConfig, validated
from lsm_core.training.gaussian_loss import photometric_loss
from lsm_core.training.gaussian_trainer import PREFIX, GaussianTrainer
from lsm_core.training.gaussian_triples import Visit, make_triple, third_frames, triple_of
from lsm_core.training.shard_pool import ShardPool
from lsm_core.training.warm_start import start_from, with_shapes_of

CPU = torch.device("cpu")
HEIGHT, WIDTH, FOCAL = 192, 256, 200.0
HEADLESS = "headless.safetensors"  # the shipped weights without a Gaussian head, beside the shard
CONFIG = GaussianTrainConfig(steps=4, pairs=1, triples=2, dim=8, learning_rate=5e-3, warmup_steps=1, fine=0.0)


def smooth_noise(height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    total = np.zeros((height, width, 3), np.float32)
    for cells in (8, 20, 50):
        small = rng.random((cells, 2 * cells, 3)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    total = (total - total.min()) / (total.max() - total.min())
    return (255 * total).astype(np.uint8)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six views of a textured wall at 2 m, 0.1 m apart."""
    folder, frames, step = tmp_path_factory.mktemp("walk"), 6, 10
    wall = smooth_noise(HEIGHT, WIDTH + frames * step)
    T = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    T[:, 0, 3] = np.arange(frames) * step * 2.0 / FOCAL
    K = np.array([[FOCAL, 0, WIDTH / 2 - 0.5], [0, FOCAL, HEIGHT / 2 - 0.5], [0, 0, 1]], np.float32)
    shard = FrameShard(
        rgb=np.stack([wall[:, step * i : step * i + WIDTH] for i in range(frames)]),
        depth=np.full((frames, HEIGHT, WIDTH), 2.0, np.float16),
        label=np.ones((frames, HEIGHT, WIDTH), np.uint8),
        K=np.tile(K, (frames, 1, 1)),
        T_world_cam=T,
        room=np.array([0, 0, 0, 0, 0, 1], np.int32),
        pairs=np.array([[0, 2], [1, 3], [0, 3]], np.int32),
        overlap=np.full(3, 0.8, np.float32),
    )
    save_shard(shard, folder / "shard_00000.npz")
    network, _ = load_network(PACKAGED, CPU)
    state = {name: value for name, value in network.state_dict().items() if not name.startswith(PREFIX)}
    export_weights(state, replace(network.config, gaussian_dim=0), folder / HEADLESS, {})
    return folder


def trainer(
    walk: Path, out: Path, config: GaussianTrainConfig = CONFIG, weights: Path | None = None
) -> GaussianTrainer:
    pool = ShardPool(walk, 1.0)
    return GaussianTrainer(load(CPU, weights or walk / HEADLESS), pool, pool, out, config)


def test_a_third_frame_lies_between_the_pair_or_next_to_it_and_in_the_same_room(walk: Path) -> None:
    shard = ShardPool(walk, 1.0).shards[0]
    assert third_frames(shard, 0, 3) == third_frames(shard, 3, 0) == [1, 2]
    assert third_frames(shard, 1, 2) == [0, 3]
    assert third_frames(shard, 3, 4) == [2], "frame 5 is of another room"


def test_the_third_camera_stands_where_the_frame_was_taken_in_the_unit_of_the_first_view(walk: Path) -> None:
    triple = make_triple(load(CPU, walk / HEADLESS), ShardPool(walk, 1.0), CONFIG, 0, augment=False)
    assert triple is not None
    unit = 2.0 / float(triple.surface.depth[0].median())
    right = float(triple.third.camera.T_scene_cam[0, 3]) * unit
    assert right == pytest.approx(0.1, rel=0.1) or right == pytest.approx(0.2, rel=0.1)
    assert float(triple.third.seen.float().mean()) > 0.95
    drawn = photometric_loss(joined_discs(triple.surface, None), Visit(triple, False, 0), CONFIG)[1]
    assert drawn < 0.01, "a view of the wall from there shows the wall"


def test_what_neither_view_shows_does_not_count(walk: Path) -> None:
    from lsm_core.training.batches import frame_view

    shard = ShardPool(walk, 1.0).shards[0]
    views = [frame_view(shard, f) for f in (0, 1, 4)]
    triple = triple_of(load(CPU, walk / HEADLESS), views)
    assert triple is not None
    seen = triple.third.seen.float().mean(0)  # by column; view 1 ends 30 px before the third's right edge
    assert bool((seen[: WIDTH - 32] > 0.98).all()) and bool((seen[WIDTH - 28 :] == 0).all())


def test_training_lowers_the_loss_of_the_view_between(walk: Path, tmp_path: Path) -> None:
    run = trainer(walk, tmp_path, replace(CONFIG, steps=8, triples=1, given_views=0.0))
    losses = [run.train_step()["loss"] for _ in range(8)]
    assert losses[-1] < losses[0] - 0.01


def test_a_killed_run_resumes_to_the_same_head_and_the_file_keeps_all_other_weights(
    walk: Path, tmp_path: Path
) -> None:
    straight = trainer(walk, tmp_path / "a")
    path = straight.run()
    first = trainer(walk, tmp_path / "b")
    first.train_step()
    first.save()
    first.train_step()  # lost with the process
    resumed = trainer(walk, tmp_path / "b")
    assert resumed.step == 1
    again = resumed.run()
    one, other, shipped = load_file(path), load_file(again), load_file(walk / HEADLESS)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    for name, value in shipped.items():
        assert torch.equal(one[name], value), name
    added = [name for name in one if name not in shipped]
    assert added and all(name.startswith(PREFIX) for name in added)
    rows = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 4] and "psnr_learned" in rows[-1]["validation"]
    network, card = load_network(path, CPU)
    assert network.gaussian_head is not None and card.training["gaussians"]["steps"] == 4
    took = TinyNet(with_shapes_of(TinyConfig(), path))
    assert start_from(took, path) == []
    assert torch.equal(took.state_dict()["gaussian_head.discs.weight"], network.gaussian_head.discs.weight)
    with pytest.raises(WeightsError, match="other weights"):
        trainer(walk, tmp_path / "a", weights=path)


def test_a_new_head_gives_exactly_the_gaussians_that_weights_without_one_give(walk: Path, tmp_path: Path) -> None:
    made = trainer(walk, tmp_path)
    plain, shard = load(CPU, walk / HEADLESS), made.bank.pool.shards[0]
    images, K = [shard.rgb[0], shard.rgb[2]], [shard.K[0], shard.K[2]]
    before, after = plain.predict(images, K).gaussians, made.backend.predict(images, K).gaussians
    assert plain.network.gaussian_head is None and before is not None and after is not None
    for name, value in vars(before).items():
        assert torch.equal(value, getattr(after, name)), name


def test_what_a_run_may_not_change_or_read_stays_out(walk: Path, tmp_path: Path) -> None:
    run = trainer(walk, tmp_path, replace(CONFIG, changes=("opacity",), inputs=("own",)))
    run.train_step()
    run.train_step()
    triple = next(iter(run.bank.of_step(0))).triple
    zero, found = joined_discs(triple.surface, None), pair_gaussians(triple.surface, run.head)
    assert not torch.equal(zero.opacities, found.opacities)
    for name in ("means", "quats", "scales", "sh"):
        assert torch.equal(getattr(zero, name), getattr(found, name)), name
    assert bool((run.head.discs.weight[:, OWN_CHANNELS * SIDE**2 :] == 0).all())
    assert bool((run.head.discs.weight[:, : OWN_CHANNELS * SIDE**2] != 0).any())


def test_names_the_head_does_not_know_are_refused() -> None:
    with pytest.raises(InputError, match="cannot change 'size'"):
        validated(replace(CONFIG, changes=("size",)))
    with pytest.raises(InputError, match="cannot read 'colour'"):
        validated(replace(CONFIG, inputs=("colour",)))
