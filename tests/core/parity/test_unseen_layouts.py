"""Fixtures of other shapes, names and options for what needs no network; and the whole model under other names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from fixture_files import random_state, write_fixture
from plain_points import code, convolved
from scipy.spatial.transform import Rotation

from lsm_core.backends.lsm_keys import DUST3R_PREFIX
from lsm_core.backends.seeded_checkpoints import lsm_state
from lsm_core.nn.clip_text import ClipText, ClipTextConfig
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dust3r import Dust3rConfig
from lsm_core.nn.lseg import LsegConfig
from lsm_core.nn.lsm import Lsm, LsmConfig
from lsm_core.nn.vit import VitConfig
from lsm_core.parity import run_fixture
from lsm_core.points.ptv3 import FusionConfig, PointTransformerConfig
from lsm_core.query.clip_tokenizer import tokenize

TIGHT = {"atol": 1e-4, "rtol": 1e-4}


@pytest.mark.parametrize("depth", [1, 7, 16])
def test_serialization(tmp_path: Path, depth: int) -> None:
    generator = torch.Generator().manual_seed(depth)
    grid = torch.randint(0, 2**depth, (60, 3), generator=generator, dtype=torch.int32)
    batch = torch.randint(0, 5, (60,), generator=generator).sort().values
    tensors = {f"d{depth}.grid_coord": grid, f"d{depth}.batch": batch}
    for curve in ("z", "z-trans", "hilbert", "hilbert-trans"):
        cells = zip(batch.tolist(), grid.tolist(), strict=True)
        tensors[f"d{depth}.{curve}"] = torch.tensor([code((b, *g), curve, depth) for b, g in cells])
    spec = {"kind": "serialization", "depths": [depth], "tolerance": "exact"}
    assert run_fixture(write_fixture(tmp_path, "curves", spec, tensors)).status == "passed"


@pytest.mark.parametrize(("size", "bias"), [(1, True), (3, False), (7, True)])
def test_sparse_convolution(tmp_path: Path, size: int, bias: bool) -> None:
    generator = torch.Generator().manual_seed(size)
    indices = torch.randint(0, 4, (50, 4), generator=generator, dtype=torch.int32)
    indices = indices[indices[:, 0].argsort(stable=True)] + torch.tensor([0, 3, 900, 40], dtype=torch.int32)
    weight = torch.randn(5, size, size, size, 3, generator=generator)
    tensors = {"a.indices_bxyz": indices, "a.features": torch.randn(50, 3, generator=generator)}
    tensors |= {"a.weight_KRSC": weight} | ({"a.bias": torch.randn(5, generator=generator)} if bias else {})
    own = {"c.weight": weight.double()} | ({"c.bias": tensors["a.bias"].double()} if bias else {})
    cells = [tuple(row) for row in indices.tolist()]
    tensors["a.out"] = convolved(own, "c", tensors["a.features"].double(), cells)
    spec = {"kind": "submconv3d", "cases": [{"prefix": "a.", "k": size}], "tolerance": TIGHT}
    assert run_fixture(write_fixture(tmp_path, "convolution", spec, tensors)).status == "passed"


@pytest.mark.parametrize(("size", "surer", "noise"), [((64, 48), 0, 0.02), ((32, 96), 1, 0.01), ((40, 40), 1, 3.0)])
def test_pair_viewer_gives_what_opencv_gives(
    tmp_path: Path, size: tuple[int, int], surer: int, noise: float
) -> None:
    (H, W), focal, rng = size, 50.0, np.random.default_rng(5)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_rotvec(rng.normal(0, 0.15, 3)).as_matrix(), rng.normal(0, 0.3, 3)
    y, x = np.mgrid[:H, :W].astype(float)
    z = 2 + 2 * rng.random((2, H, W))
    own = np.stack([(x - W / 2) / focal * z, (y - H / 2) / focal * z, z], -1)
    back = np.linalg.inv(T)
    other = [own[1] @ T[:3, :3].T + T[:3, 3], own[0] @ back[:3, :3].T + back[:3, 3]]
    other = [points + noise * rng.normal(size=points.shape) for points in other]
    tensors = {}
    for i, order in enumerate(("01", "10")):
        factor = 2.0 if i == surer else 1.0
        values = {"pred_i": own[i], "pred_j": other[i]}
        values |= {c: factor * (2 + 3 * rng.random((H, W))) for c in ("ci", "cj")}
        tensors |= {f"{name}_{order}": torch.from_numpy(v).float() for name, v in values.items()}
    moved = 1 - surer
    mask = np.maximum(tensors[f"ci_{('01', '10')[moved]}"], tensors[f"cj_{('01', '10')[surer]}"]).numpy() > 3
    points = tensors[f"pred_j_{('01', '10')[surer]}"].numpy()[mask]
    K = np.array([[focal, 0, W / 2], [0, focal, H / 2], [0, 0, 1]])
    pixels = np.stack((x, y), -1)[mask].astype(np.float32)
    found, turn, shift, _ = cv2.solvePnPRansac(
        points, pixels, K, None, iterationsCount=100, reprojectionError=5, flags=cv2.SOLVEPNP_SQPNP
    )
    poses = np.stack([np.eye(4), np.eye(4)])
    if found:
        poses[moved, :3, :3], poses[moved, :3, 3] = cv2.Rodrigues(turn)[0], shift[:, 0]
        poses[moved] = np.linalg.inv(poses[moved])
    answers = {"im_poses": torch.from_numpy(poses), "focals": torch.full((2,), focal)}
    spec = {"kind": "pair_viewer", "tolerance": {"poses": {"atol": 3e-3}, "focals": {"rtol": 1e-4}}}
    report = run_fixture(write_fixture(tmp_path, "viewer", spec, tensors | answers))
    assert report.status == "passed", report


def test_the_crop_rules_of_sizes_that_are_no_multiples(tmp_path: Path) -> None:
    # A square at 320 becomes 320 x 240 in the reference, though 240 is no multiple of 32.
    rows = [[320, 320, 320, False, [240, 320]], [321, 320, 320, False, [288, 320]], [99, 66, 384, True, [256, 384]]]
    spec = {"kind": "load_images", "rows": rows, "imgs": [], "tolerance": "uint8 +-1"}
    report = run_fixture(write_fixture(tmp_path, "crops", spec, {"unused": torch.zeros(1)}))
    assert report.status == "passed" and report.tensors == 3, report


@pytest.mark.parametrize("ratios", [(0.5, 1.2), (0.2, 0.7)])
def test_the_range_of_focal_lengths_is_the_stated_one(tmp_path: Path, ratios: tuple[float, float]) -> None:
    focal, (H, W) = 45.0, (24, 40)
    y, x = torch.meshgrid(torch.arange(float(H)), torch.arange(float(W)), indexing="ij")
    z = 1 + torch.rand(3, H, W, generator=torch.Generator().manual_seed(1))
    points = torch.stack([(x - 19) / focal * z, (y - 13) / focal * z, z], -1)
    clipped = min(focal, ratios[1] * W / (2 * 3**-0.5))
    tensors = {"a.pts3d": points, "a.pp": torch.tensor([19.0, 13.0])}
    tensors |= {"a.weiszfeld": torch.full((3,), focal), "a.weiszfeld_clipped": torch.full((3,), clipped)}
    notes = f"base = max(H,W)/(2 tan 30deg), here {ratios[0]}..{ratios[1]} for *_clipped"
    spec = {"kind": "focal", "cases": [{"prefix": "a."}], "notes": notes, "tolerance": {"rtol": 1e-4}}
    assert run_fixture(write_fixture(tmp_path, "focal", spec, tensors)).status == "passed"


SIZES = LsmConfig(
    Dust3rConfig(CrocoConfig(16, 3, 24, 1, 3, 16, 2, 4), (4, 6, 8, 5), 8, 6),
    LsegConfig(VitConfig(16, 5, 4, 3), (0, 1, 3, 4), (4, 6, 5, 8), 6, 40),
    PointTransformerConfig(
        6, 0.02, (1, 2), (8, 12), (4, 3), (48, 32), (2,), (10,), (5,), (32,), fusion=FusionConfig(24, 40, 6, 2)
    ),
    feature_dim=16,
    sh_degree=2,
)
STATED = {
    "dust3r": {
        "enc_embed_dim": 24, "enc_depth": 1, "enc_num_heads": 3, "dec_embed_dim": 16, "dec_depth": 2,
        "dec_num_heads": 4, "dpt_feature_dim": 8, "dpt_last_dim": 6, "dpt_layer_dims": [4, 6, 8, 5],
    },
    "lseg": {
        "dim": 16, "depth": 5, "heads": 4, "hooks": [0, 1, 3, 4], "pos_img": 48, "reassemble": [4, 6, 5, 8],
        "features": 6,
    },
    "clip": {"width": 8, "heads": 2, "layers": 1},
    "ptv3": {
        "stride": [2], "enc_depths": [1, 2], "enc_channels": [8, 12], "enc_num_head": [4, 3],
        "enc_patch_size": [48, 32], "dec_depths": [2], "dec_channels": [10], "dec_num_head": [5],
        "dec_patch_size": [32],
    },
    "fusion": {"heads": 6, "heads2": 2},
}  # fmt: skip


@pytest.mark.parametrize(("batch", "size"), [(1, (32, 64)), (1, (64, 32)), (2, (32, 32))])
@torch.no_grad()
def test_the_whole_model_at_other_sizes_and_names(tmp_path: Path, batch: int, size: tuple[int, int]) -> None:
    network = Lsm(SIZES, reference=True).eval()
    network.load_state_dict({k: v.float() for k, v in random_state(network, 51).items()})
    generator = torch.Generator().manual_seed(7)
    images = [torch.rand(batch, 3, *size, generator=generator).mul(2).sub(1) for _ in (0, 1)]
    perms = [[2, 0, 3, 1], [1, 0, 2, 3]]
    views = [network.encode(image) for image in images]
    found = network(views, [torch.tensor(p) for p in perms])
    tensors = {"img1": images[0], "img2": images[1], "point_feat": found.point_features}
    tensors |= {
        "lseg_tokens": torch.cat([v.language for v in views], 1),
        "lseg_res_feature": torch.cat([v.residual for v in views])[:, ::8],
        "dust3r_enc_feat": torch.cat([v.geometry.tokens for v in views], 1),
    }
    for v, name in enumerate(("pred1.pts3d", "pred2.pts3d_in_other_view")):
        g = found.gaussians[v]
        tensors |= {name: found.pointmaps[v].points, f"pred{v + 1}.conf": found.pointmaps[v].confidence}
        tensors |= {f"pred{v + 1}.{k}": getattr(g, k) for k in ("means", "scales", "rotations")}
        tensors[f"pred{v + 1}.sh_coeffs_ch0_stride"] = g.sh[..., 0]
        tensors[f"pred{v + 1}.gs_feats_ch0_stride"] = g.features[..., ::8]
    state = lsm_state(network)
    dust3r = {k: state.pop(k) for k in list(state) if k.startswith(DUST3R_PREFIX)}
    rules = {"dust3r": {"atol": 5e-4, "rtol": 1e-3}, "gaussians": {"atol": 2e-3, "rtol": 5e-3}}
    spec: dict[str, Any] = {
        "kind": "lsm_end_to_end", "grid_size": 0.02, "weights_of": "whole_other", "config": STATED, "perms": perms,
        "labels": ["lamp", "door"], "tolerance": rules,
    }  # fmt: skip
    path = write_fixture(tmp_path, "whole_other", spec, tensors, state)
    none = {"dummy": torch.zeros(1)}
    parts = [write_fixture(tmp_path, "whole_other_part_dust3r", {"kind": "weights_only"}, none, dust3r)]
    tower = random_state(ClipText(ClipTextConfig(width=8, heads=2, layers=1, out_dim=40)), 52)
    text = {"kind": "clip_text", "config": STATED["clip"], "labels": ["lamp"]}
    parts.append(write_fixture(tmp_path, "whole_other_clip", text, {"tokens": tokenize(["lamp"])}, tower))
    reports = [run_fixture(p) for p in (path, *parts)]
    assert all(r.status == "passed" for r in reports), reports
    assert reports[0].tensors == len(tensors) - 2
