"""Family `rasterizer_EMULATED`: images of Gaussians from the CPU rasterizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians, RenderResult

BACKGROUND = (1.0, 0.5, 0.25)
NEAR = 0.2


def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Draw the scene with constant colour, with degree 3, and over a background."""
    camera = _camera(int(fixture.spec["H"]), int(fixture.spec["W"]), inputs)
    constant = _draw(inputs, camera, 0)
    assert constant.features is not None
    return {
        "deg0.render": constant.rgb.permute(2, 0, 1),
        "feature_map": constant.features.permute(2, 0, 1),
        "depth": (constant.depth * constant.alpha)[None],
        "deg3.render": _draw(inputs, camera, 3).rgb.permute(2, 0, 1),
        "deg0_bg.render": _draw(inputs, camera, 0, BACKGROUND).rgb.permute(2, 0, 1),
    }


def tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the stated rule: the share of pixels within atol."""
    stated = spec["tolerance"]
    return Tolerance(atol=stated["atol"], element_fraction=stated["fraction_of_pixels"])


def _camera(height: int, width: int, inputs: Mapping[str, Tensor]) -> Camera:
    """Return the pinhole camera of the recorded matrices (row vectors, field of view between outer edges)."""
    fov_x, fov_y = inputs["in.fov_xy"].tolist()
    fx, fy = width / 2 / math.tan(fov_x / 2), height / 2 / math.tan(fov_y / 2)
    K = torch.tensor([[fx, 0, (width - 1) / 2], [0, fy, (height - 1) / 2], [0, 0, 1]])
    return Camera(K, width, height, torch.linalg.inv(inputs["in.viewmatrix_rowvec"].T), near=NEAR)


def _draw(
    inputs: Mapping[str, Tensor],
    camera: Camera,
    degree: int,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> RenderResult:
    """Render the recorded Gaussians with the coefficients up to a degree."""
    scene = Gaussians(
        inputs["in.means"],
        inputs["in.rotations"],
        inputs["in.scales"],
        inputs["in.opacities"][:, 0],
        inputs["in.sh_coeffs"][:, : (degree + 1) ** 2],
        inputs["in.gs_feats"],
    )
    return render(scene, camera, features=True, background=background)


FAMILIES = (
    Family(
        "rasterizer_EMULATED",
        answer,
        is_answer=lambda name: not name.startswith("in."),
        optional=lambda name: name == "radii",
        tolerance=tolerance,
    ),
)
