"""Backends on a DUSt3R-like trunk: two views brought to one grid, encoded once each, decoded in both orders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image, check_image, check_intrinsics, encoded_pair
from lsm_core.backends.image_crop import CropPlan, cover_plan, crop_plan, dataset_plan, prepare
from lsm_core.backends.pair_content import pair_content
from lsm_core.backends.pair_geometry import CameraOptions, PairGeometry, pair_geometry
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.geometry.features import Matches
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
        square: a square crop whatever the size; by default it depends on the size.
    """

    max_views = 2
    unit: ClassVar[Literal["metric", "relative"]] = "relative"

    def __init__(
        self, device: torch.device, size: int, multiple: int, crop: Crop = "middle", square: bool | None = None
    ) -> None:
        super().__init__(device)
        self._size, self._multiple, self._crop, self._square = size, multiple, crop, square

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
            return dataset_plan(width, height, (float(K[0, 2]), float(K[1, 2])), self._size, self._square)
        keep = self._crop == "keep_square"
        plan = crop_plan(width, height, self._size, keep, self._multiple, square=self._square)
        if self._square and plan.size != (self._size, self._size):
            # An odd short side loses a pixel to the reference's rounding; the network wants whole patches.
            plan = cover_plan(width, height, (self._size, self._size))
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
        self,
        orders: Sequence[OrderedPrediction],
        views: Sequence[ViewFeatures],
        options: CameraOptions,
        matches: Matches | None = None,
    ) -> PairGeometry:
        """Find the cameras of two encoded views; see `pair_geometry`."""
        known = [grid_intrinsics(view) for view in views]
        return pair_geometry(orders, known, options, pair_content(views[0].image, views[1].image), matches)

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
            unit=self.unit,
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


@dataclass(frozen=True, eq=False)
class DecodedPair:
    """What the trunk says of two views.

    Attributes:
        layers: per view its token sets in the order (view 0, view 1), batch of one; see `CrocoBackbone.decode`.
        pointmaps: per view [1, H, W, 3] in camera 0's frame.
        orders: that order, and the other one where it was decoded; float32 on the CPU.
    """

    layers: list[list[Tensor]]
    pointmaps: list[Pointmap]
    orders: list[OrderedPrediction]


def both_orders(
    trunk: Dust3r, first: ViewFeatures, second: ViewFeatures, at_once: bool = True
) -> tuple[list[Pointmap], list[OrderedPrediction]]:
    """Decode both orders of two encoded views; see `decode_pair`.

    Returns:
        The pointmaps [1, H, W, 3] of both views in camera 0's frame, and both orders in float32 on the CPU.
    """
    found = decode_pair(trunk, first, second, 2, at_once)
    return found.pointmaps, found.orders


def decode_pair(
    trunk: Dust3r, first: ViewFeatures, second: ViewFeatures, count: int = 2, at_once: bool = True
) -> DecodedPair:
    """Decode two encoded views.

    Args:
        trunk: the network.
        first, second: encoded on one grid.
        count: 2 for both orders, 1 for (first, second) alone: half the work.
        at_once: both in one batch; else one after the other, as the reference does.
    """
    height, width = first.tensors["image"].shape[2:]
    grid = trunk.grid((height, width))
    a, b = (ViewTokens(view.tensors["tokens"], view.tensors["positions"], grid) for view in (first, second))
    batches = [[a, b], [b, a]][:count]
    if count == 2 and at_once:
        batches = [[_batched(a, b), _batched(b, a)]]
    layers: list[list[Tensor]] = []
    maps: list[list[Pointmap]] = []
    for views in batches:
        decoded = trunk.decode(views)
        maps.append([trunk.pointmap(trunk.head(v, decoded[v], (height, width))) for v in (0, 1)])
        layers = layers or [[t[:1] for t in tokens] for tokens in decoded]
    flat = [torch.cat([getattr(m[v], part) for m in maps]) for v in (0, 1) for part in ("points", "confidence")]
    on_cpu = [t.float().cpu() for t in flat]
    orders = [OrderedPrediction(*(t[i] for t in on_cpu)) for i in range(count)]
    return DecodedPair(layers, [Pointmap(maps[0][v].points[:1], maps[0][v].confidence[:1]) for v in (0, 1)], orders)


def grid_intrinsics(view: ViewFeatures) -> Tensor | None:
    """Return the intrinsics on the model grid, None when unknown."""
    if view.intrinsics is None:
        return None
    return torch.linalg.inv(view.grid_to_image.double()).float() @ view.intrinsics


def _batched(first: ViewTokens, second: ViewTokens) -> ViewTokens:
    positions = torch.cat((first.positions, second.positions))
    return ViewTokens(torch.cat((first.tokens, second.tokens)), positions, first.grid)
