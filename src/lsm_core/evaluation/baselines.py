"""Poses of other methods for the same pairs: no motion; SIFT, ORB and XFeat with an essential matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import GeometryError
from lsm_core.evaluation.pairs import EvalPair, EvalView
from lsm_core.geometry.camera import crop_intrinsics, scale_intrinsics
from lsm_core.geometry.features import FeatureMethod
from lsm_core.geometry.two_view import relative_pose_from_matches, two_view_pose
from lsm_core.geometry.xfeat_features import find_xfeat, match_xfeat
from lsm_core.nn.xfeat import XFeat

MODEL_SIZE = (192, 256)
XFEAT_NAME = "XFeat + E, full size"
XFEAT_MISSING = "XFeat: weights not at hand"


@dataclass(frozen=True)
class Baseline:
    """A named way to get T_cam0_cam1 from a pair."""

    name: str
    pose: Callable[[EvalPair], Tensor]


def identity_pose(pair: EvalPair) -> Tensor:
    """Return no motion at all."""
    return torch.eye(4)


def feature_pose(method: FeatureMethod, size: tuple[int, int] | None) -> Callable[[EvalPair], Tensor]:
    """Return a method that matches features and finds the essential matrix.

    Args:
        method: "sift" or "orb".
        size: (height, width) that images are cropped and reduced to first; None for full resolution.
    """

    def pose(pair: EvalPair) -> Tensor:
        images, intrinsics = [], []
        for view in pair.views:
            if view.K is None:
                raise GeometryError("The essential matrix needs intrinsics.")
            image, K = (view.image, view.K) if size is None else reduced(view, view.K, size)
            images.append(image)
            intrinsics.append(K)
        return two_view_pose(images[0], images[1], intrinsics[0], intrinsics[1], method).T_cam0_cam1

    return pose


def xfeat_pose(network: XFeat) -> Callable[[EvalPair], Tensor]:
    """Return XFeat's sparse matching on images as they are, with an essential matrix."""

    def pose(pair: EvalPair) -> Tensor:
        first, second = pair.views
        if first.K is None or second.K is None:
            raise GeometryError("The essential matrix needs intrinsics.")
        matches = match_xfeat(*(find_xfeat(network, view.image) for view in pair.views))
        return relative_pose_from_matches(matches, first.K, second.K).T_cam0_cam1

    return pose


def baselines(full_resolution: bool = True, xfeat: XFeat | None = None) -> list[Baseline]:
    """Return the baselines of the tables.

    Args:
        full_resolution: also those on images as they are.
        xfeat: where its weights are at hand, adds it to them.
    """
    found = [
        Baseline("identity", identity_pose),
        Baseline("SIFT + E, 256x192", feature_pose("sift", MODEL_SIZE)),
        Baseline("ORB + E, 256x192", feature_pose("orb", MODEL_SIZE)),
    ]
    if full_resolution:
        found += [
            Baseline("SIFT + E, full size", feature_pose("sift", None)),
            Baseline("ORB + E, full size", feature_pose("orb", None)),
        ]
        if xfeat is not None:
            found.append(Baseline(XFEAT_NAME, xfeat_pose(xfeat)))
    return found


def reduced(view: EvalView, K: Tensor, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Tensor]:
    """Crop an image in its middle to the aspect of `size` and reduce it; return it with its intrinsics."""
    height, width = view.image.shape[:2]
    scale = min(height / size[0], width / size[1])
    crop_h, crop_w = round(size[0] * scale), round(size[1] * scale)
    top, left = (height - crop_h) // 2, (width - crop_w) // 2
    crop = view.image[top : top + crop_h, left : left + crop_w]
    image = cv2.resize(crop, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    K_small = scale_intrinsics(crop_intrinsics(K, left, top), (crop_h, crop_w), size)
    return np.asarray(image, dtype=np.uint8), K_small
