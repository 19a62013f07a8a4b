"""The compiled twin of `projection.py`: float32, parallel over Gaussians, without gradients."""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.render.base import ALPHA_MIN, DILATION_PX2, FAR_PX, FRUSTUM_MARGIN
from lsm_core.render.cpu_records import (
    BLUE,
    BOTTOM,
    DEPTH,
    GREEN,
    LEFT,
    OPACITY,
    RED,
    RIGHT,
    TOP,
    WIDTH,
    WXX,
    WXY,
    WYY,
    Float32,
    FloatArray,
    IntArray,
    Records,
    U,
    V,
    tile_counts,
    tile_range,
)
from lsm_core.render.cpu_sh import sh_color
from lsm_core.render.cpu_threads import run_all
from lsm_core.types import Camera, Gaussians

CHUNK = 8192  # Gaussians per task
ZERO, ONE, TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
DILATION, CUT = np.float32(DILATION_PX2), np.float32(ALPHA_MIN)
REACH_SCALE, REACH_PAD = np.float32(1.001), np.float32(0.01)
TINY: Float32 = np.float32(1e-12)
FAR: Float32 = np.float32(FAR_PX)


def project_records(gaussians: Gaussians, camera: Camera) -> Records:
    """Project a scene into a camera, leave out what reaches no pixel, find the order front to back."""
    count = len(gaussians)
    means, quats, scales = _array(gaussians.means), _array(gaussians.quats), _array(gaussians.scales)
    opacities, sh = _array(gaussians.opacities), _array(gaussians.sh)
    view = np.concatenate(
        [_array(camera.T_cam_scene)[:3].ravel(), _array(camera.T_scene_cam)[:3, 3], _lens(camera)]
    )
    values, source = np.empty((count, WIDTH), np.float32), np.empty(count, np.int32)
    rows, (tiles, _) = np.empty((count, 2), np.int16), tile_counts(camera)
    keys, kept = np.empty(count, np.uint64), [0] * -(-count // CHUNK)

    def work(task: int) -> None:
        first, last = task * CHUNK, min((task + 1) * CHUNK, count)
        kept[task] = _project(
            first, last, means, quats, scales, opacities, sh, view, tiles, values, source, rows, keys
        )

    run_all(work, len(kept))
    found = [keys[task * CHUNK : task * CHUNK + n] for task, n in enumerate(kept)]
    ordered = np.sort(np.concatenate(found)) if found else keys
    return Records(values, source, (ordered & np.uint64(0xFFFFFFFF)).astype(np.int32), rows)


def _array(tensor: torch.Tensor) -> FloatArray:
    """Return a contiguous float32 array on the CPU."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float32)


def _lens(camera: Camera) -> FloatArray:
    """Return [11] float32: fx, fy, cx, cy, bounds of x / z and y / z for the Jacobian, near, last column, row."""
    K = _array(camera.K)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2] + np.float32(0.5), K[1, 2] + np.float32(0.5)
    margin_x = np.float32(FRUSTUM_MARGIN * 0.5 * camera.width) / fx
    margin_y = np.float32(FRUSTUM_MARGIN * 0.5 * camera.height) / fy
    bounds = [
        -cx / fx - margin_x,
        (camera.width - cx) / fx + margin_x,
        -cy / fy - margin_y,
        (camera.height - cy) / fy + margin_y,
    ]
    edges = [max(camera.near, 0.0), camera.width - 1, camera.height - 1]
    return np.array([fx, fy, K[0, 2], K[1, 2], *bounds, *edges], np.float32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _project(  # pragma: no cover (compiled)
    first: int,
    last: int,
    means: FloatArray,
    quats: FloatArray,
    scales: FloatArray,
    opacities: FloatArray,
    sh: FloatArray,
    view: FloatArray,
    tiles: int,
    values: FloatArray,
    source: IntArray,
    rows: NDArray[np.int16],
    keys: NDArray[np.uint64],
) -> int:
    """Write the records of Gaussians first to last - 1 from row `first` on; returns how many reach a pixel.

    `keys` sort by depth, then by index. No fast maths here: depths must round as they do in `projection.py`.
    """
    T, centre, lens = view[:12], view[12:15], view[15:]
    fx, fy = lens[0], lens[1]
    axes = np.empty((2, 3), np.float32)
    depth_bits = np.empty(1, np.float32)
    bits = depth_bits.view(np.uint32)
    row = first
    for i in range(first, last):
        mx, my, mz = means[i, 0], means[i, 1], means[i, 2]
        z = T[8] * mx + T[9] * my + T[10] * mz + T[11]
        opacity = opacities[i]
        if not (z > lens[8] and opacity >= CUT):
            continue
        x = (T[0] * mx + T[1] * my + T[2] * mz + T[3]) / z
        y = (T[4] * mx + T[5] * my + T[6] * mz + T[7]) / z
        u, v = fx * x + lens[2], fy * y + lens[3]
        _project_axes(
            i, quats, scales, T, fx / z, fy / z, _clip(x, lens[4], lens[5]), _clip(y, lens[6], lens[7]), axes
        )
        a0, a1, a2, b0, b1, b2 = axes[0, 0], axes[0, 1], axes[0, 2], axes[1, 0], axes[1, 1], axes[1, 2]
        aa, ab, bb = a0 * a0 + a1 * a1 + a2 * a2, a0 * b0 + a1 * b1 + a2 * b2, b0 * b0 + b1 * b1 + b2 * b2
        c0, c1, c2 = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
        det = c0 * c0 + c1 * c1 + c2 * c2 + DILATION * (aa + bb) + DILATION * DILATION
        xx, yy = aa + DILATION, bb + DILATION
        root_yy, root_det = math.sqrt(yy), math.sqrt(det)
        support = TWO * math.log(opacity / CUT)
        reach_x = math.sqrt(support * xx) * REACH_SCALE + REACH_PAD
        reach_y = math.sqrt(support * yy) * REACH_SCALE + REACH_PAD
        wxx, wxy = root_yy / root_det, -ab / root_yy / root_det
        left, top = max(u - reach_x, -FAR), max(v - reach_y, -FAR)
        right, bottom = min(u + reach_x, FAR), min(v + reach_y, FAR)
        if not (right >= ZERO and left <= lens[9] and bottom >= ZERO and top <= lens[10]):
            continue
        if not (math.isfinite(wxx) and math.isfinite(wxy) and math.isfinite(u) and math.isfinite(v)):
            continue
        record = values[row]
        record[U], record[V], record[WXX], record[WXY], record[WYY] = u, v, wxx, wxy, ONE / root_yy
        record[LEFT], record[TOP], record[RIGHT], record[BOTTOM] = left, top, right, bottom
        record[OPACITY], record[DEPTH] = opacity, z
        record[RED], record[GREEN], record[BLUE] = sh_color(mx - centre[0], my - centre[1], mz - centre[2], sh, i)
        rows[row, 0], rows[row, 1] = tile_range(top, bottom, tiles)
        depth_bits[0] = z
        source[row], keys[row] = i, (np.uint64(bits[0]) << np.uint64(32)) | np.uint64(row)
        row += 1
    return row - first


@numba.njit(cache=True, nogil=True)
def _clip(value: Float32, low: Float32, high: Float32) -> Float32:  # pragma: no cover (compiled)
    return min(max(value, low), high)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _project_axes(  # pragma: no cover (compiled)
    i: int,
    quats: FloatArray,
    scales: FloatArray,
    T: FloatArray,
    gain_x: Float32,
    gain_y: Float32,
    x: Float32,
    y: Float32,
    axes: FloatArray,
) -> None:
    """Write [2, 3]: the axes of Gaussian i, one standard deviation long, in px (`projection.project_axes`).

    `gain` is focal length over depth, x and y are the clipped slopes of the ray.
    """
    w, qx, qy, qz = quats[i, 0], quats[i, 1], quats[i, 2], quats[i, 3]
    norm = ONE / max(math.sqrt(w * w + qx * qx + qy * qy + qz * qz), TINY)
    w, qx, qy, qz = w * norm, qx * norm, qy * norm, qz * norm
    for k in range(3):
        if k == 0:
            r0, r1, r2 = ONE - TWO * (qy * qy + qz * qz), TWO * (qx * qy + w * qz), TWO * (qx * qz - w * qy)
        elif k == 1:
            r0, r1, r2 = TWO * (qx * qy - w * qz), ONE - TWO * (qx * qx + qz * qz), TWO * (qy * qz + w * qx)
        else:
            r0, r1, r2 = TWO * (qx * qz + w * qy), TWO * (qy * qz - w * qx), ONE - TWO * (qx * qx + qy * qy)
        along = T[8] * r0 + T[9] * r1 + T[10] * r2
        axes[0, k] = gain_x * (T[0] * r0 + T[1] * r1 + T[2] * r2 - x * along) * scales[i, k]
        axes[1, k] = gain_y * (T[4] * r0 + T[5] * r1 + T[6] * r2 - y * along) * scales[i, k]
