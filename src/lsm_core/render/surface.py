"""A triangle mesh of Gaussians: depth is drawn from several cameras and fused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry.tsdf import DepthView, TriangleMesh, fuse_depth
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians

VOXEL_PIXELS = 1.5  # default cell: what this many pixels span at the median depth
MIN_ALPHA = 0.6
MAX_STEP = 0.04  # relative jump of depth between neighbours above which both are an edge
MAX_SIDE = 640


def mesh_from_gaussians(
    gaussians: Gaussians, cameras: Sequence[Camera], voxel: float | None = None
) -> TriangleMesh:
    """Draw colour and depth from every camera and fuse them.

    Args:
        gaussians: the scene.
        cameras: what to see it from; larger pictures than 640 pixels are drawn smaller.
        voxel: cell of the fused field, scene units; by default the span of 1.5 pixels at the median depth.

    Raises:
        InputError: no cameras, or a voxel that is not positive.
        GeometryError: the cameras see no surface.
        DependencyError: Open3D is not installed.
    """
    if not cameras:
        raise InputError("A mesh needs at least one camera.")
    views = [_draw(gaussians, _small(camera)) for camera in cameras]
    seen = [view.depth[view.depth > 0] / view.K[0, 0] for view in views]
    footprint = np.concatenate(seen)
    if not len(footprint):
        raise GeometryError("The cameras see no surface.", "Use cameras that look at the scene.")
    return fuse_depth(views, VOXEL_PIXELS * float(np.median(footprint)) if voxel is None else voxel)


def _small(camera: Camera) -> Camera:
    """Return the camera with at most MAX_SIDE pixels a side."""
    factor = min(1.0, MAX_SIDE / max(camera.width, camera.height))
    if factor == 1.0:
        return camera
    return camera.resized(max(1, round(factor * camera.width)), max(1, round(factor * camera.height)))


def _draw(gaussians: Gaussians, camera: Camera) -> DepthView:
    """Draw one view; depth is 0 where little is hit and along its edges, where layers blend."""
    drawn = render(gaussians, camera)
    depth = drawn.depth.detach().cpu().numpy().astype(np.float32)
    depth[(drawn.alpha.detach().cpu().numpy() < MIN_ALPHA) | _edges(depth)] = 0
    rgb = np.rint(255 * drawn.rgb.detach().cpu().numpy()).clip(0, 255).astype(np.uint8)
    return DepthView(depth, rgb, camera.K.double().cpu().numpy(), camera.T_scene_cam.double().cpu().numpy())


def _edges(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return [H, W]: pixels with a neighbour at a clearly other depth."""
    edge = np.zeros(depth.shape, bool)
    across = np.abs(np.diff(depth, axis=1)) > MAX_STEP * np.minimum(depth[:, 1:], depth[:, :-1])
    down = np.abs(np.diff(depth, axis=0)) > MAX_STEP * np.minimum(depth[1:], depth[:-1])
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge
