"""Gradients of the CPU rasterizer: projection by torch's autograd, blending by compiled kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lsm_core.render.cpu_backward import blend_row_backward
from lsm_core.render.cpu_blend import MEDIAN_DEPTH, RGBZ, TRANSMITTANCE
from lsm_core.render.cpu_images import TileImage, blend, cropped, padded, row_lists
from lsm_core.render.cpu_records import (
    BLUE,
    DEPTH,
    OPACITY,
    RED,
    WIDTH,
    WXX,
    WYY,
    FloatArray,
    U,
    V,
    records_of,
)
from lsm_core.render.cpu_threads import run_all, worker_count
from lsm_core.render.projection import Splats
from lsm_core.types import Camera


class BlendSplats(torch.autograd.Function):
    """Blend the splats of one view; gradients reach means, whitening, opacities, depths, rgb and features."""

    @staticmethod
    def forward(
        ctx: Any,
        camera: Camera,
        splats: Splats,
        features: Tensor,
        *drawn: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Blend.

        Args:
            ctx: of autograd.
            camera: for its size.
            splats: of the view; here for what has no gradient.
            features: [N, D] of all Gaussians; D = 0 for none.
            drawn: means, whitening, opacities, depths and rgb of `splats`.

        Returns:
            Sums of weight times (rgb, z) [4, H, W], transmittance left [H, W], features [H, W, D], and without
            gradient median depth [H, W] and strongest Gaussian [H, W] int32.
        """
        ctx.camera, ctx.records = camera, records_of(splats, camera)
        ctx.features = np.ascontiguousarray(features.detach().cpu().numpy(), dtype=np.float32)
        ctx.image = blend(ctx.records, ctx.features, camera)
        planes = cropped(ctx.image.planes, camera, rows_first=False).to(drawn[0])
        found = cropped(ctx.image.features, camera).to(drawn[0])
        strongest = cropped(ctx.image.strongest, camera).to(drawn[0].device)
        rgbz, left, median = planes[RGBZ].clone(), planes[TRANSMITTANCE].clone(), planes[MEDIAN_DEPTH].clone()
        ctx.mark_non_differentiable(median, strongest)
        return rgbz, left, found, median, strongest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        """Return the gradients by the arguments of `forward`."""
        rgbz, left, found = gradients[:3]
        image: TileImage = ctx.image
        by_rgbz, by_left = (padded(g, ctx.camera, rows_first=False) for g in (rgbz, left))
        by_features = padded(found, ctx.camera)
        behind = (image.planes[RGBZ] * by_rgbz).sum(0) + image.planes[TRANSMITTANCE] * by_left
        behind += np.einsum("hwd,hwd->hw", image.features, by_features)
        records, of_features = _run(ctx, by_rgbz, by_features, behind)

        def back(array: FloatArray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(rgbz)

        drawn = (
            records[:, U : V + 1],
            records[:, WXX : WYY + 1],
            records[:, OPACITY],
            records[:, DEPTH],
            records[:, RED : BLUE + 1],
        )
        return None, None, None if of_features is None else back(of_features), *map(back, drawn)


def _run(
    ctx: Any, by_rgbz: FloatArray, by_features: FloatArray, behind: FloatArray
) -> tuple[FloatArray, FloatArray | None]:
    """Return the gradient by records [M, 16], and by features [N, D] if it is wanted.

    Each worker adds up its own share of the rows: a Gaussian is on several, and no order of threads may show.
    """
    records, features = ctx.records, ctx.features
    lists = row_lists(records, ctx.camera)
    workers = max(1, min(worker_count(), len(lists)))
    by_record = np.zeros((workers, len(records.source), WIDTH), np.float32)
    wanted = ctx.needs_input_grad[2] and features.size > 0
    by_feature = np.zeros((workers, *(features.shape if wanted else (0, 0))), np.float32)

    def work(worker: int) -> None:
        for row in range(worker, len(lists), workers):
            blend_row_backward(
                row,
                lists[row],
                records.values,
                records.source,
                features,
                by_rgbz,
                by_features,
                behind,
                by_record[worker],
                by_feature[worker],
            )

    run_all(work, workers)
    return by_record.sum(0), by_feature.sum(0) if wanted else None
