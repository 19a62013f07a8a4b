"""A triangle mesh from depth images, by fusing them into a truncated signed distance field.

Curless and Levoy, "A volumetric method for building complex models from range images" (1996); the fusion itself is
Open3D's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import DependencyError, GeometryError, InputError

TRUNCATION_VOXELS = 4.0
MIN_VOXEL = 1e-4  # of the farthest depth
MIN_WEIGHT = 0.5  # one view is enough
BLOCK, BLOCKS = 16, 10_000  # cells along a block's edge, and blocks to start with (the field grows)


@dataclass(frozen=True)
class TriangleMesh:
    """A surface of triangles.

    Attributes:
        vertices: [N, 3] float32, scene units.
        rgb: [N, 3] uint8.
        triangles: [M, 3] int32, indices of vertices.
    """

    vertices: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    triangles: NDArray[np.int32]

    def __post_init__(self) -> None:
        n = len(self.vertices)
        if self.vertices.shape != (n, 3) or self.rgb.shape != (n, 3) or self.triangles.shape[1:] != (3,):
            raise InputError("A mesh needs vertices [N,3], rgb [N,3] and triangles [M,3].")


@dataclass(frozen=True)
class DepthView:
    """One image of colour and depth, and its camera.

    Attributes:
        depth: [H, W] float32 z-depth, scene units; 0 where there is none.
        rgb: [H, W, 3] uint8.
        K: [3, 3] intrinsics, pixels; pixel (0, 0) is the centre of the top-left pixel.
        T_scene_cam: [4, 4].
    """

    depth: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    K: NDArray[np.floating]
    T_scene_cam: NDArray[np.floating]


def fuse_depth(views: Iterable[DepthView], voxel: float) -> TriangleMesh:
    """Fuse depth images into a mesh.

    Args:
        views: with depth in scene units.
        voxel: edge length of the field's cells, scene units; the field ends four cells from a surface.

    Raises:
        InputError: the voxel is not positive, or too small for the scene.
        GeometryError: the depth images hold no surface.
        DependencyError: Open3D is not installed or does not load.
    """
    nothing = GeometryError("The depth images hold no surface to mesh.", "Try a larger --voxel or other cameras.")
    if not (np.isfinite(voxel) and voxel > 0):
        raise InputError(f"The voxel size must be positive, got {voxel:g}.")
    kept = [view for view in views if (view.depth > 0).any()]
    if not kept:
        raise nothing
    if voxel < MIN_VOXEL * max(float(view.depth.max()) for view in kept):
        raise InputError(f"A voxel of {voxel:g} needs too much memory here.", "Choose a larger one.")
    o3d = _open3d()
    number = o3d.core.float32
    field = o3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight", "color"), (number,) * 3, ((1,), (1,), (3,)), voxel, BLOCK, BLOCKS
    )
    for view in kept:
        depth = o3d.t.geometry.Image(np.ascontiguousarray(view.depth, np.float32))
        colour = o3d.t.geometry.Image(np.ascontiguousarray(view.rgb, np.float32) / 255)
        K = o3d.core.Tensor(np.asarray(view.K, np.float64))
        T_cam_scene = o3d.core.Tensor(np.linalg.inv(np.asarray(view.T_scene_cam, np.float64)))
        reach = (1.0, 2 * float(view.depth.max()) + 1)  # depth is in scene units already; cut nothing off
        blocks = field.compute_unique_block_coordinates(depth, K, T_cam_scene, *reach, TRUNCATION_VOXELS)
        field.integrate(blocks, depth, colour, K, K, T_cam_scene, *reach, TRUNCATION_VOXELS)
    mesh = field.extract_triangle_mesh(weight_threshold=MIN_WEIGHT)
    if not mesh.triangle.indices.shape[0]:
        raise nothing
    rgb = np.rint(255 * mesh.vertex.colors.numpy()).clip(0, 255).astype(np.uint8)
    return TriangleMesh(mesh.vertex.positions.numpy(), rgb, mesh.triangle.indices.numpy().astype(np.int32))


def _open3d() -> Any:
    """Import Open3D; large, and wanted by nothing else.

    Raises:
        DependencyError: it is not installed, or a system library it needs is missing.
    """
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise DependencyError(
            f"A mesh needs Open3D, which cannot be imported: {error}.",
            "pip install open3d-cpu (where a system library is missing: apt install libusb-1.0-0 libgl1).",
        ) from error
    return open3d
