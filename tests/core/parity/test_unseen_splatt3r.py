"""MASt3R and Splatt3R in sizes that the recorded fixtures do not have; answers from a plain re-computation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plain_splatt3r
import pytest
import torch
from fixture_files import random_state, write_fixture
from torch import Tensor, nn

from lsm_core.backends.seeded_checkpoints import dpt_extras, dust3r_extras
from lsm_core.nn.mast3r import Mast3r
from lsm_core.nn.splatt3r import Splatt3r
from lsm_core.parity import run_fixture
from lsm_core.parity.families.mast3r import mast3r_sizes, splatt3r_sizes

TIGHT = {"limit": 1e-4, "elementwise": "at least 99.9 % of elements: |a-b| <= 2e-4*|b| + 2e-4*median|b|"}
EXP = ["exp", 1, "inf"]


def sizes(**changes: Any) -> dict[str, Any]:
    return {
        "enc_embed_dim": 40, "enc_depth": 2, "enc_num_heads": 5, "dec_embed_dim": 24, "dec_depth": 6,
        "dec_num_heads": 2, "feature_dim": 6, "last_dim": 5, "layer_dims": [4, 6, 10, 7], "desc_dim": 3,
        "two_confs": True, "desc_conf_mode": ["exp", 0, "inf"], "depth_mode": ["exp", "-inf", "inf"],
        "conf_mode": EXP, "pos_embed": "RoPE100", "patch_size": 16,
    } | changes  # fmt: skip


def weights(network: nn.Module, width: int) -> dict[str, Tensor]:
    state = dust3r_extras(random_state(network, 3), width)
    for head in (1, 2):
        if any("gaussian_dpt" in key for key in state):
            state = dpt_extras(state, f"downstream_head{head}.gaussian_dpt.dpt.")
    return state


def written(
    folder: Path, name: str, stated: dict[str, Any], tensors: dict[str, Tensor], state: dict[str, Tensor]
) -> Path:
    shapes = {key: {"shape": list(t.shape)} for key, t in tensors.items()}
    spec = {"what": name, "hyper_parameters": stated, "tensors": shapes, "tolerance": TIGHT}
    return write_fixture(folder, name, spec, tensors, state)


def changed(path: Path, **values: Any) -> Path:
    document = json.loads(path.read_text())
    document["hyper_parameters"] |= values
    path.write_text(json.dumps(document))
    return path


def batch(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        (sizes(), (80, 48)),
        (sizes(two_confs=False, dec_depth=3, enc_num_heads=2), (32, 64)),
        (sizes(desc_conf_mode=["sigmoid", 0.5, 3.0], conf_mode=["sigmoid", 1, 9]), (16, 32)),
    ],
)
def test_mast3r(tmp_path: Path, stated: dict[str, Any], size: tuple[int, int]) -> None:
    state = weights(Mast3r(mast3r_sizes(stated)), stated["dec_embed_dim"])
    images = torch.rand(2, 2, 3, *size, generator=torch.Generator().manual_seed(1)).mul(2).sub(1)
    tensors = batch([plain_splatt3r.mast3r(state, stated, pair) for pair in images.double()])
    tensors |= {"in.img1": images[:, 0], "in.img2": images[:, 1]}
    path = written(tmp_path, "mast3r_other", stated, tensors, state)
    assert run_fixture(path).status == "passed", run_fixture(path)
    assert run_fixture(changed(path, dec_num_heads=1)).status == "failed"


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        (sizes(use_offsets=True, sh_degree=2, offset_shift=2.5, desc_conf_mode="same as conf_mode"), (48, 32)),
        (sizes(use_offsets=False, sh_degree=1, offset_shift=6.0, dec_depth=4, desc_conf_mode=EXP), (32, 32)),
    ],
)
def test_splatt3r(tmp_path: Path, stated: dict[str, Any], size: tuple[int, int]) -> None:
    state = weights(Splatt3r(splatt3r_sizes(stated)), stated["dec_embed_dim"])
    colours = torch.rand(1, 2, 3, *size, generator=torch.Generator().manual_seed(2))
    tensors = batch([plain_splatt3r.splatt3r(state, stated, pair) for pair in colours.double()])
    tensors |= {"in.original_img1": colours[:, 0], "in.original_img2": colours[:, 1]}
    path = written(tmp_path, "splatt3r_other", stated, tensors, state)
    assert run_fixture(path).status == "passed", run_fixture(path)
    assert run_fixture(changed(path, use_offsets=not stated["use_offsets"])).status == "failed"
