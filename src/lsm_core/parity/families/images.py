"""Families `load_images`, `train_crop_resize`, `camera`: crops and cameras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lsm_core.backends.image_crop import crop_plan, prepare
from lsm_core.data.crop_resize import RgbdView, crop_resize
from lsm_core.geometry.camera_path import interpolated_path, moved_back
from lsm_core.parity.families.clip import EXACT
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.render.row_vectors import row_vector_camera

ONE_LEVEL = Tolerance(limit_abs=1.0)  # of 255: resampling rounds differently from version to version
BACK = 2.0
PATH_LENGTH = 12  # where the fixture states no other
CAMERA_INPUTS = ("ref_c2w", "target_c2w", "K", "scale", "shape_hw", "moved_in")


def answer_load(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Prepare the images, and plan the crops of the table."""
    out: dict[str, Tensor] = {}
    for i, (_, _, size) in enumerate(fixture.spec["imgs"]):
        given = inputs[f"img{i}.rgb_u8_in"].numpy()
        image = prepare(given, crop_plan(given.shape[1], given.shape[0], size, exact_ratio=True))
        pixels = torch.from_numpy(image.pixels.copy()).permute(2, 0, 1)
        out |= {f"img{i}.out": pixels, f"img{i}.true_shape": torch.tensor(pixels.shape[1:])}
    for row, (width, height, size, square_ok, _) in enumerate(fixture.spec["rows"]):
        out[f"row{row}"] = torch.tensor(crop_plan(width, height, size, square_ok, exact_ratio=True).size[::-1])
    return out


def load_rows(spec: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the sizes that the table states."""
    return {f"row{i}": torch.tensor(row[4]) for i, row in enumerate(spec["rows"])}


def answer_train_crop(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Crop each case with its generator."""
    out: dict[str, Tensor] = {}
    for case in fixture.spec["cases"]:
        prefix = case["prefix"]
        seed = int(case["rng"].partition("(")[2].rstrip(")"))
        view = RgbdView(*(inputs[prefix + name].numpy() for name in ("img", "depth", "K")))
        width, height = case["resolution"]
        found = crop_resize(view, (width, height), np.random.default_rng(seed), case["aug_crop"])
        out |= {
            prefix + "out_img": torch.from_numpy(found.image.copy()),
            prefix + "out_depth": torch.from_numpy(found.depth.copy()),
            prefix + "out_K": torch.from_numpy(found.K),
        }
    return out


def crop_tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the rule for an image, a depth or intrinsics."""
    if tensor.endswith("out_K"):
        return Tolerance(atol=spec["tolerance"]["K"]["atol"])
    return ONE_LEVEL if tensor.endswith("out_img") else EXACT


def answer_camera(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make the rasterizer's matrices, and the path through two cameras."""
    out: dict[str, Tensor] = {}
    for i in range(fixture.spec["n"]):
        relative = torch.linalg.inv(inputs[f"{i}.ref_c2w"]) @ inputs[f"{i}.target_c2w"]
        relative[:3, 3] *= inputs[f"{i}.scale"]
        height, width = inputs[f"{i}.shape_hw"].tolist()
        found = row_vector_camera(relative, inputs[f"{i}.K"], (height, width))
        out |= {
            f"{i}.viewmatrix_rowvec": found.view,
            f"{i}.full_proj_rowvec": found.full_projection,
            f"{i}.campos": found.position,
            f"{i}.fov_xy": found.fov,
        }
    keys = inputs["moved_in"].numpy()
    moved = moved_back(keys, BACK)
    out["moved_out"] = torch.from_numpy(moved)
    for name, poses in (("path", keys), ("path_moved", moved)):
        out[name] = torch.from_numpy(interpolated_path(poses, _stated_length(fixture, name)))
    return out


def _stated_length(fixture: Fixture, tensor: str) -> int:
    """Return the first size that the JSON's list of tensors gives for a tensor."""
    shape, _ = fixture.spec.get("tensors", {}).get(tensor, [[PATH_LENGTH], None])
    return int(shape[0])


FAMILIES = (
    Family(
        "load_images",
        answer_load,
        lambda name: name.endswith(("out", "true_shape")),
        tolerance=lambda spec, tensor: ONE_LEVEL if tensor.endswith("out") else EXACT,
        stated=load_rows,
    ),
    Family("train_crop_resize", answer_train_crop, lambda name: ".out_" in name, tolerance=crop_tolerance),
    Family("camera", answer_camera, lambda name: not name.endswith(CAMERA_INPUTS)),
)
