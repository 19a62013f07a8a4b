"""Families `splatt3r_masked_loss`, `splatt3r_pts_loss`: what Splatt3R and MASt3R are trained with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.training.dust3r_losses import confidence_loss
from lsm_core.training.masked_losses import DepthView, loss_mask, masked_losses


def answer_masked(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make the mask, and the losses in the four ways; LPIPS is the channels' mean absolute difference here."""
    stated = fixture.spec["hyper_parameters"]
    contexts, targets = (depth_views(inputs, f"in.{kind}") for kind in ("context", "target"))
    true = torch.stack([inputs[f"in.target{i}.original_img"] for i in range(len(targets))], 1)
    limits = (stated["depth_match_atol"], stated["depth_match_rtol"], stated["min_depth"])
    mask = loss_mask(targets, contexts, *limits)
    out = {"out.mask": mask}
    for apply in (0, 1):
        for average in (0, 1):
            found = masked_losses(
                inputs["in.color"],
                true,
                mask,
                lambda a, b: (a - b).abs().mean(1, keepdim=True),
                apply_mask=bool(apply),
                average_over_mask=bool(average),
                mse_weight=stated["mse_weight"],
                lpips_weight=stated["lpips_weight"],
                released=True,
            )
            parts = (found.total, found.mse, found.lpips, found.ssim)
            out[f"out.loss_apply{apply}_avg{average}"] = torch.stack([part.float() for part in parts])
    return out


def depth_views(inputs: Mapping[str, Tensor], prefix: str) -> list[DepthView]:
    """Return the views named PREFIX0, PREFIX1 ..."""
    count = sum(name.startswith(prefix) and name.endswith(".depthmap") for name in inputs)
    names = ("depthmap", "camera_intrinsics", "camera_pose")
    return [DepthView(*(inputs[f"{prefix}{i}.{name}"] for name in names)) for i in range(count)]


def answer_points(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the confidence loss with its parts."""
    T_cam_world = torch.linalg.inv(inputs["in.gt0.camera_pose"])
    R, t = T_cam_world[:, None, :3, :3], T_cam_world[:, None, None, :3, 3]
    truth = [inputs[f"in.gt{v}.pts3d"] @ R.transpose(-1, -2) + t for v in (0, 1)]
    found = confidence_loss(
        [inputs["in.pred0.pts3d"], inputs["in.pred1.pts3d_in_other_view"]],
        [inputs[f"in.pred{v}.conf"] for v in (0, 1)],
        truth,
        [inputs[f"in.gt{v}.valid_mask"] for v in (0, 1)],
        fixture.spec["hyper_parameters"]["alpha"],
        metric=inputs["in.gt0.is_metric_scale"],
        sky=[inputs[f"in.gt{v}.sky_mask"] for v in (0, 1)],
    )
    return {
        "out.loss": found.total,
        "out.detail.conf_loss_1": found.confident[0],
        "out.detail.conf_loss2": found.confident[1],
        "out.detail.Regr3D_pts3d_1": found.distances[0],
        "out.detail.Regr3D_pts3d_2": found.distances[1],
        "out.pixel_loss1": found.pixels[0],
        "out.pixel_loss2": found.pixels[1],
    }


FAMILIES = (Family("splatt3r_masked_loss", answer_masked), Family("splatt3r_pts_loss", answer_points))
