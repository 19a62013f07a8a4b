"""Families `splatt3r_preprocess`, `shims`: how images and cameras are brought to the networks."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from lsm_core.backends.image_crop import cover_plan, crop_plan, prepare
from lsm_core.geometry.disparity_bounds import depth_of_disparity, largest_baseline
from lsm_core.geometry.se3 import mirrored
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family

CROP = re.compile(r"out\.(crop(\d+)(?:x(\d+))?)_image")  # side, or height x width
BOUND = re.compile(r"out\.(?:near|far)_disparity_([\d.]+)")
POSES = ("se3_pose", "in.extrinsics_c2w")  # the fixture that holds the poses to reflect, and their name


def answer_preprocess(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut the middle square of each image, as Splatt3R's demo does."""
    size, out = fixture.spec["hyper_parameters"]["size"], dict[str, Tensor]()
    for name, image in inputs.items():
        number = name.removeprefix("in.image")
        height, width = image.shape[:2]
        found = prepare(image.numpy(), crop_plan(width, height, size, square=True))
        out[f"out.img{number}"] = found.tensor
        out[f"out.original_img{number}"] = torch.from_numpy(found.pixels).permute(2, 0, 1)[None].float() / 255
        out[f"out.true_shape{number}"] = torch.tensor([found.pixels.shape[:2]])
    return out


def answer_shims(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Crop, normalise, find depth bounds, mirror poses."""
    asked, out = fixture.spec["tensors"], dict[str, Tensor]()
    for name, height, width in (match.groups() for key in asked if (match := CROP.fullmatch(key))):
        size = (int(height), int(width or height))
        out[f"out.{name}_image"], out[f"out.{name}_intrinsics"] = covered(inputs, size)
    rows, columns = asked["out.normalized"]["shape"][-2:]
    out["out.normalized"] = (covered(inputs, (rows, columns))[0] - 0.5) / 0.5
    baseline = largest_baseline(inputs["in.bounds_extrinsics"])
    seen = fixture.spec["hyper_parameters"]["bounds_image"]
    for name, disparity in ((m[0], float(m[1])) for key in asked if (m := BOUND.fullmatch(key))):
        out[name] = depth_of_disparity(baseline, inputs["in.bounds_intrinsics"], (seen[0], seen[1]), disparity)
    poses, name = POSES
    out["out.reflected_extrinsics"] = mirrored(fixture.sibling(poses).tensors()[name])
    return out


def covered(inputs: Mapping[str, Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return images [N, 3, h, w] that cover a size (height, width), and their normalised intrinsics."""
    image, K = inputs["in.image"], inputs["in.intrinsics"]
    plan = cover_plan(image.shape[3], image.shape[2], (size[1], size[0]))
    levels = (image * 255).byte().permute(0, 2, 3, 1).numpy()  # cut off, not rounded, as in the reference
    pixels = [torch.from_numpy(prepare(one, plan, Image.Resampling.LANCZOS).pixels) for one in levels]
    K = K.clone()
    K[:, 0, 0] *= plan.resized[0] / size[1]
    K[:, 1, 1] *= plan.resized[1] / size[0]
    return torch.stack(pixels).permute(0, 3, 1, 2).float() / 255, K


FAMILIES = (Family("splatt3r_preprocess", answer_preprocess), Family("shims", answer_shims))
