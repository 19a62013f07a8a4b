"""Fixtures of sizes, depths and layouts that the recorded ones do not have; answers from a plain re-computation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plain_clip
import plain_dust3r
import plain_gaussians
import plain_points
import pytest
import torch
from fixture_files import random_state, write_fixture
from safetensors.torch import load_file
from torch import Tensor

from lsm_core.backends.seeded_checkpoints import dust3r_extras, lseg_image_state
from lsm_core.nn.clip_text import ClipText, ClipTextConfig
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dust3r import Dust3r, Dust3rConfig
from lsm_core.nn.gaussian_head import GaussianHead
from lsm_core.nn.lseg import Lseg, LsegConfig
from lsm_core.nn.vit import VitConfig
from lsm_core.parity import run_fixture
from lsm_core.points.ptv3 import FusionConfig, PointTransformer, PointTransformerConfig
from lsm_core.query.clip_tokenizer import tokenize

TIGHT = {"atol": 2e-4, "rtol": 2e-4}
ORDERS = ["z", "z-trans", "hilbert", "hilbert-trans"]
Case = tuple[int, tuple[int, int], tuple[int, int]]  # batch, (H, W) of each view


def dust3r_sizes(**changes: Any) -> dict[str, Any]:
    return {
        "enc_embed_dim": 40, "enc_depth": 3, "enc_num_heads": 5, "dec_embed_dim": 24, "dec_depth": 6,
        "dec_num_heads": 2, "dpt_feature_dim": 6, "dpt_last_dim": 5, "dpt_layer_dims": [4, 6, 10, 7],
    } | changes  # fmt: skip


def dust3r_weights(config: dict[str, Any], patch: int, seed: int) -> dict[str, Tensor]:
    croco = CrocoConfig(
        patch, 3, config["enc_embed_dim"], config["enc_depth"], config["enc_num_heads"],
        config["dec_embed_dim"], config["dec_depth"], config["dec_num_heads"],
    )  # fmt: skip
    dims: Any = tuple(config["dpt_layer_dims"])
    head = config.get("head_type", "dpt")
    sizes = Dust3rConfig(croco, dims, config["dpt_feature_dim"], config["dpt_last_dim"], head)
    state = random_state(Dust3r(sizes), seed)
    return dust3r_extras(state, croco.dec_dim) if head == "dpt" else state


def stacked(samples: list[dict[str, Tensor]], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: torch.stack([s[key] for s in samples]) for key in samples[0]}


@pytest.mark.parametrize(
    ("config", "patch", "cases"),
    [
        (dust3r_sizes(), 16, [(2, (48, 80), (48, 80)), (1, (80, 48), (80, 48)), (1, (16, 64), (32, 48))]),
        (dust3r_sizes(dec_depth=3, enc_depth=1, enc_embed_dim=24, enc_num_heads=2), 16, [(1, (32, 32), (32, 32))]),
        (dust3r_sizes(head_type="linear", dec_depth=1, dec_num_heads=6), 8, [(3, (24, 16), (24, 16))]),
    ],
)
def test_dust3r(tmp_path: Path, config: dict[str, Any], patch: int, cases: list[Case]) -> None:
    weights = dust3r_weights(config, patch, seed=11)
    generator, tensors, rows = torch.Generator().manual_seed(1), dict[str, Tensor](), []
    for c, (batch, *sizes) in enumerate(cases):
        prefix = f"case{c}."
        images = [torch.rand(batch, 3, *size, generator=generator).mul(2).sub(1) for size in sizes]
        pairs = zip(*(image.double() for image in images), strict=True)
        tensors |= stacked([plain_dust3r.dust3r(weights, config, pair) for pair in pairs], prefix)
        tensors |= {f"{prefix}img{v + 1}": image for v, image in enumerate(images)}
        shapes = [torch.tensor([size] * batch) for size in sizes]
        tensors |= {f"{prefix}true_shape{v + 1}": shape for v, shape in enumerate(shapes)}
        rows.append({"prefix": prefix, "B": batch, "H": sizes[0][0], "W": sizes[0][1]})
    spec = {"kind": "dust3r", "config": config, "seed": 11, "cases": rows, "tolerance": TIGHT}
    path = write_fixture(tmp_path, "dust3r_other", spec, tensors, weights)
    report = run_fixture(path)
    assert report.status == "passed", report
    changed = json.loads(path.read_text())
    changed["config"]["enc_num_heads"] = 1  # leaves no trace in the weights: only the JSON can tell
    path.write_text(json.dumps(changed))
    assert run_fixture(path).status == "failed"


@pytest.mark.parametrize("portrait", [([0, 1, 1], [1, 0, 1]), ([0, 0], [0, 0]), ([1, 1], [1, 1])])
def test_dust3r_stored_landscape(tmp_path: Path, portrait: tuple[list[int], list[int]]) -> None:
    config = dust3r_sizes(enc_depth=1, patch_embed_cls="ManyAR_PatchEmbed", landscape_only=True)
    weights, (H, W) = dust3r_weights(config, 16, seed=5), (32, 48)
    generator = torch.Generator().manual_seed(2)
    stored = [torch.rand(len(portrait[0]), 3, H, W, generator=generator).mul(2).sub(1) for _ in (0, 1)]
    samples, last = [], [list[Tensor](), list[Tensor]()]
    for sample in range(len(portrait[0])):
        turned = [bool(portrait[v][sample]) for v in (0, 1)]
        pair = [stored[v][sample].double() for v in (0, 1)]
        upright = [image.transpose(1, 2) if t else image for image, t in zip(pair, turned, strict=True)]
        found = plain_dust3r.dust3r(weights, config, upright)
        for v, points in enumerate(("pts3d_1", "pts3d_in_other_view_2")):
            raw = found.pop(f"head{v + 1}_raw")
            if turned[v] or not any(portrait[v]):
                last[v].append(raw)
            if turned[v]:
                found[points] = found[points].transpose(0, 1)
                found[f"conf_{v + 1}"] = found[f"conf_{v + 1}"].T
        samples.append(found)
    tensors = stacked(samples, "mixed.")
    for v in (0, 1):
        tensors[f"mixed.head{v + 1}_raw"] = torch.stack(last[v])
        tensors[f"mixed.img{v + 1}"] = stored[v]
        tensors[f"mixed.true_shape{v + 1}"] = torch.tensor([(W, H) if t else (H, W) for t in portrait[v]])
    spec = {"kind": "dust3r_training_mode", "config": config, "tolerance": TIGHT}
    report = run_fixture(write_fixture(tmp_path, "mixed_other", spec, tensors, weights))
    assert report.status == "passed", report


def test_lseg_and_its_text_tower(tmp_path: Path) -> None:
    config = {
        "dim": 36, "depth": 6, "heads": 3, "hooks": [0, 2, 3, 5], "pos_img": 48, "reassemble": [5, 7, 6, 9],
        "features": 10, "clip": {"width": 12, "heads": 3, "layers": 3},
    }  # fmt: skip
    dims: Any = tuple(config["reassemble"])  # type: ignore[call-overload]
    sizes = LsegConfig(VitConfig(36, 6, 3, 3), (0, 2, 3, 5), dims, 10, 24)
    weights = lseg_image_state(random_state(Lseg(sizes), 21))
    labels = ["lamp", "a very long label, with punctuation!", "door"]
    tower = random_state(ClipText(ClipTextConfig(width=12, heads=3, layers=3, out_dim=24)), 22)
    generator, tensors, rows = torch.Generator().manual_seed(3), dict[str, Tensor](), []
    for c, (batch, H, W) in enumerate(((2, 32, 64), (1, 96, 32))):
        image = torch.rand(batch, 3, H, W, generator=generator).mul(2).sub(1)
        found = [plain_dust3r.lseg(weights, config, one.double()) for one in image]
        tensors |= {f"case{c}.img": image} | stacked(found, f"case{c}.")
        rows.append({"prefix": f"case{c}.", "B": batch, "H": H, "W": W})
    rules = {"features": {"atol": 5e-4, "rtol": 5e-4}, "logits": {"atol": 0.03, "rtol": 0.01}}
    spec = {"kind": "lseg", "config": config, "labels": labels, "cases": rows, "tolerance": rules}
    path = write_fixture(tmp_path, "lseg_other", spec, tensors, weights)
    tokens = tokenize(labels)
    answers = {"tokens": tokens, "text_features_fp32": plain_clip.text_vectors(tower, tokens, 3)}
    text = {"kind": "clip_text", "config": config["clip"], "labels": labels, "tolerance": {"fp32": TIGHT}}
    reports = [run_fixture(write_fixture(tmp_path, "lseg_other_clip", text, answers, tower)), run_fixture(path)]
    assert all(report.status == "passed" for report in reports), reports


POINTS = {
    "strides, small samples, fusion": (
        {
            "stride": [2, 4], "enc_depths": [2, 1, 1], "enc_channels": [6, 8, 12], "enc_num_head": [3, 2, 4],
            "enc_patch_size": [16, 8, 24], "dec_depths": [1, 2], "dec_channels": [10, 6], "dec_num_head": [5, 3],
            "dec_patch_size": [24, 16], "fusion": {"dust_dim": 7, "lseg_dim": 5, "heads": 3, "heads2": 2},
        },
        [5, 48, 16], ORDERS, 4, 0.06,
    ),
    "two curves, a grid of few bits": (
        {
            "stride": [2, 2, 2], "enc_depths": [1, 2, 1, 1], "enc_channels": [4, 6, 6, 8],
            "enc_num_head": [1, 3, 2, 2], "enc_patch_size": [8, 8, 8, 8], "dec_depths": [1, 1, 1],
            "dec_channels": [6, 4, 8], "dec_num_head": [2, 1, 4], "dec_patch_size": [8, 8, 8],
        },
        [30, 21], ["hilbert", "z-trans"], 9, 0.3,
    ),
    "all voxels apart": (
        {
            "stride": [2], "enc_depths": [1, 3], "enc_channels": [8, 8], "enc_num_head": [2, 1],
            "enc_patch_size": [32, 64], "dec_depths": [1], "dec_channels": [8], "dec_num_head": [4],
            "dec_patch_size": [32],
        },
        [33, 9], ORDERS, 6, 0.0007,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "kernels"), [*((n, (5, 3)) for n in POINTS), (next(iter(POINTS)), (3, 5))])
def test_point_transformer(tmp_path: Path, name: str, kernels: tuple[int, int]) -> None:
    config, counts, orders, channels, grid_size = POINTS[name]
    stages, fused = len(config["enc_depths"]), config.get("fusion")
    sizes = PointTransformerConfig(
        channels, 1.0, enc_depths=tuple(config["enc_depths"]), enc_channels=tuple(config["enc_channels"]),
        enc_heads=(1,) * stages, enc_patches=(1,) * stages, dec_depths=tuple(config["dec_depths"]),
        dec_channels=tuple(config["dec_channels"]), dec_heads=(1,) * (stages - 1),
        dec_patches=(1,) * (stages - 1), stem_size=kernels[0], cpe_size=kernels[1],
        fusion=None if fused is None else FusionConfig(*fused.values()),
    )  # fmt: skip
    weights, total = random_state(PointTransformer(sizes), 31), sum(counts)
    generator = torch.Generator().manual_seed(4)
    inputs = {
        "coord": torch.rand(total, 3, generator=generator) * 0.4,
        "feat": torch.randn(total, channels, generator=generator),
        "dust_tokens": torch.randn(len(counts), 6, 7, generator=generator),
        "lseg_tokens": torch.randn(len(counts), 4, 5, generator=generator),
    }
    drawn = [torch.randperm(len(orders), generator=generator).tolist() for _ in range(stages)]
    cells = ((inputs["coord"] - inputs["coord"].amin(0)) / grid_size).trunc()
    samples = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    shared = total - len(torch.cat((samples[:, None], cells), 1).unique(dim=0))
    spec: dict[str, Any] = {
        "kind": "ptv3_fusion" if fused else "ptv3", "config": config, "counts": counts, "grid_size": grid_size,
        "perms_shuffled": drawn, "perms_identity": [list(range(len(orders)))] * stages, "order_names": orders,
        "tolerance": {"default": {"atol": 3e-4, "rtol": 3e-4}, "identity_fp16attn": {"atol": 0.02, "rtol": 0.02}},
    }  # fmt: skip
    tensors = dict(inputs)
    for run, smallest in (("shuffled", False), ("identity_noflash", True)):
        permutations = spec[f"perms_{run.partition('_')[0]}"]
        plain = {k: v.double() for k, v in inputs.items()}
        # Where ties are broken in another way than ours, the recorded order must be followed.
        found = plain_points.point_transformer(
            weights, spec, plain, permutations, smallest, last_first=not smallest
        )
        tensors |= {f"{run}.{k}": v for k, v in found.items()}
    report = run_fixture(write_fixture(tmp_path, "points_other", spec, tensors, weights))
    assert report.status == "passed", report
    assert (shared > 0) == (name != "all voxels apart")


def test_a_wrong_recorded_order_is_not_followed(tmp_path: Path) -> None:
    test_point_transformer(tmp_path, "two curves, a grid of few bits", (5, 3))
    file = tmp_path / "points_other.io.safetensors"
    tensors = load_file(file)
    key = "shuffled.first.serialized_order"
    (tmp_path / "points_other.weights.safetensors").rename(tmp_path / "kept")
    weights = load_file(tmp_path / "kept")
    spec = json.loads((tmp_path / "points_other.json").read_text())
    for wrong in (tensors[key].flip(1), torch.zeros_like(tensors[key])):
        path = write_fixture(tmp_path, "points_other", spec, tensors | {key: wrong}, weights)
        assert run_fixture(path).status == "failed"


@pytest.mark.parametrize(("views", "degree", "features"), [(2, 1, 5), (3, 0, 4), (2, 4, 8)])
def test_gaussian_head(tmp_path: Path, views: int, degree: int, features: int) -> None:
    batch, H, W, width = 2, 4, 6, 9
    weights = random_state(GaussianHead(width, features, degree), 41)
    generator = torch.Generator().manual_seed(6)
    maps = [torch.randn(batch, H, W, 3, generator=generator) for _ in range(views)]
    maps[0][0, 0, :3] = maps[1][0, 1, 1]  # several points at one place
    images = [torch.rand(batch, 3, H, W, generator=generator).mul(2).sub(1) for _ in range(views)]
    tensors = {
        **{f"pts3d_{v + 1}": m for v, m in enumerate(maps)},
        **{f"img{v + 1}": image for v, image in enumerate(images)},
        "point_feat": torch.randn(batch * views * H * W, width, generator=generator),
        "lseg_res_feature": torch.randn(views * batch, features, H, W, generator=generator),
    }
    plain = {k: v.double() for k, v in tensors.items()}
    tensors |= plain_gaussians.gaussians(weights, plain, views, features, degree)
    config = {"d_pt_feat": width, "d_gs_feats": features}
    spec = {"kind": "gaussian_head", "config": config, "tolerance": {"atol": 1e-4, "rtol": 1e-4}}
    report = run_fixture(write_fixture(tmp_path, "head_other", spec, tensors, weights))
    assert report.status == "passed" and report.tensors == 5 + 7 * views, report
