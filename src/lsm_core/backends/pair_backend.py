"""Backends on a DUSt3R-like trunk: two views brought to one grid, encoded once each, decoded in both orders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image, check_image, check_intrinsics, encoded_pair
from lsm_core.backends.image_crop import CropPlan, cover_plan, crop_plan, dataset_plan, prepare
from lsm_core.backends.pair_content import pair_content
from lsm_core.backends.pair_geometry import CameraOptions, PairGeometry, pair_geometry
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.geometry.pair_cameras import OrderedPrediction
from lsm_core.nn.croco import ViewTokens
from lsm_core.nn.dust3r import Dust3r, Pointmap
from lsm_core.types import Gaussians, Prediction, ViewFeatures

MAX_ASPECT = 8.0
Crop = Literal["middle", "keep_square", "principal_point"]


class PairBackend(Backend):
    """What backends that take exactly two views on one grid share.

    Args:
        device: where the network runs.
        size: 224 or 256 for a square crop, else the long edge (512).
        multiple: of the sides of the grid.
        crop: "middle", as the reference's demo; "keep_square", the same, but a square image is not cut to 4:3;
            "principal_point", as its data sets, where intrinsics are given.
    """

    max_views: ClassVar[int] = 2

    def __init__(self, device: torch.device, size: int, multiple: int, crop: Crop = "middle") -> None:
        super().__init__(device)
        self._size, self._multiple, self._crop = size, multiple, crop

    @abstractmethod
    def _view_tensors(self, image: Tensor) -> Mapping[str, Tensor]:
        """Encode one image [1, 3, h, w] in [-1, 1]; at least "tokens" and "positions" of the trunk."""

    @torch.inference_mode()
    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        """Compute what depends on one image only; see `Backend.encode`."""
        picture, K = check_image(image), check_intrinsics(intrinsics)
        height, width = picture.shape[:2]
        if max(height, width) > MAX_ASPECT * min(height, width):
            raise InputError(
                f"An image of {width}x{height} is longer than {MAX_ASPECT:g} times its width.",
                "Cut it to the part that matters.",
            )
        return self._encode(picture, K, self._plan(width, height, K))

    def _plan(self, width: int, height: int, K: Tensor | None) -> CropPlan:
        if self._crop == "principal_point" and K is not None:
            return dataset_plan(width, height, (float(K[0, 2]), float(K[1, 2])), self._size)
        plan = crop_plan(width, height, self._size, self._crop == "keep_square", self._multiple)
        if min(plan.size) < self._multiple:
            least = self._multiple
            plan = cover_plan(width, height, (max(plan.size[0], least), max(plan.size[1], least)))
        return plan

    def numerics(self) -> AbstractContextManager[object]:
        """Return the context in which the network runs; it may choose precision and kernels."""
        return nullcontext()

    def _encode(self, image: Image, K: Tensor | None, plan: CropPlan) -> ViewFeatures:
        placed = prepare(image, plan)
        tensor = placed.tensor.to(self.device)
        colors = torch.from_numpy(placed.pixels)
        with self.numerics():
            tensors = {"image": tensor, "colors": colors, **self._view_tensors(tensor)}
        return ViewFeatures(self.name, image, K, placed.grid_to_image, tensors)

    def _two_views(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None,
        poses: object,
    ) -> tuple[ViewFeatures, ViewFeatures]:
        """Check and encode the views; the second is brought to the first one's grid where they differ."""
        if poses is not None:
            raise UnsupportedError(f"{self.name} estimates poses and does not read any.", "Leave poses out.")
        first, second = encoded_pair(self, views, intrinsics)
        height, width = first.tensors["image"].shape[2:]
        if second.tensors["image"].shape[2:] != (height, width):
            plan = cover_plan(second.image.shape[1], second.image.shape[0], (width, height))
            second = self._encode(second.image, second.intrinsics, plan)
        return first, second

    def _cameras(
        self, orders: Sequence[OrderedPrediction], views: Sequence[ViewFeatures], options: CameraOptions
    ) -> PairGeometry:
        """Find the cameras of two encoded views from both orders."""
        known = [grid_intrinsics(view) for view in views]
        return pair_geometry(orders, known, options, pair_content(views[0].image, views[1].image))

    def _prediction(
        self,
        views: Sequence[ViewFeatures],
        pointmaps: Sequence[Pointmap],
        cameras: PairGeometry,
        gaussians: Gaussians,
        features: list[Tensor] | None = None,
    ) -> Prediction:
        """Put together what was found of two encoded views; pointmaps have a batch of one."""
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[(view.image.shape[0], view.image.shape[1]) for view in views],
            pointmaps=[p.points[0] for p in pointmaps],
            confidence=[p.confidence[0] for p in pointmaps],
            poses=[T.to(self.device) for T in cameras.poses],
            pose_valid=cameras.pose_valid,
            validity=cameras.validity,
            intrinsics=[K.to(self.device) for K in cameras.intrinsics],
            grid_to_image=[view.grid_to_image for view in views],
            colors=[view.tensors["colors"].cpu().numpy() for view in views],
            gaussians=gaussians,
            features=features,
            stats=cameras.stats,
        )


def both_orders(
    trunk: Dust3r, first: ViewFeatures, second: ViewFeatures, at_once: bool = True
) -> tuple[list[Pointmap], list[OrderedPrediction]]:
    """Decode both orders of two encoded views.

    Args:
        trunk: the network.
        first, second: encoded on one grid.
        at_once: in one batch; else one after the other, as the reference does.

    Returns:
        The pointmaps [1, H, W, 3] of both views in camera 0's frame, and both orders in float32 on the CPU.
    """
    height, width = first.tensors["image"].shape[2:]
    grid = (height // trunk.config.patch_size, width // trunk.config.patch_size)
    a, b = (ViewTokens(view.tensors["tokens"], view.tensors["positions"], grid) for view in (first, second))
    if at_once:
        own, other = trunk.pointmaps([_batched(a, b), _batched(b, a)], (height, width))
    else:
        singles = [trunk.pointmaps(order, (height, width)) for order in ((a, b), (b, a))]
        own, other = (_batched_maps([maps[i] for maps in singles]) for i in (0, 1))
    maps = [t.float().cpu() for t in (own.points, own.confidence, other.points, other.confidence)]
    orders = [OrderedPrediction(*(t[i] for t in maps)) for i in (0, 1)]
    return [Pointmap(p.points[:1], p.confidence[:1]) for p in (own, other)], orders


def grid_intrinsics(view: ViewFeatures) -> Tensor | None:
    """Return the intrinsics on the model grid, None when unknown."""
    if view.intrinsics is None:
        return None
    return torch.linalg.inv(view.grid_to_image.double()).float() @ view.intrinsics


def _batched(first: ViewTokens, second: ViewTokens) -> ViewTokens:
    positions = torch.cat((first.positions, second.positions))
    return ViewTokens(torch.cat((first.tokens, second.tokens)), positions, first.grid)


def _batched_maps(maps: Sequence[Pointmap]) -> Pointmap:
    return Pointmap(torch.cat([m.points for m in maps]), torch.cat([m.confidence for m in maps]))
