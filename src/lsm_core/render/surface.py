"""A triangle mesh of Gaussians: depth is drawn from several cameras and fused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry.tsdf import DepthView, TriangleMesh, fuse_depth
from lsm_core.render import render
from lsm_core.render.surface_depth import surface_depth
from lsm_core.types import Camera, Gaussians

VOXEL_PIXELS = 4.0  # default cell: what this many pixels span at the median depth
MIN_ALPHA = 0.6
SIDE = 512


def mesh_from_gaussians(
    gaussians: Gaussians, cameras: Sequence[Camera], voxel: float | None = None
) -> TriangleMesh:
    """Draw colour and depth from every camera and fuse them.

    Args:
        gaussians: the scene.
        cameras: what to see it from; pictures are drawn 512 pixels long.
        voxel: cell of the fused field, scene units; by default the span of 4 pixels at the median depth.

    Raises:
        InputError: no cameras, or a voxel that is not positive.
        GeometryError: the cameras see no surface.
        DependencyError: Open3D is not installed.
    """
    if not cameras:
        raise InputError("A mesh needs at least one camera.")
    views = [_draw(gaussians, _sized(camera)) for camera in cameras]
    seen = [view.depth[view.depth > 0] / view.K[0, 0] for view in views]
    footprint = np.concatenate(seen)
    if not len(footprint):
        raise GeometryError("The cameras see no surface.", "Use cameras that look at the scene.")
    return fuse_depth(views, VOXEL_PIXELS * float(np.median(footprint)) if voxel is None else voxel)


def _sized(camera: Camera) -> Camera:
    """Return the camera with SIDE pixels along the longer side."""
    factor = SIDE / max(camera.width, camera.height)
    return camera.resized(max(1, round(factor * camera.width)), max(1, round(factor * camera.height)))


def _draw(gaussians: Gaussians, camera: Camera) -> DepthView:
    """Draw one view; depth is 0 where little is hit."""
    drawn = render(gaussians, camera, picks=True)
    depth = surface_depth(drawn).cpu().numpy().astype(np.float32)
    depth[drawn.alpha.detach().cpu().numpy() < MIN_ALPHA] = 0
    rgb = np.rint(255 * drawn.rgb.detach().cpu().numpy()).clip(0, 255).astype(np.uint8)
    return DepthView(depth, rgb, camera.K.double().cpu().numpy(), camera.T_scene_cam.double().cpu().numpy())
