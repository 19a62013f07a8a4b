"""NoPoSplat: recorded oracles, and sizes and view counts they do not have, from a plain re-computation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixture_files import random_state, write_fixture
from plain_noposplat import gaussians, noposplat
from torch import Tensor

from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.harmonics import real_harmonics
from lsm_core.nn.intrinsics_embedding import IntrinsicsMode
from lsm_core.nn.noposplat import Noposplat, NoposplatConfig
from lsm_core.parity import run_fixture
from lsm_core.parity.families import noposplat as family
from lsm_core.sh import sh_basis

RECORDED = (
    "noposplat_pair_2view",
    "noposplat_multi_3view",
    "noposplat_dense_intrinsics",
    "unified_gaussian_adapter",
    "opacity_mapping",
    "render_losses",
)
TOLERANCE = {
    "metric": "max|a-b| / max|b| per tensor",
    "limit": 1e-4,
    "elementwise": "at least 99.9 % of elements: |a-b| <= 2e-4*|b| + 2e-4*median|b|",
}
SIZES = {
    "enc_embed_dim": 40, "enc_depth": 1, "enc_num_heads": 5,
    "dec_embed_dim": 24, "dec_depth": 4, "dec_num_heads": 2,
    "feature_dim": 6, "last_dim": 5, "layer_dims": [4, 6, 10, 7], "sh_degree": 4,
    "intrinsics_embed": "token in encoder",
}  # fmt: skip


@pytest.mark.shared
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_reference_outputs_are_reproduced(shared_dir: Path, name: str) -> None:
    report = run_fixture(shared_dir / "fixtures" / "splatt3r_noposplat_pixelsplat" / f"{name}.json")
    assert report.status == "passed" and report.tensors >= 4, report


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("views", [2, 3])
def test_the_full_size_is_reproduced(shared_dir: Path, views: int) -> None:
    path = shared_dir / "fixtures" / "splatt3r_noposplat_pixelsplat" / f"full_noposplat_{views}view.json"
    report = run_fixture(path)
    assert report.status == "passed", report


def network(config: dict[str, Any], reference: bool = False) -> Noposplat:
    croco = CrocoConfig(
        16, 3, config["enc_embed_dim"], config["enc_depth"], config["enc_num_heads"],
        config["dec_embed_dim"], config["dec_depth"], config["dec_num_heads"],
    )  # fmt: skip
    dims: Any = tuple(config["layer_dims"])
    mode = family.intrinsics_mode(config["intrinsics_embed"], IntrinsicsMode(degree=config.get("degree", 4)))
    return Noposplat(
        NoposplatConfig(croco, dims, config["feature_dim"], config["last_dim"], config["sh_degree"], mode),
        reference,
    ).eval()


def write_case(
    folder: Path, config: dict[str, Any], views: int, size: tuple[int, int], batch: int = 1, seed: int = 3
) -> Path:
    """Write a fixture of views whose answers are the plain re-computation's."""
    weights = random_state(network(config), seed)
    weights["backbone.mask_token"] = torch.zeros(1, 1, config["dec_embed_dim"])
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(batch, views, 3, *size, generator=generator).mul(2).sub(1)
    K = torch.eye(3).repeat(batch, views, 1, 1)
    K[..., :2, 2] = 0.5
    K[..., (0, 1), (0, 1)] = 0.7 + torch.rand(batch, views, 2, generator=generator)
    samples = [noposplat(weights, config, list(images[b].double()), list(K[b].double())) for b in range(batch)]
    answers: dict[str, Tensor] = {key: torch.stack([s[key] for s in samples]) for key in samples[0]}
    index = torch.arange(0, views * size[0] * size[1], 5)
    rows = {"out.covariances", "out.harmonics", "out.scales", "out.rotations"}
    tensors = {f"{k}_at_index" if k in rows else k: v[:, index] if k in rows else v for k, v in answers.items()}
    tensors |= {"in.context.image": images, "in.context.intrinsics": K, "out.index": index}
    spec = {"hyper_parameters": {**config, "H": size[0], "W": size[1], "B": batch}, "tolerance": TOLERANCE}
    return write_fixture(folder, "noposplat_other", spec, tensors, {k: v.float() for k, v in weights.items()})


@pytest.mark.parametrize(
    ("views", "size", "changes"),
    [
        (2, (48, 32), {}),  # portrait: centres and parameters are of the same pixels
        (3, (32, 80), {"dec_depth": 3, "enc_depth": 2}),
        (4, (32, 32), {"sh_degree": 3, "dec_num_heads": 3}),
        (2, (32, 48), {"intrinsics_embed": "linear in encoder", "enc_embed_dim": 24, "enc_num_heads": 2}),
        (2, (32, 48), {"intrinsics_embed": "pixelwise in encoder", "degree": 2}),
        (3, (32, 32), {"intrinsics_embed": "pixelwise in decoder", "degree": 0}),
    ],
)
def test_other_sizes_view_counts_and_orientations(
    tmp_path: Path, views: int, size: tuple[int, int], changes: dict[str, Any]
) -> None:
    path = write_case(tmp_path, SIZES | changes, views, size, batch=2 if views == 2 else 1)
    report = run_fixture(path)
    assert report.status == "passed" and report.tensors >= 11, report
    changed = json.loads(path.read_text())
    changed["hyper_parameters"]["enc_num_heads"] = 1  # leaves no trace in the weights: only the JSON can tell
    path.write_text(json.dumps(changed))
    assert run_fixture(path).status == "failed"


def test_the_readable_twin_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "Noposplat", lambda config: Noposplat(config, reference=True))
    report = run_fixture(write_case(tmp_path, SIZES, 3, (32, 48)))
    assert report.status == "passed", report


@pytest.mark.parametrize("degree", [1, 3, 4])
def test_raw_numbers_become_gaussians(tmp_path: Path, degree: int) -> None:
    raw = torch.randn(1, 30, 8 + 3 * (degree + 1) ** 2, generator=torch.Generator().manual_seed(degree)) * 3
    raw[0, 0, 1:4] = 400.0  # a scale at its limit
    answers = gaussians(raw[0].double(), degree)
    tensors = {"in.raw": raw[..., 1:], "in.means": raw[..., :3], "in.opacities": raw[..., 0].sigmoid()}
    tensors |= {key: value[None] for key, value in answers.items()}
    table = {"out.covariances": {"limit": 1e-4, "fraction": None}}  # one is 10^5 times as large as the others
    spec = {"hyper_parameters": {"sh_degree": degree}, "tolerance": TOLERANCE, "tolerance_table": table}
    report = run_fixture(write_fixture(tmp_path, "unified_gaussian_adapter_b", spec, tensors))
    assert report.status == "passed", report


def test_harmonics_of_high_degree_are_orthonormal_and_continue_the_usual_ones() -> None:
    z, weight = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(12))
    phi = torch.arange(24, dtype=torch.float64) * 2 * math.pi / 24
    r = (1 - z * z).sqrt()
    d = torch.stack((r[:, None] * phi.cos(), r[:, None] * phi.sin(), z[:, None].expand(-1, 24)), -1)
    values = real_harmonics(d, 8)
    gram = torch.einsum("ipk,ipl,i->kl", values, values, weight) * (2 * math.pi / 24)
    torch.testing.assert_close(gram, torch.eye(81, dtype=torch.float64), atol=1e-10, rtol=0)
    torch.testing.assert_close(values[..., :16], sh_basis(d, 3))


def test_rays_of_another_size_and_degree(tmp_path: Path) -> None:
    K = torch.tensor([[0.8, 0, 0.45], [0, 1.1, 0.55], [0, 0, 1]])
    answers = {}
    for name, (h, w), degree in (("out.degree3", (6, 10), 3), ("out.degree0_downsample2_merged", (3, 5), 0)):
        rows = []
        for y in range(h):
            for x in range(w):
                ray = torch.tensor([((x + 0.5) / w - 0.45) / 0.8, ((y + 0.5) / h - 0.55) / 1.1, 1.0]).double()
                ray = ray / ray.norm()
                rows.append(sh_basis(ray, degree) if degree else ray)
        flat = torch.stack(rows)
        answers[name] = flat[None, None] if "merged" in name else flat.T.reshape(1, 1, -1, h, w)
    spec = {"hyper_parameters": {"H": 6, "W": 10}, "tolerance": TOLERANCE}
    path = write_fixture(
        tmp_path, "noposplat_dense_intrinsics_b", spec, {"in.intrinsics": K[None, None], **answers}
    )
    assert run_fixture(path).status == "passed"


def plain_smoothness(d: list[list[float]], colour: Any, step: tuple[int, int], sigma: float) -> dict[str, float]:
    """Return the mean differences of a map along one axis, in four ways."""
    dy, dx = step
    change, edge = {}, {}
    for y in range(len(d) - dy):
        for x in range(len(d[0]) - dx):
            change[y, x] = d[y + dy][x + dx] - d[y][x]
            edge[y, x] = max(c[y + dy][x + dx] - c[y][x] for c in colour)
    after = {p: (p[0] + dy, p[1] + dx) for p in change if (p[0] + dy, p[1] + dx) in change}
    twice = {p: abs(change[q] - change[p]) for p, q in after.items()}
    weighted = [twice[p] * math.exp(-sigma * max(edge[p], edge[q])) for p, q in after.items()]
    return {
        "plain": sum(map(abs, change.values())) / len(change),
        f"bilateral{sigma:g}": sum(abs(change[p]) * math.exp(-sigma * edge[p]) for p in change) / len(change),
        "plain_second": sum(twice.values()) / len(twice),
        f"bilateral{sigma:g}_second": sum(weighted) / len(after),
    }


def test_losses_written_out(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(2)
    depth, target = torch.rand(1, 2, 5, 6, generator=generator) * 4, torch.rand(1, 2, 3, 5, 6, generator=generator)
    near, far = torch.tensor([[0.5, 0.4]]), torch.tensor([[10.0, 30.0]])
    total: dict[str, float] = {}
    for v in range(2):
        low, high = math.log(near[0, v]), math.log(far[0, v])
        d = [[(min(max(float(x), low), high) - low) / (high - low) for x in row] for row in depth[0, v]]
        for step in ((0, 1), (1, 0)):
            for name, value in plain_smoothness(d, target[0, v].tolist(), step, sigma=3.0).items():
                total[name] = total.get(name, 0.0) + 0.25 * value / 2
    colour = target.flip(-1)
    tensors = {"in.color": colour, "in.target": target, "in.depth": depth, "in.near": near, "in.far": far}
    tensors |= {f"out.depth_{name}": torch.tensor(value) for name, value in total.items()}
    tensors["out.mse_w0.5"] = 0.5 * (colour - target).double().square().mean()
    report = run_fixture(write_fixture(tmp_path, "render_losses_b", {"tolerance": TOLERANCE}, tensors))
    assert report.status == "passed" and report.tensors == 5, report
