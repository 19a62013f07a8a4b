"""Families `losses`, `gaussian_loss`: what DUSt3R and LSM are trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.lsm import TRAINED_COEFFICIENTS
from lsm_core.nn.pixel_gaussians import joined
from lsm_core.parity.families.lsm import lsm_model, pinhole
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.render.cpu import rasterize_cpu
from lsm_core.training.dust3r_losses import confidence_loss, mean_distance, optimal_scale
from lsm_core.training.lsm_loss import TargetView, feature_loss, photometric_loss

VIEWS = ("1", "2")
OUTPUTS = ("conf_loss", "find_opt_scaling", "norm_factor")
DETAILS = ("conf_loss_1", "conf_loss2", "KWRegr3D_pts3d_1", "KWRegr3D_pts3d_2")


def in_first_camera(inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the true points [B, H, W, 3] of both views in the first camera's frame."""
    T_cam_world = torch.linalg.inv(inputs["gt1.camera_pose"])
    R, t = T_cam_world[:, None, :3, :3], T_cam_world[:, None, None, :3, 3]
    return [(inputs[f"gt{v}.pts3d"] @ R.transpose(-1, -2)) + t for v in VIEWS]


def answer_losses(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the confidence loss with its parts, the scale and the normalisation."""
    predicted, truth = [inputs[f"pred{v}.pts3d"] for v in VIEWS], in_first_camera(inputs)
    valid = [inputs[f"gt{v}.valid_mask"].bool() for v in VIEWS]
    loss = confidence_loss(predicted, [inputs[f"pred{v}.conf"] for v in VIEWS], truth, valid)
    parts = (*loss.confident, *loss.distances)
    return {
        "conf_loss": loss.total,
        "find_opt_scaling": optimal_scale(predicted, truth, valid),
        "norm_factor": mean_distance(truth, valid),
        **dict(zip(DETAILS, parts, strict=True)),
    }


@torch.no_grad()
def answer_gaussian_loss(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Predict the pair of the tiny model, draw it into three views and compare with their images."""
    whole = fixture.sibling(fixture.spec["weights_of"])
    model, tensors = lsm_model(whole, reference=False), whole.tensors()
    images = [tensors["img1"], tensors["img2"]]
    found = model([model.encode(image) for image in images], [torch.tensor(p) for p in whole.spec["perms"]])
    predicted = [view.means for view in found.gaussians]
    valid = [inputs[f"gt{v}.valid_mask"].bool() for v in VIEWS]
    scale = optimal_scale(predicted, in_first_camera(inputs), valid)[0]
    scene, targets = joined(found.gaussians, TRAINED_COEFFICIENTS), []
    for v, image in enumerate((*images, inputs["gt3.img"]), 1):
        relative = torch.linalg.inv(inputs["gt1.camera_pose"][0]) @ inputs[f"gt{v}.camera_pose"][0]
        relative[:3, 3] *= scale
        camera = pinhole(inputs["K"][0], (image.shape[2], image.shape[3]), relative)
        drawn = rasterize_cpu(scene, [camera], torch.zeros(3), True, culling="released")[0]
        assert drawn.features is not None
        rgb, features = drawn.rgb.permute(2, 0, 1), drawn.features.permute(2, 0, 1)
        targets.append(TargetView(rgb, features, (image[0] + 1) / 2))
    photometric = photometric_loss(targets)
    language = feature_loss(targets, model.expand, model.lseg)
    weight = fixture.spec["feature_loss_weight"]
    return {"image_loss": photometric, "feature_loss": language, "loss": photometric + weight * language}


def details(spec: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the parts of the loss that the JSON states."""
    return {name: torch.tensor(value) for name, value in spec["details"].items()}


def gaussian_tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the rule of a part; the sum may be off by both."""
    stated = spec["tolerance"]
    weight = spec["feature_loss_weight"]
    return Tolerance(limit_abs=stated.get(tensor, stated["image_loss"] + weight * stated["feature_loss"]))


FAMILIES = (
    Family("losses", answer_losses, lambda name: name in OUTPUTS, stated=details),
    Family(
        "gaussian_loss",
        answer_gaussian_loss,
        lambda name: name == "loss",
        tolerance=gaussian_tolerance,
        stated=details,
    ),
)
