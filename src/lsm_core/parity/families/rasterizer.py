"""Family `rasterizer_EMULATED`: images of Gaussians from the CPU rasterizer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.render.cpu import rasterize_cpu
from lsm_core.types import Camera, Gaussians, RenderResult

BACKGROUND = (1.0, 0.5, 0.25)  # where the notes say no other
STATED_BACKGROUND = re.compile(r"background = \(([\d.]+), ([\d.]+), ([\d.]+)\)")
NEAR = 0.2


def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Draw the scene with the coefficients up to each degree there is, and over a background."""
    camera = _camera(int(fixture.spec["H"]), int(fixture.spec["W"]), inputs)
    stated = STATED_BACKGROUND.search(str(fixture.spec.get("notes", "")))
    background = (float(stated[1]), float(stated[2]), float(stated[3])) if stated else BACKGROUND
    out: dict[str, Tensor] = {}
    for degree in range(math.isqrt(inputs["in.sh_coeffs"].shape[1])):
        drawn = _draw(inputs, camera, degree)
        out[f"deg{degree}.render"] = drawn.rgb.permute(2, 0, 1)
        out[f"deg{degree}_bg.render"] = _draw(inputs, camera, degree, background).rgb.permute(2, 0, 1)
    assert drawn.features is not None
    return out | {
        "feature_map": drawn.features.permute(2, 0, 1),
        "depth": (drawn.depth * drawn.alpha)[None],
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
    return rasterize_cpu(scene, [camera], torch.tensor(background), features=True, culling="released")[0]


FAMILIES = (
    Family(
        "rasterizer_EMULATED",
        answer,
        is_answer=lambda name: not name.startswith("in."),
        optional=lambda name: name == "radii",
        tolerance=tolerance,
    ),
)
