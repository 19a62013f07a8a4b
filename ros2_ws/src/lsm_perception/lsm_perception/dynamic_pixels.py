"""Pixels of things that move: they stay in masks and features, and leave points, Gaussians, chain and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.mapping.clouds import image_pixels
from lsm_core.types import Gaussians, Prediction

ON_SURFACE = 0.1  # a Gaussian within this share of a pixel's depth lies on what the pixel shows


@dataclass(frozen=True, eq=False)
class DynamicPixels:
    """A mask [H, W] on the undistorted image, one bit per pixel, so that every kept keyframe can have one.

    Attributes:
        bits: packed rows.
        shape: (H, W).
    """

    bits: NDArray[np.uint8]
    shape: tuple[int, int]

    @staticmethod
    def from_mask(mask: NDArray[np.bool_]) -> DynamicPixels:
        """Pack a mask."""
        return DynamicPixels(np.packbits(mask, axis=1), (mask.shape[0], mask.shape[1]))

    def mask(self) -> NDArray[np.bool_]:
        """Return the mask [H, W]."""
        return np.unpackbits(self.bits, axis=1, count=self.shape[1]).astype(bool)


def without_dynamic(prediction: Prediction, moving: Sequence[DynamicPixels | None]) -> Prediction:
    """Return a prediction whose moving pixels have no place in space: points NaN, confidence 0, no Gaussians.

    Args:
        prediction: of a pair.
        moving: per view what moves in it, None for nothing known.
    """
    if all(pixels is None for pixels in moving):
        return prediction
    masks = [None if m is None else _on_grid(prediction, view, m) for view, m in enumerate(moving)]
    gaussians = prediction.gaussians
    if gaussians is not None:
        for view, mask in enumerate(masks):
            if mask is not None and prediction.pose_valid[view]:
                gaussians = gaussians.select(~_on_moving(gaussians, prediction, view, mask))
    return replace(
        prediction,
        pointmaps=[_filled(p, m, math.nan) for p, m in zip(prediction.pointmaps, masks, strict=True)],
        confidence=[_filled(c, m, 0.0) for c, m in zip(prediction.confidence, masks, strict=True)],
        gaussians=gaussians,
    )


def _on_grid(prediction: Prediction, view: int, moving: DynamicPixels) -> Tensor:
    """Return [h, w] bool on the model grid: cells that any moving pixel touches."""
    scale = prediction.grid_to_image[view].detach().cpu().double().numpy()
    cell = (math.ceil(abs(scale[0, 0])) | 1, math.ceil(abs(scale[1, 1])) | 1)
    wide = cv2.dilate(moving.mask().astype(np.uint8), np.ones(cell[::-1], np.uint8))
    x, y, inside = image_pixels(prediction, view)
    height, width = wide.shape
    return torch.from_numpy((wide[y.clip(0, height - 1), x.clip(0, width - 1)] > 0) & inside)


def _filled(values: Tensor, mask: Tensor | None, value: float) -> Tensor:
    if mask is None:
        return values
    out = values.clone()
    out[mask.to(out.device)] = value
    return out


def _on_moving(gaussians: Gaussians, prediction: Prediction, view: int, mask: Tensor) -> Tensor:
    """Return [N] bool: Gaussians that lie on the surface which a view's moving pixels show."""
    height, width = mask.shape
    T_cam_scene = torch.linalg.inv(prediction.poses[view].double()).to(gaussians.means.device)
    points = gaussians.means.double() @ T_cam_scene[:3, :3].T + T_cam_scene[:3, 3]
    pixels = points @ prediction.intrinsics[view].double().to(points.device).T
    column, row = ((pixels[:, i] / pixels[:, 2]).round() for i in (0, 1))
    seen = (points[:, 2] > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = (row.nan_to_num(0).clamp(0, height - 1) * width + column.nan_to_num(0).clamp(0, width - 1)).long()
    depth = prediction.depth(view).double().to(points.device).reshape(-1)[index]
    near = (points[:, 2] - depth).abs() <= ON_SURFACE * depth.abs()
    return seen & near & mask.to(points.device).reshape(-1)[index]
