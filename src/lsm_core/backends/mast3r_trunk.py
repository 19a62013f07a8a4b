"""What the backends on MASt3R's trunk share: metric points of a pair, descriptors, matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Image, free_memory
from lsm_core.backends.numerics import Precision, dense_numerics, half_dtype
from lsm_core.backends.pair_backend import Crop, DecodedPair, PairBackend, decode_pair
from lsm_core.backends.pair_geometry import CameraOptions
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.geometry.camera import apply_affine
from lsm_core.geometry.features import Matches
from lsm_core.geometry.reciprocal import STEP, reciprocal_matches
from lsm_core.nn.mast3r import Descriptors, Mast3r
from lsm_core.types import ViewFeatures

MULTIPLE = 16
PoseSource = Literal["points", "descriptors"]
Orders = Literal["needed", "both"]


@dataclass(frozen=True)
class TrunkOptions:
    """How a backend on MASt3R's trunk works.

    Attributes:
        size: see the backend.
        crop: what is cut off, see `PairBackend`.
        reference: the slow readable twin: attention written out, convolutions in the released order, one order of
            the views after the other. For tests and comparisons; always in float32.
        precision: of the dense part (see `nn.precision`); float32 gives the reference's numbers.
        descriptors: load the layers of the local features (117 million parameters); `describe` and `match` need
            them.
        pose: whence the pose of view 1 is found: from the points that the network gives its pixels ("points"), or
            from where it sees the points of view 0 ("descriptors").
        orders: "needed" decodes the second order of the views only where view 1's intrinsics are unknown; "both"
            always does.
        pair_decoders: work on both views at once in the decoders, see `nn.paired_decoder`; None: on a GPU.
        match_step: pixels between the starting points of the matching.
        cameras: how poses and focal lengths are recovered.
    """

    size: int = 512
    crop: Crop = "middle"
    reference: bool = False
    precision: Precision = "float32"
    descriptors: bool = False
    pose: PoseSource = "points"
    orders: Orders = "needed"
    pair_decoders: bool | None = None
    match_step: int = STEP
    cameras: CameraOptions = field(default_factory=CameraOptions)


class Mast3rTrunkBackend(PairBackend):
    """Two views on MASt3R's trunk; unit "metric".

    Args:
        network: filled, in eval mode, on `device`.
        device: where it runs.
        options: how it works.
        square: of the crop, see `PairBackend`.
    """

    unit: ClassVar[Literal["metric", "relative"]] = "metric"

    def __init__(
        self, network: Mast3r, device: torch.device, options: TrunkOptions, square: bool | None = None
    ) -> None:
        if options.pose == "descriptors" and network.sizes.descriptor is None:
            raise InputError("A pose from descriptors needs their layers.", "Load with descriptors=True.")
        super().__init__(device, options.size, MULTIPLE, options.crop, square)
        self.trunk, self.trunk_options = network, options
        paired = device.type == "cuda" if options.pair_decoders is None else options.pair_decoders
        if paired and not options.reference:
            network.pair_decoders()
        self._half = half_dtype(options.precision, options.reference)

    def numerics(self) -> AbstractContextManager[object]:
        """Return the context of the dense part."""
        return dense_numerics(self.device, self._half, self.trunk_options.reference)

    @torch.inference_mode()
    def describe(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
    ) -> list[Descriptors]:
        """Return the local features [1, h, w, D] of two views on the model grid, and how sure they are.

        Raises:
            UnsupportedError: their layers were not loaded (`descriptors=True`).
        """
        first, second = self._two_views(views, intrinsics, None)
        with self.numerics():
            return self._described(decode_pair(self.trunk, first, second, 1), first)

    def match(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
    ) -> Matches:
        """Return pixels of the two images given that show the same point (mutual best descriptors).

        Raises:
            UnsupportedError: the layers of the descriptors were not loaded.
        """
        first, second = self._two_views(views, intrinsics, None)
        found = self._matches(self.describe([first, second]))
        pixels = [
            apply_affine(view.grid_to_image.double(), torch.from_numpy(at)).numpy()
            for view, at in zip((first, second), (found.pixels0, found.pixels1), strict=True)
        ]
        return Matches(pixels[0], pixels[1])

    def _view_tensors(self, image: Tensor) -> Mapping[str, Tensor]:
        view = self.trunk.encode(image)
        return {"tokens": view.tokens, "positions": view.positions}

    def _decode(self, first: ViewFeatures, second: ViewFeatures) -> DecodedPair:
        """Decode two encoded views, in both orders where the second one is needed."""
        options = self.trunk_options
        both = options.orders == "both" or second.intrinsics is None
        return decode_pair(self.trunk, first, second, 2 if both else 1, at_once=not options.reference)

    def _described(self, found: DecodedPair, view: ViewFeatures) -> list[Descriptors]:
        if self.trunk.sizes.descriptor is None:
            raise UnsupportedError(
                f"{self.name} was loaded without the layers of its descriptors.",
                f"Load it with options={type(self.trunk_options).__name__}(descriptors=True).",
            )
        height, width = view.tensors["image"].shape[2:]
        return [
            self.trunk.descriptors(v, found.layers[v], (height, width), found.pointmaps[v].confidence)
            for v in (0, 1)
        ]

    def _matches(self, described: Sequence[Descriptors]) -> Matches:
        """Match two views on the model grid."""
        first, second = (d.vectors[0].float() for d in described)
        return reciprocal_matches(first, second, self.trunk_options.match_step)

    def _pose_matches(self, found: DecodedPair, view: ViewFeatures) -> Matches | None:
        """Return the matches from which the pose is found, None where it is found from points."""
        return self._matches(self._described(found, view)) if self.trunk_options.pose == "descriptors" else None

    def close(self) -> None:
        """Give back device memory."""
        free_memory(self.trunk)
