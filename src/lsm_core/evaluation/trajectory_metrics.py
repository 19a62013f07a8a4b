"""Errors of a whole path of cameras: absolute and relative trajectory error (Sturm et al. 2012, IROS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.evaluation.switches import TrajectoryAlignment
from lsm_core.geometry.se3 import invert, rotation_angle
from lsm_core.geometry.sim3 import umeyama
from lsm_core.types import Sim3


@dataclass(frozen=True)
class AbsoluteError:
    """Distances between estimated and true positions after alignment, in the unit of the truth.

    Attributes:
        rmse, mean, median, largest: of the distances.
        scale: that the alignment multiplied the estimate by.
        poses: number of them.
    """

    rmse: float
    mean: float
    median: float
    largest: float
    scale: float
    poses: int


@dataclass(frozen=True)
class RelativeError:
    """Errors of the motions over a number of frames.

    Attributes:
        translation_rmse, translation_median: unit of the truth.
        rotation_rmse_deg, rotation_median_deg: of the same motions.
        motions: number of them.
    """

    translation_rmse: float
    translation_median: float
    rotation_rmse_deg: float
    rotation_median_deg: float
    motions: int


def align_trajectory(estimated: Tensor, true: Tensor, alignment: TrajectoryAlignment) -> Sim3:
    """Find the map from the estimate's frame to the true one by least squares on the positions (Umeyama 1991).

    Args:
        estimated, true: [N, 4, 4] T_world_cam of the same moments.
        alignment: "sim3" with scale, "se3" without, "none" leaves the estimate where it is.

    Raises:
        InputError: the paths are not of one shape.
        GeometryError: fewer than 3 poses, or all on a line.
    """
    _check(estimated, true)
    if alignment == "none":
        return Sim3(1.0, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    return umeyama(estimated[:, :3, 3], true[:, :3, 3], with_scale=alignment == "sim3")


def absolute_error(estimated: Tensor, true: Tensor, alignment: TrajectoryAlignment = "sim3") -> AbsoluteError:
    """Return the absolute trajectory error (ATE); see `align_trajectory` for arguments and errors."""
    found = align_trajectory(estimated, true, alignment)
    positions = found.scale * estimated[:, :3, 3].double().cpu() @ found.rotation.T + found.translation
    distances = (positions - true[:, :3, 3].double().cpu()).norm(dim=1).numpy()
    return AbsoluteError(
        rmse=float(np.sqrt(np.mean(distances**2))),
        mean=float(distances.mean()),
        median=float(np.median(distances)),
        largest=float(distances.max()),
        scale=found.scale,
        poses=len(distances),
    )


def relative_error(estimated: Tensor, true: Tensor, frames: int = 1, scale: float = 1.0) -> RelativeError:
    """Return the relative pose error (RPE): (Q_i^-1 Q_i+d)^-1 (P_i^-1 P_i+d) for every i.

    Args:
        estimated, true: [N, 4, 4] T_world_cam of the same moments.
        frames: d, the length of a motion.
        scale: the estimate's translations are multiplied by it, as `AbsoluteError.scale` says.

    Raises:
        InputError: the paths are not of one shape, or not longer than a motion.
    """
    _check(estimated, true)
    if not 1 <= frames < len(true):
        raise InputError(f"A path of {len(true)} poses has no motions over {frames} frames.")
    P, Q = estimated.double().cpu().clone(), true.double().cpu()
    P[:, :3, 3] *= scale
    moved = [invert(T[:-frames]) @ T[frames:] for T in (Q, P)]
    difference = invert(moved[0]) @ moved[1]
    lengths = difference[:, :3, 3].norm(dim=1).numpy()
    angles = np.degrees(rotation_angle(difference).numpy())
    return RelativeError(
        translation_rmse=float(np.sqrt(np.mean(lengths**2))),
        translation_median=float(np.median(lengths)),
        rotation_rmse_deg=float(np.sqrt(np.mean(angles**2))),
        rotation_median_deg=float(np.median(angles)),
        motions=len(lengths),
    )


def _check(estimated: Tensor, true: Tensor) -> None:
    if estimated.shape != true.shape or estimated.ndim != 3 or estimated.shape[1:] != (4, 4):
        raise InputError(
            f"Two paths must both be [N, 4, 4], got {tuple(estimated.shape)} and {tuple(true.shape)}.",
            "Interpolate one of them at the stamps of the other first.",
        )
