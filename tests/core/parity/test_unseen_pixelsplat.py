"""pixelSplat fixtures of sizes and view counts that the recorded ones do not have; answers from plain float64."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plain_pixelsplat
import pytest
import torch
from fixture_files import random_state, write_fixture
from torch import Tensor

from lsm_core.geometry import se3_exp
from lsm_core.nn.epipolar import EpipolarConfig
from lsm_core.nn.image_attention import ImageAttentionConfig
from lsm_core.nn.pixelsplat import Pixelsplat, PixelsplatConfig
from lsm_core.nn.resnet import ResNetConfig
from lsm_core.nn.vit import VitConfig
from lsm_core.parity import run_fixture
from lsm_core.parity.families.pixelsplat import answer
from lsm_core.parity.fixture import read_fixture

SIZES: dict[str, Any] = {
    "d_feature": 6, "d_backbone": 5, "resnet_planes": [2, 2, 3, 3], "stem": 3, "dino_dim": 12, "dino_depth": 1,
    "dino_heads": 2, "dino_mlp_ratio": 3, "dino_img": 24, "num_samples": 5, "buckets": 6, "gpp": 2, "d_dot": 4,
    "heads": 3, "sa_layers": 2, "sa_heads": 2, "sa_dtoken": 6, "sa_ddot": 5, "sa_mlp": 7, "ep_layers": 1,
    "num_octaves": 2, "sa_octaves": 3, "patch_size": 2, "downscale": 4, "dino_patch": 8, "sh_degree": 2,
    "scale_min": 0.25, "scale_max": 9.0,
}  # fmt: skip
TOLERANCE = {"limit": 2e-4, "elementwise": "at least 99.9 % of elements: |a-b| <= 1e-3*|b| + 1e-3*median|b|"}
SAMPLES = {"mid.epipolar.depth_clamped": {"compare": "relative_disparity", "limit_abs": 2e-4}}


def network(s: dict[str, Any], embeddings: int) -> Pixelsplat:
    own = ImageAttentionConfig(
        s["patch_size"], s["sa_octaves"], s["sa_layers"], s["sa_heads"], s["sa_ddot"], s["sa_dtoken"], s["sa_mlp"]
    )
    epipolar = EpipolarConfig(
        s["d_feature"], s["num_samples"], s["num_octaves"], s["ep_layers"], s["heads"], s["d_dot"], s["downscale"],
        embeddings, own,
    )  # fmt: skip
    vit = VitConfig(
        s["dino_dim"], s["dino_depth"], s["dino_heads"], s["dino_img"] // 8, s["dino_patch"], s["dino_mlp_ratio"]
    )
    planes: Any = tuple(s["resnet_planes"][:3])
    return Pixelsplat(
        PixelsplatConfig(
            vit, ResNetConfig(s["stem"], planes, (1, 2, 1)), s["d_backbone"], epipolar, s["buckets"], 1, s["gpp"],
            s["sh_degree"],
        )
    )  # fmt: skip


def cameras(views: int, generator: torch.Generator) -> tuple[Tensor, Tensor, list[float], list[float]]:
    """Return poses, normalised intrinsics, near and far; one view looks away, so that some rays are never seen."""
    T = []
    for v in range(views):
        turn = torch.randn(3, generator=generator).double() * 0.15
        move = torch.tensor([0.9 * v, 0.1 * v, -0.05 * v]).double()
        T.append(se3_exp(torch.cat((move, turn + torch.tensor([0, 0.5 * (v == 1), 0])))))
    K = torch.eye(3).double().repeat(views, 1, 1)
    K[:, 0, 0], K[:, 1, 1] = 0.8 + 0.3 * torch.rand(2, views, generator=generator).double()
    K[:, :2, 2] = 0.5 + 0.04 * torch.randn(views, 2, generator=generator).double()
    near = [0.5 + 0.01 * v for v in range(views)]
    return torch.stack(T).float().double(), K.float().double(), near, [60.0] * views


@pytest.mark.parametrize(
    ("changes", "size", "views", "batch", "embeddings", "sampled", "seed"),
    [
        ({}, (16, 24), 2, 2, 0, False, 1),
        ({"dino_img": 16, "sh_degree": 4, "d_feature": 5, "gpp": 3}, (16, 16), 3, 1, 3, True, 2),
        ({"downscale": 2, "patch_size": 4, "ep_layers": 2, "heads": 1}, (8, 16), 4, 1, 0, True, 3),
    ],
)
def test_pixelsplat(
    tmp_path: Path,
    changes: dict[str, Any],
    size: tuple[int, int],
    views: int,
    batch: int,
    embeddings: int,
    sampled: bool,
    seed: int,
) -> None:
    s = SIZES | changes | {"H": size[0], "W": size[1], "B": batch, "views": views, "deterministic": not sampled}
    weights = random_state(network(s, embeddings), seed)
    generator = torch.Generator().manual_seed(seed)
    pixels, draws = size[0] * size[1], s["gpp"] if sampled else 1
    order = torch.randperm(views - 1, generator=generator) if embeddings else None
    index = torch.randperm(views * pixels * draws, generator=generator)[:200]
    sets, inputs = [], []
    for _ in range(batch):
        T, K, near, far = cameras(views, generator)
        images = torch.rand(views, 3, *size, generator=generator)
        uniform = torch.rand(views, pixels, 1, draws, generator=generator) if sampled else None
        near, far = ([float(torch.tensor(x)) for x in limits] for limits in (near, far))
        plain_uniform = None if uniform is None else uniform.double()
        found = plain_pixelsplat.pixelsplat(weights, s, images.double(), (T, K, near, far), plain_uniform, order)
        rows = {k: v[index] for k, v in found.items() if k.startswith("rows.")}
        out = {k: v for k, v in found.items() if not k.startswith("rows.")}
        sets.append(out | {f"out.{k.removeprefix('rows.')}_at_index": v for k, v in rows.items()})
        given = {"image": images, "extrinsics": T, "intrinsics": K}
        given |= {"near": torch.tensor(near), "far": torch.tensor(far)}
        inputs.append({f"in.context.{k}": v for k, v in given.items()})
        if uniform is not None:
            inputs[-1]["in.uniform"] = uniform
    tensors = {k: torch.stack([one[k] for one in sets]) for k in sets[0]}
    tensors |= {k: torch.stack([one[k] for one in inputs]) for k in inputs[0]} | {"out.index": index}
    tensors |= {} if order is None else {"in.view_permutation": order}
    assert 0.05 < float(tensors["mid.epipolar.valid"].float().mean()) < 0.98  # some rays are seen, some are not
    spec = {"what": "", "hyper_parameters": s, "tolerance": TOLERANCE, "tolerance_table": SAMPLES}
    path = write_fixture(tmp_path, "pixelsplat_other", spec, tensors, weights)
    report = run_fixture(path)
    assert report.status == "passed" and report.tensors == 14 + sampled, report
    document = json.loads(path.read_text())
    document["hyper_parameters"]["scale_max"] = 9.5  # leaves no trace in the weights: only the JSON can tell
    path.write_text(json.dumps(document))
    assert run_fixture(path).status == "failed"


@pytest.mark.shared
def test_the_written_out_twin_gives_the_recorded_numbers(shared_dir: Path) -> None:
    """The slow readable path, to what float32 least squares leave of the depths of samples."""
    folder = shared_dir / "fixtures/splatt3r_noposplat_pixelsplat"
    for name in ("pixelsplat_2view_deterministic", "pixelsplat_3view_sampled"):
        fixture = read_fixture(folder / f"{name}.json")
        recorded = fixture.tensors()
        found = answer(fixture, recorded, reference=True)
        for key in ("out.depth", "out.opacities", "out.harmonics_at_index", "out.covariances_at_index"):
            scale = float(recorded[key].abs().max())
            assert float((found[key] - recorded[key]).abs().max()) < 1e-3 * scale, (name, key)
