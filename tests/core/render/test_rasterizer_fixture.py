"""The rasterizers against the recorded renders of the reference material."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lsm_core.render import rasterize_reference
from lsm_core.render.cpu import rasterize_cpu
from lsm_core.types import Camera, Gaussians

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("culling", ["exact", "released"])
@pytest.mark.parametrize("draw", [rasterize_reference, rasterize_cpu])
@pytest.mark.parametrize("case", ["deg0", "deg3", "deg0_bg"])
def test_renders_equal_the_recorded_ones(shared_dir: Path, draw: object, culling: str, case: str) -> None:
    folder = shared_dir / "fixtures" / "lsm"
    spec = json.loads((folder / "rasterizer.json").read_text())
    io = load_file(folder / "rasterizer.io.safetensors")
    height, width = spec["H"], spec["W"]
    fov_x, fov_y = io["in.fov_xy"].tolist()
    fx, fy = width / 2 / torch.tan(torch.tensor(fov_x / 2)), height / 2 / torch.tan(torch.tensor(fov_y / 2))
    K = torch.tensor([[fx, 0, (width - 1) / 2], [0, fy, (height - 1) / 2], [0, 0, 1]])
    view = Camera(K, width, height, torch.linalg.inv(io["in.viewmatrix_rowvec"].T), near=0.2)
    sh = io["in.sh_coeffs"] if case == "deg3" else io["in.sh_coeffs"][:, :1]
    scene = Gaussians(
        io["in.means"],
        io["in.rotations"],
        io["in.scales"],
        io["in.opacities"][:, 0],
        sh,
        io["in.gs_feats"],
    )
    background = torch.tensor([1.0, 0.5, 0.25]) if case == "deg0_bg" else torch.zeros(3)
    out = draw(scene, [view], background, True, culling=culling)[0]  # type: ignore[operator]
    expected = [(out.rgb, io[f"{case}.render"])]
    if case == "deg0":
        expected += [(out.features, io["feature_map"]), ((out.depth * out.alpha)[..., None], io["depth"])]
    for got, want in expected:
        error = (got - want.permute(1, 2, 0)).abs().amax(-1)
        share = (error <= spec["tolerance"]["atol"]).float().mean()
        assert share >= spec["tolerance"]["fraction_of_pixels"], f"worst {error.max()}"
