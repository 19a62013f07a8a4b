"""The Large Spatial Model behind the common API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image, check_image, check_intrinsics
from lsm_core.backends.image_crop import PreparedImage, cover_plan, crop_plan, prepare
from lsm_core.backends.lsm_files import Backbone, build, open_files
from lsm_core.backends.pair_geometry import CameraOptions, pair_geometry
from lsm_core.errors import InputError, UnsupportedError, WeightsError
from lsm_core.geometry.pair_cameras import OrderedPrediction
from lsm_core.nn.clip_text import ClipText
from lsm_core.nn.croco import ViewTokens
from lsm_core.nn.dust3r import Pointmap
from lsm_core.nn.gaussian_head import PixelGaussians
from lsm_core.nn.lseg import LOGIT_SCALE, MULTIPLE
from lsm_core.nn.lsm import EncodedView, Lsm
from lsm_core.points.ptv3 import AttentionMode
from lsm_core.types import Gaussians, Prediction, ViewFeatures

MAX_ASPECT = 8.0
DEFAULT_SEED = 0
CACHED_TEXTS = 4096


@dataclass(frozen=True)
class LsmOptions:
    """How the backend works.

    Attributes:
        size: 224 or 256 for a square crop, else the long edge (512); 256 is the reference's demo.
        backbone: whose DUSt3R and LSeg are used, see `lsm_files.build`.
        reference: the slow readable twin of LSeg's tail.
        cameras: how poses and focal lengths are recovered.
        attention: of the point transformer; the reference's kernel works in half precision.
    """

    size: int = 256
    backbone: Backbone = "original"
    reference: bool = False
    cameras: CameraOptions = field(default_factory=CameraOptions)
    attention: AttentionMode = field(default_factory=AttentionMode)


class LsmBackend(Backend):
    """Two views to pointmaps, Gaussians with 64 language features each, and cameras; unit "relative".

    Args:
        network: filled, in eval mode, on `device`.
        texts: CLIP's text tower, on `device`.
        device: where they run.
        options: how it works.
    """

    name: ClassVar[str] = "lsm"
    has_language: ClassVar[bool] = True
    embedding_dim: ClassVar[int] = 512
    max_views: ClassVar[int] = 2
    text_logit_scale: ClassVar[float] = LOGIT_SCALE

    def __init__(
        self, network: Lsm, texts: ClipText, device: torch.device, options: LsmOptions | None = None
    ) -> None:
        super().__init__(device)
        self.network, self.text_tower, self.options = network, texts, options or LsmOptions()
        self._embedded: dict[str, Tensor] = {}

    @torch.inference_mode()
    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        """Run DUSt3R's encoder and LSeg on one image; see `Backend.encode`."""
        picture, K = check_image(image), check_intrinsics(intrinsics)
        height, width = picture.shape[:2]
        if max(height, width) > MAX_ASPECT * min(height, width):
            raise InputError(
                f"An image of {width}x{height} is longer than {MAX_ASPECT:g} times its width.",
                "Cut it to the part that matters.",
            )
        plan = crop_plan(width, height, self.options.size, multiple=MULTIPLE)
        if min(plan.size) < MULTIPLE:
            plan = cover_plan(width, height, (max(plan.size[0], MULTIPLE), max(plan.size[1], MULTIPLE)))
        return self._encode(picture, K, prepare(picture, plan))

    @torch.inference_mode()
    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct two views in the frame of camera 0; see `Backend.predict`.

        The order in which the point transformer uses its curves is drawn, as in the reference; without a generator
        the seed is fixed, so equal input gives equal output.
        """
        if poses is not None:
            raise UnsupportedError("lsm estimates poses and does not read any.", "Leave poses out.")
        first, second = self._two_views(views, intrinsics)
        encoded = [_encoded(view) for view in (first, second)]
        pointmaps, orders = self._both_orders(encoded)
        known = [_grid_intrinsics(view) for view in (first, second)]
        cameras = pair_geometry(orders, known, self.options.cameras)
        drawn = self.network.point_transformer.permutations(
            torch.Generator().manual_seed(DEFAULT_SEED) if generator is None else generator
        )
        found = self.network.fuse(encoded, pointmaps, drawn, self.options.attention)
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[(view.image.shape[0], view.image.shape[1]) for view in (first, second)],
            pointmaps=[p.points[0] for p in pointmaps],
            confidence=[p.confidence[0] for p in pointmaps],
            poses=[T.to(self.device) for T in cameras.poses],
            pose_valid=cameras.pose_valid,
            validity=cameras.validity,
            intrinsics=[K.to(self.device) for K in cameras.intrinsics],
            grid_to_image=[view.grid_to_image for view in (first, second)],
            colors=[view.tensors["colors"].cpu().numpy() for view in (first, second)],
            gaussians=joined(found.gaussians),
            features=[g.features[0] for g in found.gaussians],
            stats=cameras.stats,
        )

    def decode_features(self, features: Tensor) -> Tensor:
        """Map language features [..., 64] to the text space [..., 512], not normalised."""
        expansion = self.network.feature_expansion
        return F.linear(features.to(self.device, torch.float32), expansion.weight[:, :, 0, 0], expansion.bias)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts with CLIP ViT-B/32: [T, 512] float32, unit norm, cached per string."""
        from lsm_core.query.clip_tokenizer import tokenize

        missing = [text for text in dict.fromkeys(texts) if text not in self._embedded]
        if len(self._embedded) + len(missing) > CACHED_TEXTS:
            self._embedded.clear()
            missing = list(dict.fromkeys(texts))
        if missing:
            vectors = F.normalize(self.text_tower(tokenize(missing).to(self.device)), dim=-1)
            self._embedded |= dict(zip(missing, vectors.float().cpu(), strict=True))
        return torch.stack([self._embedded[text] for text in texts])

    def close(self) -> None:
        """Give back device memory."""
        self.network.to("meta")
        self.text_tower.to("meta")
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _encode(self, image: Image, K: Tensor | None, placed: PreparedImage) -> ViewFeatures:
        view = self.network.encode(placed.tensor.to(self.device))
        tensors = {
            "image": view.image,
            "tokens": view.geometry.tokens,
            "positions": view.geometry.positions,
            "language": view.language,
            "residual": view.residual,
            "colors": torch.from_numpy(placed.pixels),
        }
        return ViewFeatures(self.name, image, K, placed.grid_to_image, tensors)

    def _two_views(
        self, views: Sequence[Image | ViewFeatures], intrinsics: Sequence[Tensor | NDArray[Any] | None] | None
    ) -> tuple[ViewFeatures, ViewFeatures]:
        """Check and encode the views; the second is brought to the first one's grid where they differ."""
        if len(views) != 2:
            raise InputError(f"lsm takes two views, got {len(views)}.", "Pass views two by two.")
        if intrinsics is not None and len(intrinsics) != 2:
            raise InputError(f"{len(intrinsics)} intrinsics for two views.", "Pass one per view, or None.")
        encoded = []
        for index, view in enumerate(views):
            if not isinstance(view, ViewFeatures):
                encoded.append(self.encode(view, None if intrinsics is None else intrinsics[index]))
            elif view.backend != self.name:
                raise InputError(f"These view features were made by '{view.backend}'.", "Encode with lsm.")
            else:
                encoded.append(view)
        first, second = encoded
        height, width = first.tensors["image"].shape[2:]
        if second.tensors["image"].shape[2:] != (height, width):
            plan = cover_plan(second.image.shape[1], second.image.shape[0], (width, height))
            second = self._encode(second.image, second.intrinsics, prepare(second.image, plan))
        return first, second

    def _both_orders(self, views: Sequence[EncodedView]) -> tuple[list[Pointmap], list[OrderedPrediction]]:
        """Decode both orders of the encoded views in one batch.

        Returns:
            The pointmaps in camera 0's frame, and both orders on the CPU.
        """
        a, b = (view.geometry for view in views)
        both = [_batched(a, b), _batched(b, a)]
        height, width = views[0].image.shape[2:]
        own, other = self.network.pointmaps(both, (height, width))
        orders = [
            OrderedPrediction(
                *(t[i].float().cpu() for t in (own.points, own.confidence, other.points, other.confidence))
            )
            for i in (0, 1)
        ]
        return [Pointmap(p.points[:1], p.confidence[:1]) for p in (own, other)], orders


def joined(views: Sequence[PixelGaussians]) -> Gaussians:
    """Return the Gaussians of all views as one set; only the constant part of the colour was trained."""
    return Gaussians(
        torch.cat([v.means[0].flatten(0, 1) for v in views]),
        torch.cat([v.rotations[0].flatten(0, 1) for v in views]),
        torch.cat([v.scales[0].flatten(0, 1) for v in views]),
        torch.cat([v.opacities[0].flatten() for v in views]),
        torch.cat([v.sh[0, ..., :1, :].flatten(0, 1) for v in views]),
        torch.cat([v.features[0].flatten(0, 1) for v in views]),
    )


def load(device: torch.device, weights: Path | None, options: LsmOptions | None = None) -> LsmBackend:
    """Load the three official files of a folder.

    Raises:
        WeightsError: no folder was named, a file is missing, damaged, or of another model.
    """
    if weights is None:
        raise WeightsError(
            "Backend 'lsm' needs the official checkpoints, which this package may not ship.",
            "lsm weights fetch lsm --accept-licence, then name the folder (weights:=FOLDER, --weights FOLDER).",
        )
    chosen = options or LsmOptions()
    network, texts = build(open_files(weights), chosen.backbone, chosen.reference)
    return LsmBackend(network.to(device), texts.to(device), device, chosen)


def _encoded(view: ViewFeatures) -> EncodedView:
    t = view.tensors
    return EncodedView(t["image"], ViewTokens(t["tokens"], t["positions"]), t["language"], t["residual"])


def _batched(first: ViewTokens, second: ViewTokens) -> ViewTokens:
    return ViewTokens(torch.cat((first.tokens, second.tokens)), torch.cat((first.positions, second.positions)))


def _grid_intrinsics(view: ViewFeatures) -> Tensor | None:
    """Return the intrinsics on the model grid, None when unknown."""
    if view.intrinsics is None:
        return None
    return torch.linalg.inv(view.grid_to_image.double()).float() @ view.intrinsics
