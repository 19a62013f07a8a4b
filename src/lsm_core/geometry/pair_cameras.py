"""Cameras of a pair from the pointmaps of both orders, as DUSt3R's pair viewer finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.errors import GeometryError
from lsm_core.geometry.focal import FocalMethod, focal_from_pointmap
from lsm_core.geometry.opencv_pnp import opencv_pose

MIN_CONFIDENCE = 3.0
MIN_INLIERS = 12
MIN_INLIER_SHARE = 0.05  # of the trusted pixels; noise alone gives a few inliers to some pose


@dataclass(frozen=True, eq=False)
class OrderedPrediction:
    """Pointmaps of a pair in the frame of image i, whose own view is `own`.

    Attributes:
        own: [H, W, 3] points of image i; own_confidence: [H, W].
        other: [H, W, 3] points of the other image; other_confidence: [H, W].
    """

    own: Tensor
    own_confidence: Tensor
    other: Tensor
    other_confidence: Tensor

    @property
    def score(self) -> float:
        """How far this order can be trusted: product of the mean confidences."""
        return float(self.own_confidence.mean() * self.other_confidence.mean())


@dataclass(frozen=True, eq=False)
class PairCameras:
    """What is known of two cameras.

    Attributes:
        reference: index of the camera whose frame everything is in.
        poses: two [4, 4] T_reference_cam; the identity for the reference.
        pose_valid: whether each was found with enough support; the pose is the reference's all the same, the
            identity where it finds none.
        focals: [2] pixels.
        intrinsics: [2, 3, 3], principal point (W / 2, H / 2).
        depths: two [H, W], each in its own camera.
        masks: two [H, W] bool, pixels that are trusted.
    """

    reference: int
    poses: list[Tensor]
    pose_valid: list[bool]
    focals: Tensor
    intrinsics: Tensor
    depths: list[Tensor]
    masks: list[Tensor]


def pair_cameras(
    orders: Sequence[OrderedPrediction],
    focal: FocalMethod = "weiszfeld",
    max_error_px: float = 5.0,
    min_confidence: float = MIN_CONFIDENCE,
) -> PairCameras:
    """Find the cameras of images 0 and 1.

    The order of higher score gives the reference. The other camera's pose is found by PnP from its points in the
    reference's frame, on the pixels that either order trusts.

    Args:
        orders: the prediction in the frame of image 0 (own: image 0), and the one in the frame of image 1.
        focal: estimate of the focal length from each image's points in its own frame.
        max_error_px: reprojection error of an inlier of the pose search.
        min_confidence: of a pixel that is used.
    """
    focals = torch.stack([focal_from_pointmap(order.own, method=focal) for order in orders])
    intrinsics = torch.stack([_intrinsics(f, order.own) for f, order in zip(focals, orders, strict=True)])
    masks = [
        torch.maximum(orders[i].own_confidence, orders[1 - i].other_confidence) > min_confidence for i in (0, 1)
    ]
    reference = 0 if orders[0].score > orders[1].score else 1
    moved = 1 - reference
    points = orders[reference].other
    pose, valid = torch.eye(4), True
    try:
        found = opencv_pose(points, intrinsics[moved], masks[moved], max_error_px)
        pose = found.T_scene_cam.to(points)
        valid = found.inlier_count >= max(MIN_INLIERS, MIN_INLIER_SHARE * float(masks[moved].sum()))
    except GeometryError:
        valid = False
    inverse = torch.linalg.inv(pose)
    depths = [order.own[..., 2] for order in orders]
    depths[moved] = points @ inverse[2, :3].to(points) + inverse[2, 3].to(points)
    poses, pose_valid = [torch.eye(4), torch.eye(4)], [True, True]
    poses[moved], pose_valid[moved] = pose, valid
    return PairCameras(reference, poses, pose_valid, focals, intrinsics, depths, masks)


def _intrinsics(focal: Tensor, pointmap: Tensor) -> Tensor:
    height, width = pointmap.shape[:2]
    return torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.float32)
