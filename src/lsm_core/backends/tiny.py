"""The lsm-tiny backend: this project's own small two-view network, the embedded default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image, check_image, check_intrinsics, encoded_pair
from lsm_core.backends.pair_content import pair_content
from lsm_core.backends.tiny_feature_pool import PoolView, is_weak, search_with_features
from lsm_core.backends.tiny_full_resolution import FullResolutionOptions, FullView, refine_at_full_resolution
from lsm_core.backends.tiny_grid import OUTPUT_STRIDE, choose_grid, output_to_input, place_on_grid
from lsm_core.backends.tiny_parallax import ParallaxDepth, ParallaxOptions, depth_from_parallax, grid_view
from lsm_core.backends.tiny_pose import PairPose, estimate_pose
from lsm_core.backends.tiny_residuals import PoseOptions, lift_matches
from lsm_core.backends.tiny_surface import PairSurface, compose_surface, pair_gaussians
from lsm_core.backends.tiny_weights import ONNX_MANIFEST, WeightsCard, load_network
from lsm_core.errors import GeometryError, UnsupportedError
from lsm_core.geometry import invert
from lsm_core.nn.tiny.matching import Matches, mutual_matches
from lsm_core.nn.tiny.network import COARSE_STRIDE, Encoded, Matched, Refined, TinyNet, stack_views
from lsm_core.nn.tiny.rays import intrinsics_from_log_focal
from lsm_core.types import Gaussians, Prediction, ViewFeatures

_ENCODED = ("s4", "s8", "tokens", "log_focal", "intrinsics")


@dataclass(frozen=True)
class TinyOptions:
    """Thresholds of the backend.

    Attributes:
        min_match_score: mutual matches below this score (0 to 1) are left out.
        pose: thresholds of the pose search.
        full_support: number of supporting matches from which more do not raise `validity`.
        full_inlier_share, full_overlap, full_parallax_deg: the same for the other three figures.
        full_resolution: search weak poses again and refine all on the images as given, and depth with that pose
            and by the parallax that is seen; None: do not.
    """

    min_match_score: float = 0.1
    pose: PoseOptions = field(default_factory=PoseOptions)
    full_support: int = 120
    full_inlier_share: float = 0.6
    full_overlap: float = 0.25
    full_parallax_deg: float = 1.0
    full_resolution: FullResolutionOptions | None = field(default_factory=FullResolutionOptions)


OPTIONS = TinyOptions


@dataclass(frozen=True)
class Solved:
    """What the network and the pose search found for two views, each in its own camera."""

    views: tuple[ViewFeatures, ViewFeatures]
    encoded: Encoded
    matched: Matched
    matches: Matches
    refined: Refined
    pose: PairPose | None
    measured: ParallaxDepth | None  # what parallax adds to the refined depth
    content: str  # see `pair_content`


class TinyBackend(Backend):
    """lsm-tiny behind the common API: two views, pose, pointmaps, Gaussians, language features.

    Lengths are "relative": the network learned metres on rendered rooms, which is no measurement.

    Args:
        network: filled, in eval mode.
        device: where it runs.
        card: what the weights say about themselves.
        options: thresholds.
    """

    name = "lsm-tiny"
    has_language = True
    embedding_dim = 384
    max_views = 2

    def __init__(
        self, network: TinyNet, device: torch.device, card: WeightsCard, options: TinyOptions | None = None
    ) -> None:
        super().__init__(device)
        self.network, self.card, self.options = network, card, options or TinyOptions()
        self._texts: Any = None

    @torch.inference_mode()
    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        """Compute the pyramid and tokens of one image; see `Backend.encode`."""
        return self._encode(image, intrinsics)

    @torch.inference_mode()
    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct two views in the frame of camera 0; see `Backend.predict`.

        Where no pose is found, `pose_valid[1]` is false, the pose and view 1's pointmap are NaN, the
        Gaussians are view 0's alone, and `extras["depth"]` still has both views' own depth.
        """
        if poses is not None:
            raise UnsupportedError("lsm-tiny estimates poses and does not read any.", "Leave poses out.")
        first, second = self._two_views(views, intrinsics)
        solved = self._solve(first, second)
        surface = self._surface(solved)
        found = self._prediction(solved, surface, pair_gaussians(surface, self.network.gaussian_head))
        return replace(found, validity=0.0) if solved.content == "one view" else found

    @torch.no_grad()
    def surface(self, images: Sequence[Image], intrinsics: Sequence[Tensor | NDArray[Any] | None]) -> PairSurface:
        """Compute what the Gaussians of two images are made of, in tensors that a gradient may start from.

        Args:
            images: two of one size, [H, W, 3] uint8.
            intrinsics: [3, 3] px of each, None where unknown.
        """
        first, second = (self._encode(image, K) for image, K in zip(images, intrinsics, strict=True))
        return self._surface(self._solve(first, second))

    def _solve(self, first: ViewFeatures, second: ViewFeatures) -> Solved:
        """Match the views, find the pose, refine depth with it."""
        encoded = self._share_focal(stack_views(_encoded(first), _encoded(second)), first, second)
        matched = self.network.match(encoded)
        height, width = matched.log_depth.shape[-2:]
        matches = mutual_matches(
            matched.temperature * matched.similarity[0],
            matched.matchability.flatten(1).sigmoid(),
            height,
            width,
            self.options.min_match_score,
        )
        content = pair_content(first.image, second.image)
        pose, measured = None, None
        if content != "blank":
            own = self._pose(matches, matched.log_depth, matched.rays, encoded.intrinsics, None)
            pose = self._search_again((first, second), encoded, matched, matches, own)
        refined = self.network.refine(encoded, matched, *self._pose_inputs(pose))
        if pose is not None:
            if pose is own:  # the network's matches would draw away a pose that features found
                again = self._pose(matches, refined.log_depth_coarse, matched.rays, encoded.intrinsics, pose)
                pose = pose if again is None else again
            full = self.options.full_resolution
            if full is not None:
                pose = self._sharpen((first, second), encoded, refined, pose, full)
                refined = self.network.refine(encoded, matched, *self._pose_inputs(pose))
                measured = self._measure((first, second), encoded, refined, pose, full.parallax)
                pose = pose if measured is None else measured.pose
        return Solved((first, second), encoded, matched, matches, refined, pose, measured, content)

    def decode_features(self, features: Tensor) -> Tensor:
        """Map language features [..., 64] to the text space [..., 384], not normalised."""
        linear = self.network.text_head.linear
        return linear(features.to(self.device, torch.float32))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts with all-MiniLM-L6-v2: [T, 384] float32, unit norm, cached per string."""
        from lsm_core.query.text import MiniLmTextEncoder

        if self._texts is None:
            self._texts = MiniLmTextEncoder()
        embedded: Tensor = self._texts.encode(list(texts))
        return embedded

    @property
    def text_logit_scale(self) -> float:
        """Inverse temperature of the softmax over names that the language head was trained with."""
        return float(self.network.text_head.scale())

    def _encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None) -> ViewFeatures:
        picture, K = check_image(image), check_intrinsics(intrinsics)
        return self._encode_on(picture, K, choose_grid((picture.shape[0], picture.shape[1])))

    def _encode_on(self, image: Image, K: Tensor | None, grid: tuple[int, int]) -> ViewFeatures:
        """Encode an image on a given input grid."""
        placed = place_on_grid(image, grid)
        rgb = torch.from_numpy(placed.rgb).to(self.device)
        tensor = rgb.permute(2, 0, 1)[None].float().div(255.0).contiguous(memory_format=torch.channels_last)
        known = torch.tensor([K is not None], device=self.device)
        K_grid = torch.eye(3) if K is None else torch.linalg.inv(placed.grid_to_image.double()).float() @ K
        encoded = self.network.encode(tensor, K_grid[None].to(self.device), known)
        tensors = {name: getattr(encoded, name) for name in _ENCODED}
        tensors["colors"] = _halve(rgb)
        return ViewFeatures(self.name, image, K, placed.grid_to_image, tensors)

    def _two_views(
        self, views: Sequence[Image | ViewFeatures], intrinsics: Sequence[Tensor | NDArray[Any] | None] | None
    ) -> tuple[ViewFeatures, ViewFeatures]:
        """Check and encode the views; the second is brought to the first one's grid where they differ."""
        first, second = encoded_pair(self, views, intrinsics)
        h8, w8 = first.tensors["s8"].shape[-2:]
        if second.tensors["s8"].shape[-2:] != (h8, w8):
            second = self._encode_on(second.image, second.intrinsics, (h8 * COARSE_STRIDE, w8 * COARSE_STRIDE))
        return first, second

    def _share_focal(self, encoded: Encoded, first: ViewFeatures, second: ViewFeatures) -> Encoded:
        """Give two images without intrinsics and of one size the same guessed focal length."""
        same = first.image.shape == second.image.shape
        if first.intrinsics is not None or second.intrinsics is not None or not same:
            return encoded
        h8, w8 = encoded.s8.shape[-2:]
        mean = encoded.log_focal.mean().expand(2)
        K = intrinsics_from_log_focal(mean, h8 * COARSE_STRIDE, w8 * COARSE_STRIDE)
        return replace(encoded, intrinsics=K)

    def _pose(
        self, matches: Matches, log_depth: Tensor, rays: Tensor, K: Tensor, start: PairPose | None
    ) -> PairPose | None:
        """Return the pose, or None where the matches do not support one."""
        try:
            found = lift_matches(matches, log_depth, rays, K, COARSE_STRIDE)
            return estimate_pose(found, self.options.pose, start)
        except GeometryError:
            return None

    def _search_again(
        self,
        views: tuple[ViewFeatures, ViewFeatures],
        encoded: Encoded,
        matched: Matched,
        matches: Matches,
        own: PairPose | None,
    ) -> PairPose | None:
        """Return the network's own pose, or where it is weak, that of a search with features, if any."""
        options = self.options.full_resolution
        if options is None or options.pool is None or not is_weak(own, options.pool):
            return own
        depth = matched.log_depth[:, 0].exp().cpu().numpy()
        found = lift_matches(matches, matched.log_depth, matched.rays, encoded.intrinsics, COARSE_STRIDE)
        first, second = (
            PoolView(
                np.ascontiguousarray(view.image),
                encoded.intrinsics[index].double().cpu().numpy(),
                view.grid_to_image.double().cpu().numpy(),
                depth[index],
                COARSE_STRIDE,
            )
            for index, view in enumerate(views)
        )
        try:
            return search_with_features((first, second), found, own, self.options.pose, options.pool)
        except GeometryError:
            return None

    def _sharpen(
        self,
        views: tuple[ViewFeatures, ViewFeatures],
        encoded: Encoded,
        refined: Refined,
        pose: PairPose,
        options: FullResolutionOptions,
    ) -> PairPose:
        """Return the pose refined on the full-size images, or as it was where they have too little to track."""
        depth = refined.at_half(refined.log_depth)[:, 0].exp().cpu().numpy()
        full = []
        for index, view in enumerate(views):
            to_image = view.grid_to_image.double().cpu()
            K = (to_image @ encoded.intrinsics[index].double().cpu()).numpy()
            image = np.ascontiguousarray(view.image)
            full.append(FullView(image, K, depth[index], (to_image @ output_to_input().double()).numpy()))
        try:
            return refine_at_full_resolution(full[0], full[1], pose, self.options.pose, options)
        except GeometryError:
            return pose

    def _measure(
        self,
        views: tuple[ViewFeatures, ViewFeatures],
        encoded: Encoded,
        refined: Refined,
        pose: PairPose,
        options: ParallaxOptions | None,
    ) -> ParallaxDepth | None:
        """Return what parallax says about depth and pose, None where it is not asked or cannot be matched."""
        if options is None:
            return None
        depth = refined.at_half(refined.log_depth)[:, 0].double().exp().cpu().numpy()
        K = (torch.linalg.inv(output_to_input()).double() @ encoded.intrinsics.double().cpu()).numpy()
        first, second = (grid_view(view.image, K[v], depth[v]) for v, view in enumerate(views))
        try:
            return depth_from_parallax(first, second, pose, self.options.pose, options)
        except GeometryError:
            return None

    def _pose_inputs(self, pose: PairPose | None) -> tuple[Tensor, Tensor]:
        """Return T_other_self [2, 4, 4], each in its own view's depth unit, and has_pose [2]."""
        T = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
        if pose is not None:
            T[0] = torch.from_numpy(pose.T_1_0)
            T[1] = invert(T[0])
            T[1, :3, 3] /= pose.scale_1
        has = torch.full((2,), pose is not None)
        return T.float().to(self.device), has.to(self.device)

    def _surface(self, solved: Solved) -> PairSurface:
        """Compose both views in camera 0 on the output grid."""
        refined, pose = solved.refined, solved.pose
        T_0_1 = torch.full((4, 4), torch.nan)
        if pose is not None:
            T_0_1 = invert(torch.from_numpy(pose.T_1_0)).float()
        return compose_surface(
            refined,
            torch.stack([view.tensors["colors"] for view in solved.views]),
            torch.linalg.inv(output_to_input()).to(solved.encoded.intrinsics) @ solved.encoded.intrinsics,
            T_0_1.to(self.device),
            1.0 if pose is None else pose.scale_1,
            solved.measured,
        )

    def _prediction(self, solved: Solved, surface: PairSurface, gaussians: Gaussians) -> Prediction:
        """Say what was found in the terms of the common API."""
        views, pose = solved.views, solved.pose
        stats = self._stats(solved.matches, pose, float(solved.matched.matchability[0].sigmoid().mean()))
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[(view.image.shape[0], view.image.shape[1]) for view in views],
            pointmaps=list(surface.points),
            confidence=list(surface.confidence),
            poses=list(surface.T_0_cam),
            pose_valid=[True, pose is not None],
            validity=self._validity(stats) if pose is not None else 0.0,
            intrinsics=list(surface.K),
            grid_to_image=[view.grid_to_image.cpu() @ output_to_input() for view in views],
            colors=[color.cpu().numpy() for color in surface.colors],
            gaussians=gaussians,
            features=list(surface.features),
            stats=stats,
            extras={
                "depth": list(surface.depth),
                "matchability": list(solved.matched.matchability[:, 0].sigmoid()),
            },
        )

    def _stats(self, matches: Matches, pose: PairPose | None, overlap: float) -> dict[str, float]:
        return {
            "matches": float(len(matches.score) if pose is None else pose.match_count),
            "inliers": 0.0 if pose is None else float(pose.inlier_count),
            "overlap": overlap,
            "parallax_deg": 0.0 if pose is None else pose.parallax_deg,
            "scale_1": 1.0 if pose is None else pose.scale_1,
        }

    def _validity(self, stats: dict[str, float]) -> float:
        """Geometric mean of four figures, each 1 once it is ample: support, inlier share, overlap, parallax."""
        options = self.options
        share = stats["inliers"] / max(stats["matches"], 1.0)
        figures = (
            stats["inliers"] / options.full_support,
            share / options.full_inlier_share,
            stats["overlap"] / options.full_overlap,
            stats["parallax_deg"] / options.full_parallax_deg,
        )
        return float(np.prod([min(figure, 1.0) for figure in figures]) ** 0.25)


def _encoded(features: ViewFeatures) -> Encoded:
    return Encoded(**{name: features.tensors[name] for name in _ENCODED})


def _halve(rgb: Tensor) -> Tensor:
    """Average 2x2 pixels of [H, W, 3] uint8."""
    h, w, _ = rgb.shape
    blocks = rgb.view(h // OUTPUT_STRIDE, OUTPUT_STRIDE, w // OUTPUT_STRIDE, OUTPUT_STRIDE, 3)
    return blocks.float().mean(dim=(1, 3)).round().to(torch.uint8)


def load(device: torch.device, weights: Path | None, options: TinyOptions | None = None) -> TinyBackend:
    """Load lsm-tiny with the packaged weights, or those of a file or folder.

    A folder that `lsm weights onnx` wrote is run by onnxruntime, on a CPU.

    Raises:
        WeightsError: missing, damaged, or of another network.
        DependencyError, DeviceError: see `load_onnx_network`.
    """
    if weights is not None and (weights / ONNX_MANIFEST).is_file():
        from lsm_core.backends.tiny_onnx import load_onnx_network

        fast, card = load_onnx_network(weights, device)
        return TinyBackend(fast, device, card, options)
    network, card = load_network(weights, device)
    return TinyBackend(network, device, card, options)
