"""pixelSplat behind the common API: two or three views with known cameras to Gaussians."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray
from PIL.Image import Resampling
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from lsm_core.backends.base import Backend, Image, check_image, check_intrinsics, encoded_views, free_memory
from lsm_core.backends.given_poses import poses_in_first
from lsm_core.backends.image_crop import cover_plan, prepare
from lsm_core.backends.pair_backend import grid_intrinsics
from lsm_core.backends.pair_content import pair_content
from lsm_core.backends.pixelsplat_files import build, file_in
from lsm_core.errors import InputError
from lsm_core.geometry import view_overlap
from lsm_core.geometry.disparity_bounds import depth_of_disparity, largest_baseline
from lsm_core.geometry.epipolar import cell_centres, world_rays
from lsm_core.geometry.permuted_harmonics import standard_coefficients
from lsm_core.nn.depth_buckets import choose, most_probable
from lsm_core.nn.epipolar import RayCameras
from lsm_core.nn.pixelsplat import Pixelsplat, PixelsplatOutput
from lsm_core.nn.precision import strict_float32
from lsm_core.sh import MAX_DEGREE
from lsm_core.types import Gaussians, Prediction, ViewFeatures, quat_from_matrix, quat_multiply

NEAR_DISPARITY, FAR_DISPARITY_PX = 3.0, 0.5  # the first in units of the image's short side
DEFAULT_SEED = 0
NO_POSES = InputError(
    "pixelsplat needs to know where its views were taken from, and no poses were given.",
    "Pass poses=[T_cam0_cam_i, ...]; lsm reconstruct takes --poses FILE or --poses-from BACKEND; "
    "for the node connect odometry (tf from odom_frame to the camera, or the odom topic).",
)


@dataclass(frozen=True)
class PixelsplatOptions:
    """How the backend works.

    Attributes:
        size: side of the square that images are cut to, pixels; the release was trained with 256.
        sampling: "probabilistic" draws three depths per pixel, as the released test does; "most_probable" takes
            the likeliest one, with a third of its opacity, as the released preview does.
        reference: the slow readable twin, for tests and comparisons.
        min_baseline: of the poses, in their unit. Views closer together show no depth: they are treated as if they
            were one unit apart, and the result's validity is 0.
        full_overlap, full_parallax_deg: from which more do not raise `validity`.
    """

    size: int = 256
    sampling: Literal["probabilistic", "most_probable"] = "probabilistic"
    reference: bool = False
    min_baseline: float = 1e-3
    full_overlap: float = 0.25
    full_parallax_deg: float = 1.0


OPTIONS = PixelsplatOptions


@dataclass(frozen=True, eq=False)
class PlacedViews:
    """Cameras of one set of views, as the network takes them, and what undoes that.

    Attributes:
        T_cam0_cam: [V, 4, 4] float64 as given.
        unit: length in the poses' unit that is 1 for the network.
        apart: whether the views are far enough apart to show depth.
        cameras: in the network's unit, batch of one.
    """

    T_cam0_cam: Tensor
    unit: float
    apart: bool
    cameras: RayCameras


class PixelsplatBackend(Backend):
    """Views with poses and intrinsics to Gaussians, three per pixel, in the unit of the poses.

    Args:
        network: filled, in eval mode, on `device`.
        device: where it runs.
        options: how it works.

    Raises:
        InputError: the options' size does not fit the network.
    """

    name = "pixelsplat"
    max_views = 3
    needs_poses = True
    needs_intrinsics = True

    def __init__(self, network: Pixelsplat, device: torch.device, options: PixelsplatOptions | None = None) -> None:
        super().__init__(device)
        self.network, self.options = network, options or PixelsplatOptions()
        multiple = network.config.multiple
        if self.options.size < multiple or self.options.size % multiple:
            raise InputError(f"Size {self.options.size} is no multiple of {multiple}.", "Use 256, as the release.")

    @contextmanager
    def numerics(self) -> Iterator[None]:
        """Return the context of the network: float32 without TF32, and attention written out for the twin."""
        with ExitStack() as stack:
            stack.enter_context(strict_float32())
            if self.options.reference:
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            yield

    @torch.inference_mode()
    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        """Compute what depends on one image only; see `Backend.encode`. Intrinsics are used by `predict`."""
        picture, K = check_image(image), check_intrinsics(intrinsics)
        side = self.options.size
        placed = prepare(picture, cover_plan(picture.shape[1], picture.shape[0], (side, side)), Resampling.LANCZOS)
        colors = torch.from_numpy(placed.pixels)
        tensor = colors.to(self.device).permute(2, 0, 1)[None].float() / 255
        with self.numerics():
            tensors = {"image": tensor, "colors": colors, "features": self.network.encode(tensor)}
        return ViewFeatures(self.name, picture, K, placed.grid_to_image, tensors)

    @torch.inference_mode()
    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct two or three views in the frame of camera 0; see `Backend.predict`.

        Lengths are in the unit of the poses, which must share a frame. Depths are drawn with the generator; without
        one the seed is fixed, so equal input gives equal output.

        Raises:
            InputError: no poses, or no intrinsics of a view, beside what `Backend.predict` says.
        """
        if poses is None:
            raise InputError(NO_POSES.message, NO_POSES.fix)
        encoded = self._encoded(views, intrinsics)
        placed = self._placed(encoded, poses)
        images, features = (
            torch.cat([view.tensors[name] for view in encoded])[None] for name in ("image", "features")
        )
        drawn = torch.Generator().manual_seed(DEFAULT_SEED) if generator is None else generator
        size = (images.shape[3], images.shape[4])
        with self.numerics():
            pixels = self.network.match(features, images, placed.cameras, self._permutation(len(encoded), drawn))
            output = self.network.decode(pixels, placed.cameras, size, self._uniform(pixels, drawn))
        return self._prediction(encoded, placed, output, size)

    def close(self) -> None:
        """Give back device memory."""
        free_memory(self.network)

    def _encoded(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None,
    ) -> list[ViewFeatures]:
        """Check and encode the views; each has intrinsics."""
        encoded = encoded_views(self, views, intrinsics)
        for index, view in enumerate(encoded):
            if view.intrinsics is None:
                raise InputError(
                    f"pixelsplat needs the intrinsics of every view; view {index} has none.",
                    "Pass intrinsics as 3x3 in pixels (lsm reconstruct: --intrinsics fx,fy,cx,cy; "
                    "the node: connect camera_info).",
                )
        return encoded

    def _placed(self, views: Sequence[ViewFeatures], poses: Sequence[Tensor | NDArray[Any]]) -> PlacedViews:
        """Bring cameras to the network's unit, in which the widest baseline is 1, and find how far to look."""
        T = poses_in_first(poses, len(views))
        side = self.options.size
        baseline = float(largest_baseline(T))
        apart = baseline >= self.options.min_baseline
        unit = baseline if apart else 1.0
        scaled = T.clone()
        scaled[:, :3, 3] /= unit
        K = torch.stack([normalised_intrinsics(view, side) for view in views])
        near, far = (
            depth_of_disparity(torch.ones((), dtype=K.dtype), K, (side, side), disparity).expand(1, len(views))
            for disparity in (NEAR_DISPARITY * side, FAR_DISPARITY_PX)
        )
        cameras = RayCameras(*(t.float().to(self.device) for t in (scaled[None], K[None], near, far)))
        return PlacedViews(T, unit, apart, cameras)

    def _permutation(self, views: int, generator: torch.Generator) -> Tensor | None:
        """Draw which embedding marks which other view, as the release does also after training."""
        if views < 3 or not self.network.config.epipolar.view_embeddings:
            return None
        return torch.randperm(views - 1, generator=generator, device=generator.device).to(self.device)

    def _uniform(self, pixels: Tensor, generator: torch.Generator) -> Tensor | None:
        if self.options.sampling == "most_probable":
            return None
        config = self.network.config
        shape = (*pixels.shape[:3], config.surfaces, config.gaussians_per_pixel)
        return torch.rand(shape, generator=generator, device=generator.device).to(self.device)

    def _prediction(
        self, views: Sequence[ViewFeatures], placed: PlacedViews, output: PixelsplatOutput, size: tuple[int, int]
    ) -> Prediction:
        cameras, depths = placed.cameras, output.depths
        near, far = (t[:, :, None, None, None] for t in (cameras.near, cameras.far))
        likeliest = choose(depths.probabilities, depths.offsets, most_probable(depths.probabilities, 1), near, far)
        centres = cell_centres(*size, like=likeliest.depth).flatten(0, 1)
        origins, directions = world_rays(centres, cameras.T_world_cam, cameras.K)
        points = (origins + directions * likeliest.depth[:, :, :, 0]) * placed.unit
        pointmaps = list(points[0].unflatten(1, size))
        confidence = likeliest.opacity[0, :, :, 0, 0].unflatten(1, size)
        K = [grid_intrinsics(view) for view in views]
        intrinsics = [k.to(self.device) for k in K if k is not None]
        poses = list(placed.T_cam0_cam.float().to(self.device))
        stats = pair_stats(pointmaps[0], poses[1], intrinsics)
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[(view.image.shape[0], view.image.shape[1]) for view in views],
            pointmaps=pointmaps,
            confidence=list(confidence),
            poses=poses,
            pose_valid=[True] * len(views),
            validity=self._validity(views, placed, stats),
            intrinsics=intrinsics,
            grid_to_image=[view.grid_to_image for view in views],
            colors=[view.tensors["colors"].cpu().numpy() for view in views],
            gaussians=standard_gaussians(output, cameras.T_world_cam, placed.unit),
            stats=stats,
        )

    def _validity(self, views: Sequence[ViewFeatures], placed: PlacedViews, stats: dict[str, float]) -> float:
        """Geometric mean of two figures, each 1 once it is ample; 0 where the views show no depth."""
        if not placed.apart or pair_content(views[0].image, views[1].image) != "two views":
            return 0.0
        options = self.options
        figures = (stats["overlap"] / options.full_overlap, stats["parallax_deg"] / options.full_parallax_deg)
        return math.sqrt(math.prod(min(figure, 1.0) for figure in figures))


def normalised_intrinsics(view: ViewFeatures, side: int) -> Tensor:
    """Return K [3, 3] float64 of a view for the unit square; the image's corner is (0, 0), not a pixel's centre."""
    K = grid_intrinsics(view)
    assert K is not None
    shifted = K.double().clone()
    shifted[:2, 2] += 0.5
    shifted[:2] /= side
    return shifted


def pair_stats(points: Tensor, T_cam0_cam1: Tensor, K: Sequence[Tensor]) -> dict[str, float]:
    """Return "overlap" and "parallax_deg" of view 0's points [h, w, 3] with view 1."""
    size = (int(points.shape[0]), int(points.shape[1]))
    overlap = view_overlap(points[..., 2], K[0], T_cam0_cam1, K[1], size)
    cosine = torch.cosine_similarity(points, points - T_cam0_cam1[:3, 3], dim=-1)
    return {"overlap": overlap, "parallax_deg": math.degrees(float(cosine.clamp(-1, 1).acos().median()))}


def standard_gaussians(output: PixelsplatOutput, T_world_cam: Tensor, unit: float, sample: int = 0) -> Gaussians:
    """Return the Gaussians of one set of views as this library has them: wxyz, the standard harmonics.

    Args:
        output: of the network.
        T_world_cam: [B, V, 4, 4] the network's cameras.
        unit: what lengths are multiplied with.
        sample: of the batch.

    Returns:
        In order of view, pixel and depth.
    """
    g, count = output.gaussians, output.gaussians.means.shape[3]
    used = min((MAX_DEGREE + 1) ** 2, g.harmonics.shape[-1])
    matrices = standard_coefficients(T_world_cam[sample], math.isqrt(used) - 1)
    sh = g.harmonics[sample, ..., :used].transpose(-1, -2)  # [V, N, K, 3]
    sh = torch.einsum("vij,vnjc->vnic", matrices, sh)
    turns = torch.stack([quat_from_matrix(T[:3, :3]) for T in T_world_cam[sample]]).to(g.rotations)
    local = g.rotations[sample].roll(1, -1)
    quats = quat_multiply(turns[:, None].expand_as(local), local)
    return Gaussians(
        means=g.means[sample].flatten(0, 2) * unit,
        quats=_repeated(quats, count),
        scales=g.scales[sample].flatten(0, 2) * unit,
        opacities=output.opacities[sample].flatten(),
        sh=_repeated(sh, count),
    )


def _repeated(tensor: Tensor, count: int) -> Tensor:
    """Repeat what the Gaussians of one pixel share: [V, N, ...] to [V * N * count, ...]."""
    return tensor.flatten(0, 1).repeat_interleave(count, 0)


def load(device: torch.device, weights: Path | None, options: PixelsplatOptions | None = None) -> PixelsplatBackend:
    """Load a released file, named itself or by its folder.

    Raises:
        WeightsError: no file was named, or it is missing, damaged, old, or of another model.
    """
    chosen = options or PixelsplatOptions()
    network = build(file_in(weights), chosen.reference)
    return PixelsplatBackend(network.to(device), device, chosen)
