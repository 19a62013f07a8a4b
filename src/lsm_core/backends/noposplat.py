"""NoPoSplat behind the common API: two and more views without poses to Gaussians in the first one's frame."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from PIL.Image import Resampling
from torch import Tensor

from lsm_core.backends.base import Backend, Image, check_image, check_intrinsics, encoded_views, free_memory
from lsm_core.backends.image_crop import CropPlan, cover_plan, prepare, stretch_plan
from lsm_core.backends.lsm_files import file_in
from lsm_core.backends.noposplat_files import DEFAULT_SIZE, NAME, build, trained_size
from lsm_core.backends.numerics import Precision, dense_numerics, half_dtype
from lsm_core.backends.one_frame_cameras import SeenView, Solver, assumed_focal, focal_of_points, one_frame_cameras
from lsm_core.backends.pair_backend import MAX_ASPECT, grid_intrinsics
from lsm_core.backends.pair_content import pair_content
from lsm_core.backends.pair_geometry import CameraOptions, PairGeometry
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.nn.croco import ViewTokens
from lsm_core.nn.intrinsics_embedding import normalised_intrinsics
from lsm_core.nn.noposplat import DRAWN, EncodedImage, Noposplat
from lsm_core.nn.pixel_gaussians import PixelGaussians, joined
from lsm_core.nn.precision import NOPOSPLAT, store_half
from lsm_core.types import Prediction, ViewFeatures

MULTIPLE = 16
MIN_OPACITY = 0.3  # of a pixel whose Gaussian tells where the camera is
LEAST_CONFIDENCE = 1e-6
Source = Literal["given", "shared", "estimated"]


@dataclass(frozen=True)
class NoposplatOptions:
    """How the backend works.

    Attributes:
        size: side of the square that the model sees, or the long edge of a whole image; None is what the file was
            trained on (256, or 512 where its name says so).
        crop: "square", the middle of the image, as it was trained; "whole": nothing is cut, in either orientation.
        focal_passes: 2 encodes again with the focal length that the first pass shows, where no camera is known;
            1 keeps what the first pass was told (60 degrees across the shorter side) for the network.
        solver: of the poses, see `one_frame_cameras`.
        cameras: thresholds; `min_confidence` is an opacity, `max_error_px` is meant for 256 pixels and more, and is
            less in proportion on a smaller grid.
        reference: the slow readable twin: attention written out, view by view, all numbers of the file kept.
        precision: of the dense part (see `nn.precision`); float32 gives the reference's numbers.
    """

    size: int | None = None
    crop: Literal["square", "whole"] = "square"
    focal_passes: int = 2
    solver: Solver = "poselib"
    cameras: CameraOptions = field(default_factory=lambda: CameraOptions(min_confidence=MIN_OPACITY))
    reference: bool = False
    precision: Precision = "float32"


OPTIONS = NoposplatOptions


class NoposplatBackend(Backend):
    """V views to pointmaps, Gaussians and cameras, unit "relative"; cost of the decoder grows with V (V - 1).

    A prediction's `extras["intrinsics_source"]` says per view whether its camera was "given", taken from another
    view ("shared") or "estimated" from the points.

    Args:
        network: filled, in eval mode, on `device`.
        device: where it runs.
        options: how it works; `size` is set.
    """

    name = "noposplat"
    max_views = 8

    def __init__(self, network: Noposplat, device: torch.device, options: NoposplatOptions) -> None:
        super().__init__(device)
        size = options.size
        if size is None or size < MULTIPLE or size % MULTIPLE:
            raise InputError(f"The size must be a multiple of {MULTIPLE} pixels, got {size}.", "Try 256 or 512.")
        if options.focal_passes < 1:
            raise InputError(f"There must be at least one pass, got {options.focal_passes}.")
        self.network, self.options, self._size = network, options, size
        self._half = half_dtype(options.precision, options.reference)

    def numerics(self) -> AbstractContextManager[None]:
        """Return the context in which the network runs."""
        return dense_numerics(self.device, self._half, self.options.reference)

    @torch.inference_mode()
    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        """Compute what depends on one image and its camera; see `Backend.encode`.

        Without intrinsics a camera of 60 degrees is assumed; `predict` encodes again where it learns better.
        """
        picture, K = check_image(image), check_intrinsics(intrinsics)
        height, width = picture.shape[:2]
        if max(height, width) > MAX_ASPECT * min(height, width):
            raise InputError(
                f"An image of {width}x{height} is longer than {MAX_ASPECT:g} times its width.",
                "Cut it to the part that matters.",
            )
        return self._encode(picture, K, self._plan(picture))

    def _encode(self, image: Image, K: Tensor | None, plan: CropPlan, focal: float | None = None) -> ViewFeatures:
        """Encode an image on a grid; `focal` in pixels of the grid stands for intrinsics that are not known."""
        placed = prepare(image, plan, Resampling.LANCZOS)
        width, height = plan.size
        view = ViewFeatures(self.name, image, K, placed.grid_to_image, {})
        K_grid = grid_intrinsics(view)
        if K_grid is None:
            K_grid = centred_intrinsics(focal or assumed_focal((height, width)), placed.grid_to_image, plan.size)
        tensor = placed.tensor.to(self.device)
        with self.numerics():
            encoded = self.network.encode(
                tensor, normalised_intrinsics(K_grid, (height, width))[None].to(self.device)
            )
        tensors = {"image": tensor, "colors": torch.from_numpy(placed.pixels), "K": K_grid}
        tensors |= {"tokens": encoded.view.tokens, "positions": encoded.view.positions}
        if encoded.rays is not None:
            tensors["rays"] = encoded.rays
        return replace(view, tensors=tensors)

    @torch.inference_mode()
    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct two and more views in the frame of camera 0; see `Backend.predict`."""
        if poses is not None:
            raise UnsupportedError(f"{self.name} estimates poses and does not read any.", "Leave poses out.")
        encoded = self._on_one_grid(encoded_views(self, views, intrinsics))
        sources: list[Source] = ["estimated" if view.intrinsics is None else "given" for view in encoded]
        if "given" in sources:
            encoded = self._shared_focal(encoded, sources)
            sources = ["shared" if source == "estimated" else source for source in sources]
        found = self._gaussians(encoded)
        if "given" not in sources:
            encoded, found = self._calibrated(encoded, found)
        return self._prediction(encoded, found, sources)

    def close(self) -> None:
        """Give back device memory."""
        free_memory(self.network)

    def _plan(self, image: Image, grid: tuple[int, int] | None = None) -> CropPlan:
        """Plan how an image comes to a grid (width, height), the backend's own choice by default."""
        height, width = image.shape[:2]
        if self.options.crop == "square":
            plan = cover_plan(width, height, (self._size, self._size))
        else:
            plan = stretch_plan(width, height, self._size, MULTIPLE)
        return plan if grid is None or grid == plan.size else cover_plan(width, height, grid)

    def _again(self, view: ViewFeatures, grid: tuple[int, int], focal: float | None = None) -> ViewFeatures:
        """Encode a view on another grid (width, height), or with another focal length in its pixels."""
        return self._encode(view.image, view.intrinsics, self._plan(view.image, grid), focal)

    def _on_one_grid(self, views: list[ViewFeatures]) -> list[ViewFeatures]:
        """Bring all views to the grid of the first."""
        grid = grid_of(views[0])
        return [view if grid_of(view) == grid else self._again(view, grid) for view in views]

    def _shared_focal(self, views: list[ViewFeatures], sources: list[Source]) -> list[ViewFeatures]:
        """Encode views without a known camera again, with the focal length of the first that has one."""
        focal = float(views[sources.index("given")].tensors["K"][0, 0])
        return [
            view if source == "given" else self._again(view, grid_of(view), focal)
            for view, source in zip(views, sources, strict=True)
        ]

    def _calibrated(
        self, views: list[ViewFeatures], found: list[PixelGaussians]
    ) -> tuple[list[ViewFeatures], list[PixelGaussians]]:
        """Predict again with the focal length that view 0's points show; all views then have that of the last."""
        for _ in range(1, self.options.focal_passes):
            focal = self._focal(found[0], views[0])
            if focal is None:
                break
            views = [self._again(view, grid_of(view), focal) for view in views]
            found = self._gaussians(views)
        focal = self._focal(found[0], views[0])
        if focal is not None:
            K = [centred_intrinsics(focal, view.grid_to_image, grid_of(view)) for view in views]
            views = [replace(v, tensors={**v.tensors, "K": k}) for v, k in zip(views, K, strict=True)]
        return views, found

    def _gaussians(self, views: Sequence[ViewFeatures]) -> list[PixelGaussians]:
        """Decode encoded views and run the heads."""
        inputs = [
            EncodedImage(t["image"], ViewTokens(t["tokens"], t["positions"]), t.get("rays"))
            for t in (view.tensors for view in views)
        ]
        with self.numerics():
            return self.network.gaussians(inputs, self.network.decode(inputs))

    def _focal(self, found: PixelGaussians, view: ViewFeatures) -> float | None:
        """Return the focal length on the grid that view 0's own points show."""
        points, opacity = found.means[0].float().cpu(), found.opacities[0].float().cpu()
        K = view.tensors["K"]
        return focal_of_points(points, opacity > self.options.cameras.min_confidence, float(K[1, 1] / K[0, 0]))

    def _cameras(self, views: Sequence[ViewFeatures], found: Sequence[PixelGaussians]) -> PairGeometry:
        """Find the poses."""
        options, seen = self.options.cameras, []
        for view, gaussians in zip(views, found, strict=True):
            trusted = gaussians.opacities[0].float().cpu() > options.min_confidence
            content = pair_content(views[0].image, view.image)
            seen.append(SeenView(gaussians.means[0].float().cpu(), trusted, view.tensors["K"], content))
        error = options.max_error_px * min(1.0, min(grid_of(views[0])) / DEFAULT_SIZE)
        return one_frame_cameras(seen, replace(options, max_error_px=error), self.options.solver)

    def _prediction(
        self, views: Sequence[ViewFeatures], found: Sequence[PixelGaussians], sources: Sequence[Source]
    ) -> Prediction:
        """Put together what was found of encoded views."""
        cameras = self._cameras(views, found)
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[(view.image.shape[0], view.image.shape[1]) for view in views],
            pointmaps=[g.means[0].float() for g in found],
            confidence=[g.opacities[0].float().clamp(min=LEAST_CONFIDENCE) for g in found],
            poses=[T.to(self.device) for T in cameras.poses],
            pose_valid=cameras.pose_valid,
            validity=cameras.validity,
            intrinsics=[K.to(self.device) for K in cameras.intrinsics],
            grid_to_image=[view.grid_to_image for view in views],
            colors=[view.tensors["colors"].cpu().numpy() for view in views],
            gaussians=joined(found, DRAWN),
            stats=cameras.stats,
            extras={"intrinsics_source": list(sources)},
        )


def grid_of(view: ViewFeatures) -> tuple[int, int]:
    """Return (width, height) of the grid a view was encoded on."""
    height, width = view.tensors["image"].shape[2:]
    return width, height


def centred_intrinsics(focal: float, grid_to_image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return intrinsics [3, 3] of a camera with square pixels that looks at the middle of the grid.

    Args:
        focal: in pixels of the grid along x.
        grid_to_image: [3, 3]; a grid whose axes are scaled differently has two focal lengths.
        size: (width, height) of the grid.
    """
    stretch = float(grid_to_image[0, 0] / grid_to_image[1, 1])
    return torch.tensor(
        [[focal, 0, (size[0] - 1) / 2], [0, focal * stretch, (size[1] - 1) / 2], [0, 0, 1]], dtype=torch.float32
    )


def load(device: torch.device, weights: Path | None, options: NoposplatOptions | None = None) -> NoposplatBackend:
    """Load one of the released files, named itself or by a folder that holds no other.

    Raises:
        WeightsError: no file was named, or it is missing, damaged, or of another model.
        InputError: an option cannot be.
    """
    chosen = options or NoposplatOptions()
    half = half_dtype(chosen.precision, chosen.reference)
    path = file_in(weights, NAME)
    network = build(path, chosen.reference)
    if not chosen.reference:
        network.drop_unseen_colours()
    if half is not None:
        store_half(network, NOPOSPLAT, half)
    network.requires_grad_(False)
    size = chosen.size if chosen.size is not None else trained_size(path)
    return NoposplatBackend(network.to(device), device, replace(chosen, size=size))
