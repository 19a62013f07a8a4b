"""The fast rasterizer for CPUs: compiled tiles (numba), front to back, ending early; no gradients.

Twin of `reference.py`, which the tests compare it with (1e-4). Threads are Python's own over kernels that give up
the interpreter lock, so it can be called from several threads and beside other users of OpenMP.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.render.base import ALPHA_MAX, ALPHA_MIN, TILE, TRANSMITTANCE_MIN
from lsm_core.render.projection import Splats, project
from lsm_core.types import Camera, Gaussians, RenderResult

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def rasterize_cpu(gaussians: Gaussians, camera: Camera, background: Tensor, features: bool = False) -> RenderResult:
    """Draw Gaussians; see `lsm_core.render.base.Rasterizer`. Gives no gradients."""
    device = gaussians.means.device
    with torch.no_grad():
        splats = project(gaussians, camera)
        channels = [splats.rgb, splats.depths[:, None]]
        if features and gaussians.features is not None:
            channels.append(gaussians.features[splats.index])
        values = np.ascontiguousarray(torch.cat(channels, 1).cpu().numpy(), dtype=np.float32)
    blended, alpha = _blend(splats, values, camera)
    out = torch.from_numpy(blended).to(device)
    coverage = torch.from_numpy(alpha).to(device)
    depth = torch.where(coverage > 0, out[..., 3] / coverage.clamp(min=1e-10), 0.0)
    rgb = out[..., :3] + (1 - coverage)[..., None] * background.to(out)
    return RenderResult(rgb, depth, coverage, out[..., 4:] if len(channels) == 3 else None)


def _blend(splats: Splats, values: FloatArray, camera: Camera) -> tuple[FloatArray, FloatArray]:
    """Blend all tiles; returns values [H, W, C] and alpha [H, W]."""
    columns, rows = -(-camera.width // TILE), -(-camera.height // TILE)
    blended = np.zeros((camera.height, camera.width, values.shape[1]), np.float32)
    alpha = np.zeros((camera.height, camera.width), np.float32)
    starts, members = _bin(splats.tiles.cpu().numpy(), columns, rows)
    means, conics, opacities = (_array(t) for t in (splats.means, splats.conics, splats.opacities))
    reach = _array(_reach(splats))

    def work(first: int, step: int) -> None:
        _blend_tiles(first, step, columns, starts, members, means, conics, opacities, reach, values, blended, alpha)

    workers = min(torch.get_num_threads(), rows * columns)
    if workers <= 1:
        work(0, 1)
    else:
        list(_pool().map(work, range(workers), [workers] * workers))
    return blended, alpha


def _array(tensor: Tensor) -> FloatArray:
    """Return a contiguous float32 array on the CPU."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float32)


def _reach(splats: Splats) -> Tensor:
    """Return [M, 2] float32: half width and height, pixels, of the box outside which alpha < 1/255."""
    ratio = (splats.opacities.detach() / ALPHA_MIN).clamp(min=1.0)
    return torch.sqrt(2 * torch.log(ratio)[:, None] * splats.variances.detach()).float() + 1e-2


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """Return the threads that all calls share."""
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="lsm-render")


@numba.njit(cache=True, nogil=True)
def _bin(tiles: IntArray, columns: int, rows: int) -> tuple[IntArray, Any]:  # pragma: no cover (compiled)
    """List the splats of each tile in the order given; returns starts [tiles + 1] and members int32."""
    starts = np.zeros(columns * rows + 1, np.int64)
    for i in range(tiles.shape[0]):
        for ty in range(tiles[i, 1], tiles[i, 3]):
            for tx in range(tiles[i, 0], tiles[i, 2]):
                starts[ty * columns + tx + 1] += 1
    for t in range(columns * rows):
        starts[t + 1] += starts[t]
    cursor = starts[:-1].copy()
    members = np.empty(starts[-1], np.int32)
    for i in range(tiles.shape[0]):
        for ty in range(tiles[i, 1], tiles[i, 3]):
            for tx in range(tiles[i, 0], tiles[i, 2]):
                tile = ty * columns + tx
                members[cursor[tile]] = i
                cursor[tile] += 1
    return starts, members


@numba.njit(cache=True, nogil=True)
def _blend_tiles(  # pragma: no cover (compiled)
    first: int,
    step: int,
    columns: int,
    starts: IntArray,
    members: NDArray[np.int32],
    means: FloatArray,
    conics: FloatArray,
    opacities: FloatArray,
    reach: FloatArray,
    values: FloatArray,
    blended: FloatArray,
    alpha_out: FloatArray,
) -> None:
    """Blend every `step`-th tile from `first` on, into `blended` and `alpha_out`."""
    height, width, channels = blended.shape
    transmittance = np.empty((TILE, TILE), np.float32)
    alive = np.empty((TILE, TILE), np.bool_)
    one, half = np.float32(1.0), np.float32(0.5)
    for tile in range(first, starts.shape[0] - 1, step):
        x0, y0 = (tile % columns) * TILE, (tile // columns) * TILE
        x1, y1 = min(x0 + TILE, width), min(y0 + TILE, height)
        transmittance[:] = one
        alive[:] = True
        left = (x1 - x0) * (y1 - y0)
        for k in range(starts[tile], starts[tile + 1]):
            i = members[k]
            ux, uy = means[i, 0], means[i, 1]
            a, b, c = conics[i, 0], conics[i, 1], conics[i, 2]
            for y in range(max(y0, math.ceil(uy - reach[i, 1])), min(y1, math.floor(uy + reach[i, 1]) + 1)):
                dy = np.float32(y) - uy
                for x in range(max(x0, math.ceil(ux - reach[i, 0])), min(x1, math.floor(ux + reach[i, 0]) + 1)):
                    if not alive[y - y0, x - x0]:
                        continue
                    dx = np.float32(x) - ux
                    power = -half * (a * dx * dx + c * dy * dy) - b * dx * dy
                    if power > 0:
                        continue
                    alpha = min(np.float32(ALPHA_MAX), opacities[i] * np.float32(math.exp(power)))
                    if alpha < np.float32(ALPHA_MIN):
                        continue
                    before = transmittance[y - y0, x - x0]
                    after = before * (one - alpha)
                    if after < np.float32(TRANSMITTANCE_MIN):
                        alive[y - y0, x - x0] = False
                        left -= 1
                        continue
                    weight = before * alpha
                    for channel in range(channels):
                        blended[y, x, channel] += weight * values[i, channel]
                    transmittance[y - y0, x - x0] = after
            if left == 0:
                break
        for y in range(y0, y1):
            for x in range(x0, x1):
                alpha_out[y, x] = one - transmittance[y - y0, x - x0]
