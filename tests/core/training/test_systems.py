"""Each reference system learns on generated rooms; gradients reach what is trained and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from system_runs import smoke, trainer

from lsm_core.errors import InputError
from lsm_core.training.systems import SYSTEMS, make_system
from lsm_core.training.systems.base import LOSS

# the first parts of the names of what stays as it is in the release
FROZEN = {
    "lsm": ("dust3r.patch_embed.", "dust3r.enc_blocks.", "lseg."),
    "splatt3r": (),  # the smoke configuration trains its trunk, which has no parent
    "noposplat": (),
    "pixelsplat": (),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_twenty_steps_on_one_batch_lower_the_loss_and_reach_every_trained_parameter(
    name: str, tmp_path: Path
) -> None:
    run = trainer(name, tmp_path)
    network = run.system.network
    before = {key: value.clone() for key, value in network.state_dict().items() if key.startswith(FROZEN[name])}
    batches = run.batches(0)
    losses = []
    reached: set[str] = set()
    for _ in range(20):
        losses.append(run.train_step(batches)[LOSS])
        reached |= {n for n, p in network.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4]), losses
    trained = {n for n, _ in network.named_parameters() if not (FROZEN[name] and n.startswith(FROZEN[name]))}
    assert reached == trained
    after = network.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_splatt3r_trains_its_gaussian_heads_alone_as_released(tmp_path: Path) -> None:
    config = replace(smoke("splatt3r"), pointmap_weight=0.0)
    run = trainer("splatt3r", tmp_path, config)
    network = run.system.network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    batches = run.batches(0)
    losses = [run.train_step(batches)[LOSS] for _ in range(4)]
    assert losses[-1] < losses[0]
    moved = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    heads = {key for key in before if ".gaussian_dpt." in key}
    assert moved == heads == {n for n, p in network.named_parameters() if p.grad is not None}


def test_splatt3r_refuses_data_without_metres(tmp_path: Path) -> None:
    run = trainer("splatt3r", tmp_path)
    batch = run.batches(0)[0]
    with pytest.raises(InputError, match="metres"):
        run.system(replace(batch, metric=torch.tensor([True, False])), 0, torch.Generator())


@pytest.mark.parametrize("name", ["lsm", "splatt3r"])
def test_systems_that_learn_from_depth_refuse_data_without(name: str, tmp_path: Path) -> None:
    run = trainer(name, tmp_path)
    batch = run.batches(0)[0]
    batch.context.depth.zero_()
    with pytest.raises(InputError, match="depth"):
        run.system(batch, 0, torch.Generator())


def test_noposplat_does_not_see_the_unit_of_the_poses(tmp_path: Path) -> None:
    """Poses are divided by the baseline: the same room in other units is the same training."""
    run = trainer("noposplat", tmp_path)
    run.system.eval()
    batch = run.batches(0)[0]
    losses = []
    for unit in (1.0, 7.0):
        views = []
        for part in (batch.context, batch.targets):
            T = part.T_world_cam.clone()
            T[..., :3, 3] *= unit
            views.append(replace(part, T_world_cam=T))
        scaled = replace(batch, context=views[0], targets=views[1])
        losses.append(run.system(scaled, 0, torch.Generator())[LOSS].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_lsm_in_both_orders_is_the_mean_of_each_order(tmp_path: Path) -> None:
    """Points alone, whose loss is a mean over pixels: both orders at once, or one after the other."""
    config = replace(smoke("lsm"), feature_weight=0.0)
    run = trainer("lsm", tmp_path, config)
    run.system.eval()
    batch = run.batches(0)[0]

    def points(symmetric: bool, flipped: bool) -> float:
        run.system.config = replace(config, symmetric=symmetric)
        context = batch.context
        if flipped:
            context = type(context)(**{k: v.flip(1) for k, v in vars(context).items()})
        found = run.system(replace(batch, context=context), 0, torch.Generator().manual_seed(0))
        return float(found["points"])

    assert points(True, False) == pytest.approx((points(False, False) + points(False, True)) / 2, rel=1e-4)


@pytest.mark.parametrize("name", SYSTEMS)
def test_bfloat16_is_near_float32(name: str, tmp_path: Path) -> None:
    full = trainer(name, tmp_path / "a")
    half = trainer(name, tmp_path / "b", smoke(name, precision="bfloat16"))
    batch = full.batches(0)[0]
    for run in (full, half):
        run.system.eval()
    with torch.no_grad():
        losses = [float(r.system(batch, 0, torch.Generator().manual_seed(0))[LOSS]) for r in (full, half)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_equal_seeds_give_equal_networks_and_others_do_not() -> None:
    a, b, c = (make_system("pixelsplat", smoke("pixelsplat", seed=seed)).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)
