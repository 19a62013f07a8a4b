"""Families `pose_auc`, `se3_pose`, `pnp_pose`: rigid motions, their errors, pose from points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.evaluation.pose_metrics import pose_auc, pose_error
from lsm_core.geometry.pnp import PnpOptions, pnp_from_pointmap
from lsm_core.geometry.se3 import relative, se3_exp, update_pose
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance

TRUE_POSE = "in.true_c2w"
OPENCV_POSE = "out.c2w"
MIN_OPACITY = 0.3
MAX_ERROR_PX = 5.0


def answer_auc(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Integrate each set of errors."""
    thresholds = fixture.spec["hyper_parameters"]["thresholds"]
    return {
        name.replace("in.errors", "out.auc"): torch.tensor(pose_auc(errors.double().numpy(), thresholds)).double()
        for name, errors in inputs.items()
    }


def answer_se3(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Evaluate exponentials, pose updates, normalisation and pose errors."""
    tau, poses = inputs["in.tau_rho_theta"], inputs["in.extrinsics_c2w"]
    count = len(poses)
    errors = [pose_error(poses[i], poses[(5 * i + 1) % count]) for i in range(count)]
    rows = [[e.direction_folded_deg, e.translation, e.rotation_deg] for e in errors]
    return {
        "out.SE3_exp": se3_exp(tau),
        "out.update_pose": update_pose(poses, tau),
        "out.camera_normalization": relative(poses[:1].expand_as(poses), poses),
        "out.pose_errors_t_tscale_R": torch.tensor(rows),
    }


def answer_pnp(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Find the pose by PnP; the recorded truth, not OpenCV's own result, is what it is compared with."""
    size = fixture.spec["hyper_parameters"]
    K = inputs["in.intrinsics"] * torch.tensor([[size["W"]], [size["H"]], [1.0]])
    options = PnpOptions(max_error_px=MAX_ERROR_PX)
    found = pnp_from_pointmap(inputs["in.pts3d"], K, inputs["in.opacity"] > MIN_OPACITY, options)
    return {TRUE_POSE: found.T_scene_cam}


def pnp_tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the absolute limit that the fixture states in words."""
    return Tolerance(limit_abs=float(spec["tolerance"]["limit"]))


FAMILIES = (
    Family("pose_auc", answer_auc),
    Family("se3_pose", answer_se3),
    Family(
        "pnp_pose",
        answer_pnp,
        is_answer=lambda name: name in (TRUE_POSE, OPENCV_POSE),
        optional=lambda name: name == OPENCV_POSE,
        tolerance=pnp_tolerance,
    ),
)
