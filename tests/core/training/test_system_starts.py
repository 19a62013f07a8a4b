"""Runs begin from the checkpoints of their parents, or from weights of their own; wrong files are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from system_runs import smoke

from lsm_core.backends.lsm import LsmBackend, LsmOptions
from lsm_core.backends.registry import load_backend
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.backends.seeded_mast3r import write_mast3r, write_splatt3r
from lsm_core.backends.seeded_noposplat import write_noposplat
from lsm_core.backends.seeded_pixelsplat import pixelsplat_state, write_pixelsplat
from lsm_core.errors import WeightsError
from lsm_core.training.systems import make_system


def test_splatt3r_takes_all_of_mast3r_and_starts_its_gaussians(tmp_path: Path) -> None:
    parent = write_mast3r(tmp_path / "mast3r.pth").state_dict()
    system = make_system("splatt3r", smoke("splatt3r"))
    fresh = {key: value.clone() for key, value in system.network.state_dict().items()}
    system.load_parents(tmp_path / "mast3r.pth")
    for key, value in system.network.state_dict().items():
        assert torch.equal(value, fresh[key] if ".gaussian_dpt." in key else parent[key]), key


def test_noposplat_takes_backbone_and_centres_of_mast3r_without_confidence(tmp_path: Path) -> None:
    parent = write_mast3r(tmp_path / "mast3r.pth").state_dict()
    system = make_system("noposplat", smoke("noposplat"))
    fresh = {key: value.clone() for key, value in system.network.state_dict().items()}
    system.load_parents(tmp_path / "mast3r.pth")
    taken = 0
    for key, value in system.network.state_dict().items():
        source = parent.get(key.removeprefix("backbone."))
        if key.startswith("gaussian_param_head") or source is None:
            assert torch.equal(value, fresh[key]), key
        else:
            assert torch.equal(value, source[: len(value)]), key
            taken += 1
    assert taken > 100 and system.network.state_dict()["downstream_head2.dpt.head.4.bias"].shape == (3,)


def test_noposplat_trains_what_is_new_ten_times_as_fast() -> None:
    system = make_system("noposplat", smoke("noposplat"))
    fast = {n.split(".")[0] for n, _ in system.network.named_parameters() if system.rate_share(n) == 1.0}
    assert fast == {"gaussian_param_head", "gaussian_param_head2", "backbone"}
    assert [
        n for n, _ in system.network.named_parameters() if n.startswith("backbone") and system.rate_share(n) == 1
    ] == [
        "backbone.intrinsic_encoder.weight",
        "backbone.intrinsic_encoder.bias",
    ]
    assert system.rate_share("downstream_head1.dpt.head.4.weight") == 0.1


def test_lsm_takes_dust3r_and_lseg_from_their_files(tmp_path: Path) -> None:
    parent, _ = write_checkpoints(tmp_path)
    system = make_system("lsm", smoke("lsm"))
    fresh = {key: value.clone() for key, value in system.network.state_dict().items()}
    system.load_parents(tmp_path)
    original = parent.state_dict()
    for key, value in system.network.state_dict().items():
        assert torch.equal(value, original[key] if key.startswith(("dust3r.", "lseg.")) else fresh[key]), key


def test_pixelsplat_takes_dinos_two_networks(tmp_path: Path) -> None:
    state = pixelsplat_state(write_pixelsplat(tmp_path / "own.ckpt"))
    for name, prefix in (
        ("dino_vitbase8_pretrain.pth", "encoder.backbone.dino."),
        ("dino_resnet50_pretrain.pth", "encoder.backbone.resnet_backbone.model."),
    ):
        part = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        torch.save(part, tmp_path / name)
    system = make_system("pixelsplat", smoke("pixelsplat"))
    system.load_parents(tmp_path)
    network = system.network.state_dict()
    for key in network:
        if key.startswith(("backbone.dino.", "backbone.resnet_backbone.model.")):
            assert torch.equal(network[key], state[f"encoder.{key}"]), key
    (tmp_path / "dino_resnet50_pretrain.pth").unlink()
    with pytest.raises(WeightsError, match="dino_resnet50_pretrain"):
        system.load_parents(tmp_path)


def test_own_weights_are_taken_over_whole(tmp_path: Path) -> None:
    written = {
        "splatt3r": write_splatt3r(tmp_path / "splatt3r.ckpt"),
        "noposplat": write_noposplat(tmp_path / "noposplat.ckpt"),
        "pixelsplat": write_pixelsplat(tmp_path / "pixelsplat.ckpt"),
    }
    for name, parent in written.items():
        system = make_system(name, smoke(name))
        system.load_official(tmp_path / f"{name}.ckpt")
        original = parent.state_dict()
        assert all(torch.equal(value, original[key]) for key, value in system.network.state_dict().items()), name


def test_lsm_goes_on_from_what_it_exports(tmp_path: Path) -> None:
    first, second = (make_system("lsm", smoke("lsm", seed=seed)) for seed in (0, 1))
    torch.save(first.official(), tmp_path / first.weights_file)
    second.load_official(tmp_path)
    state = first.network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in second.network.state_dict().items())


def test_exported_lsm_beside_its_parents_is_the_backend_that_was_trained(tmp_path: Path) -> None:
    write_checkpoints(tmp_path)
    system = make_system("lsm", smoke("lsm", seed=5))
    torch.save(system.official(), tmp_path / system.weights_file)
    backend = load_backend("lsm", "cpu", tmp_path, options=LsmOptions(backbone="finetuned", reference=True))
    assert isinstance(backend, LsmBackend)
    loaded = backend.network.state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in system.network.state_dict().items())


def test_a_checkpoint_of_another_model_or_size_is_refused(tmp_path: Path) -> None:
    write_noposplat(tmp_path / "noposplat.ckpt")
    write_mast3r(tmp_path / "mast3r.pth")
    with pytest.raises(WeightsError, match="NoPoSplat"):
        make_system("splatt3r", smoke("splatt3r")).load_parents(tmp_path / "noposplat.ckpt")
    config = smoke("noposplat")
    wider = replace(config, network=replace(config.network, feature_dim=24))
    with pytest.raises(WeightsError, match="shape"):
        make_system("noposplat", wider).load_parents(tmp_path / "mast3r.pth")
