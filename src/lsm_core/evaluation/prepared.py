"""Samples brought to the size and unit of a protocol, as the loader of the system it belongs to does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lsm_core.backends.image_crop import CropPlan, cover_plan, prepare
from lsm_core.data.crop_resize import RgbdView, crop_resize
from lsm_core.data.views import PosedView, ViewSample

MIN_BASELINE = 1e-3
Crop = Callable[[PosedView, int], PosedView]


def cropped_to_cover(view: PosedView, side: int) -> PosedView:
    """Scale a view so that it covers a square and cut its middle, as pixelSplat and NoPoSplat do.

    As there, only the focal lengths change in normalised coordinates: the principal point keeps its share of the
    picture, which is exact for one in the middle. Depth and labels take the nearest pixel.
    """
    height, width = view.size
    plan = cover_plan(width, height, (side, side))
    K = view.K.astype(np.float64)
    for axis, (old, new) in enumerate(zip((width, height), plan.resized, strict=True)):
        K[axis, axis] *= new / old
        K[axis, 2] = (K[axis, 2] + 0.5) / old * side - 0.5
    image = prepare(view.image, plan, Image.Resampling.LANCZOS).pixels
    depth, label, mask = (_nearest(part, plan) for part in (view.depth, view.label, view.mask))
    return replace(view, image=image, K=K.astype(np.float32), depth=depth, label=label, mask=mask)


def cropped_about_principal_point(view: PosedView, side: int) -> PosedView:
    """Crop a view about its principal point and scale it to a square, as the data sets of DUSt3R's heirs do."""
    unknown = np.zeros(view.size, np.float32)

    def cut(part: NDArray[np.float32]) -> RgbdView:
        whole = RgbdView(view.image, part, view.K.astype(np.float32))
        return crop_resize(whole, (side, side), np.random.default_rng(0))

    found = cut(unknown if view.depth is None else view.depth)
    label = None if view.label is None else cut(view.label.astype(np.float32)).depth.astype(np.int32)
    mask = None if view.mask is None else cut(view.mask.astype(np.float32)).depth > 0
    depth = None if view.depth is None else found.depth
    return replace(view, image=found.image, K=found.K, depth=depth, label=label, mask=mask)


def padded_and_covered(view: PosedView, side: int) -> PosedView:
    """Pad a view with black until its principal point is in the middle, then crop it to cover, as for ScanNet."""
    height, width = view.size
    right, below = (round(2 * float(c) + 1) - n for c, n in zip(view.K[:2, 2], (width, height), strict=True))
    around = ((max(-below, 0), max(below, 0)), (max(-right, 0), max(right, 0)))
    K = view.K.copy()
    K[:2, 2] += (around[1][0], around[0][0])
    parts: tuple[Any, ...] = (view.depth, view.label, view.mask)
    depth, label, mask = (None if part is None else np.pad(part, around) for part in parts)
    image = np.pad(view.image, (*around, (0, 0)))
    return cropped_to_cover(replace(view, image=image, K=K, depth=depth, label=label, mask=mask), side)


def prepared(sample: ViewSample, crop: Crop, side: int) -> ViewSample:
    """Return a sample with all its views cropped to a square."""
    context, targets = (tuple(crop(view, side) for view in views) for views in (sample.context, sample.targets))
    return replace(sample, context=context, targets=targets)


def in_baselines(sample: ViewSample) -> ViewSample | None:
    """Return a sample in the unit in which its first and last context cameras are 1 apart.

    None where they are less than 0.001 apart in the unit of the data, which the loaders leave out.
    """
    ends = (sample.context[0], sample.context[-1])
    length = float(np.linalg.norm(ends[1].T_world_cam[:3, 3] - ends[0].T_world_cam[:3, 3]))
    if length < MIN_BASELINE:
        return None

    def scaled(view: PosedView) -> PosedView:
        T = view.T_world_cam.copy()
        T[:3, 3] /= length
        depth = None if view.depth is None else (view.depth / length).astype(np.float32)
        return replace(view, T_world_cam=T, depth=depth)

    context, targets = (tuple(scaled(view) for view in views) for views in (sample.context, sample.targets))
    return replace(sample, context=context, targets=targets, unit="relative")


def _nearest(part: Any, plan: CropPlan) -> Any:
    """Return a map at the size of a plan, of the type it had; None stays None."""
    if part is None:
        return None
    kind = part.dtype
    resized = cv2.resize(part.astype(np.float32), plan.resized, interpolation=cv2.INTER_NEAREST)
    x0, y0, x1, y1 = plan.box
    return np.ascontiguousarray(resized[y0:y1, x0:x1]).astype(kind)
