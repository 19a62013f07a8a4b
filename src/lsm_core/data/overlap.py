"""Visible overlap of two posed depth frames, by reprojection with an occlusion test."""

from __future__ import annotations

import numpy as np

STRIDE = 4  # pixels between tested samples
TOLERANCE = 0.05  # relative depth difference that still counts as the same surface


def reproject(
    depth: np.ndarray,
    intrinsics: np.ndarray,
    T_other_this: np.ndarray,
    other_intrinsics: np.ndarray,
    stride: int = STRIDE,
) -> tuple[np.ndarray, np.ndarray]:
    """Move the sampled pixels with depth into another camera.

    Args:
        depth: [H, W] metres, 0 = none.
        intrinsics: [3, 3] of this frame.
        T_other_this: [4, 4] this optical frame to the other.
        other_intrinsics: [3, 3].

    Returns:
        pixels [N, 2] (x, y) in the other image and their depth [N] there, for every sampled pixel; samples
        without depth come back as NaN.
    """
    y, x = np.mgrid[0 : depth.shape[0] : stride, 0 : depth.shape[1] : stride]
    z = np.where(depth[y, x] > 0, depth[y, x], np.nan).astype(np.float64).reshape(-1)
    pixel = np.stack([x.reshape(-1), y.reshape(-1), np.ones(x.size)], 0)
    points = np.linalg.inv(intrinsics) @ pixel * z
    moved = T_other_this[:3, :3] @ points + T_other_this[:3, 3:]
    with np.errstate(invalid="ignore", divide="ignore"):
        projected = other_intrinsics @ moved
        return (projected[:2] / projected[2]).T, moved[2]


def seen_share(
    depth_a: np.ndarray,
    intrinsics_a: np.ndarray,
    T_world_a: np.ndarray,
    depth_b: np.ndarray,
    intrinsics_b: np.ndarray,
    T_world_b: np.ndarray,
) -> float:
    """Return the share of a's pixels (all of them) whose surface b also sees."""
    uv, z = reproject(depth_a, intrinsics_a, np.linalg.inv(T_world_b) @ T_world_a, intrinsics_b)
    height, width = depth_b.shape
    good = np.isfinite(z) & (z > 0.05)
    good &= (uv[:, 0] > -0.5) & (uv[:, 0] < width - 0.5) & (uv[:, 1] > -0.5) & (uv[:, 1] < height - 0.5)
    column = np.clip(np.rint(np.nan_to_num(uv[:, 0], posinf=0, neginf=0)), 0, width - 1).astype(int)
    row = np.clip(np.rint(np.nan_to_num(uv[:, 1], posinf=0, neginf=0)), 0, height - 1).astype(int)
    found = depth_b[row, column]
    good &= (found > 0) & (np.abs(found - z) < TOLERANCE * z)
    return float(good.mean())


def pair_overlap(depths: np.ndarray, intrinsics: np.ndarray, T_world_cam: np.ndarray, i: int, j: int) -> float:
    """Return the smaller of the two directions' shares for frames i and j of stacked arrays."""
    forth = seen_share(depths[i], intrinsics[i], T_world_cam[i], depths[j], intrinsics[j], T_world_cam[j])
    back = seen_share(depths[j], intrinsics[j], T_world_cam[j], depths[i], intrinsics[i], T_world_cam[i])
    return min(forth, back)
