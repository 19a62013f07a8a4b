"""Batches of posed views as the training systems take them: cropped, scaled, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lsm_core.backends.image_crop import cover_plan, prepare
from lsm_core.data.crop_resize import RgbdView, crop_resize
from lsm_core.data.views import PosedView, ViewSample
from lsm_core.errors import InputError

Rng = np.random.Generator
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Fitting:
    """How a picture is brought to the size a network trains at.

    Attributes:
        height, width: of the result, pixels.
        crop: "principal point" cuts symmetrically about it first, as DUSt3R and its heirs; "cover" scales until the
            result is covered and cuts the middle, as pixelSplat and NoPoSplat.
        aug_crop: with "principal point", scale up to this many pixels larger and cut (DUSt3R's augmentation).
        mirror: share of the samples that are mirrored left to right, with their poses.
    """

    height: int = 256
    width: int = 256
    crop: Literal["principal point", "cover"] = "cover"
    aug_crop: int = 0
    mirror: float = 0.0


@dataclass(frozen=True, eq=False)
class CameraViews:
    """V views of each of B samples, all of one size.

    Attributes:
        image: [B, V, 3, H, W] float32 in [0, 1].
        K: [B, V, 3, 3] float32 pixels, centres at integers.
        T_world_cam: [B, V, 4, 4] float32.
        depth: [B, V, H, W] float32 along z in the unit of the poses, 0 where unknown.
        usable: [B, V, H, W] bool, where the picture may be compared with.
    """

    image: Tensor
    K: Tensor
    T_world_cam: Tensor
    depth: Tensor
    usable: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return int(self.image.shape[-2]), int(self.image.shape[-1])

    def to(self, device: torch.device) -> CameraViews:
        """Move every tensor."""
        return CameraViews(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True, eq=False)
class ViewBatch:
    """What a system is trained on in one forward pass.

    Attributes:
        context: views that the network sees.
        targets: views that it has to draw.
        metric: [B] bool, samples whose poses and depth are in metres.
    """

    context: CameraViews
    targets: CameraViews
    metric: Tensor

    def to(self, device: torch.device) -> ViewBatch:
        """Move every tensor."""
        return ViewBatch(self.context.to(device), self.targets.to(device), self.metric.to(device))


def view_batch(samples: Sequence[ViewSample], fitting: Fitting, rngs: Sequence[Rng]) -> ViewBatch:
    """Fit and stack samples.

    Args:
        samples: B, with equal numbers of views.
        fitting: size and crop.
        rngs: one per sample, so that a sample does not depend on its batch.

    Raises:
        InputError: the samples have different numbers of views.
    """
    counts = {(len(s.context), len(s.targets)) for s in samples}
    if len(counts) != 1:
        raise InputError(f"Samples of one batch have {sorted(counts)} views.", "Use one selection for all sources.")
    fitted = []
    for sample, rng in zip(samples, rngs, strict=True):
        mirrored = bool(rng.random() < fitting.mirror)
        views = [fit_view(view, fitting, rng) for view in (*sample.context, *sample.targets)]
        fitted.append([mirror_view(view) for view in views] if mirrored else views)
    count = len(samples[0].context)
    metric = torch.tensor([sample.unit == "metric" for sample in samples])
    context, targets = ([views[part] for views in fitted] for part in (slice(count), slice(count, None)))
    return ViewBatch(_stacked(context), _stacked(targets), metric)


def fit_view(view: PosedView, fitting: Fitting, rng: Rng) -> PosedView:
    """Crop and scale a view, its depth and its mask; the label is dropped."""
    depth = np.zeros(view.size, np.float32) if view.depth is None else view.depth
    usable = np.ones(view.size, np.float32) if view.mask is None else view.mask.astype(np.float32)
    planes = np.stack((depth, usable), -1)
    target = (fitting.width, fitting.height)
    if fitting.crop == "principal point":
        cut = crop_resize(RgbdView(view.image, planes, view.K), target, rng, fitting.aug_crop)
        image, planes, K = cut.image, cut.depth, cut.K
    else:
        height, width = view.size
        plan = cover_plan(width, height, target)
        prepared = prepare(view.image, plan, Image.Resampling.LANCZOS)
        left, top, right, bottom = plan.box
        planes = np.asarray(cv2.resize(planes, plan.resized, interpolation=cv2.INTER_NEAREST))
        planes = planes[top:bottom, left:right]
        image = prepared.pixels
        K = (np.linalg.inv(prepared.grid_to_image.numpy().astype(np.float64)) @ view.K).astype(np.float32)
    if image.shape[:2] != (fitting.height, fitting.width):
        raise InputError(
            f"View '{view.name}' became {image.shape[1]}x{image.shape[0]} pixels, not {target[0]}x{target[1]}.",
            "Train at a square size with portrait pictures.",
        )
    mask = planes[..., 1] > 0.5
    known = np.where(mask, planes[..., 0], 0.0).astype(np.float32)
    return PosedView(np.ascontiguousarray(image), K, view.T_world_cam, known, mask=mask, name=view.name)


def mirror_view(view: PosedView) -> PosedView:
    """Mirror a view left to right, in a world that is mirrored along x with all its cameras."""
    K = view.K.copy()
    K[0, 2] = view.size[1] - 1 - K[0, 2]
    T = MIRROR @ view.T_world_cam @ MIRROR
    assert view.depth is not None and view.mask is not None
    image = np.ascontiguousarray(view.image[:, ::-1])
    return PosedView(image, K, T, view.depth[:, ::-1].copy(), mask=view.mask[:, ::-1].copy(), name=view.name)


def _stacked(samples: Sequence[Sequence[PosedView]]) -> CameraViews:
    """Stack B lists of V fitted views; with V = 0 the result has no views."""

    def join(name: str, shape: tuple[int, ...]) -> Tensor:
        rows = [
            np.stack([getattr(view, name) for view in views]) if views else np.zeros(shape) for views in samples
        ]
        return torch.from_numpy(np.stack(rows))

    return CameraViews(
        join("image", (0, 1, 1, 3)).permute(0, 1, 4, 2, 3).float() / 255,
        join("K", (0, 3, 3)).float(),
        join("T_world_cam", (0, 4, 4)).float(),
        join("depth", (0, 1, 1)).float(),
        join("mask", (0, 1, 1)).bool(),
    )
