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
        InputError: the voxel is not positive.
        GeometryError: the depth images hold no surface.
        DependencyError: Open3D is not installed or does not load.
    """
    if not (np.isfinite(voxel) and voxel > 0):
        raise InputError(f"The voxel size must be positive, got {voxel:g}.")
    o3d = _open3d()
    volume = o3d.pipelines.integration.ScalableTSDFVolume(
        voxel_length=voxel,
        sdf_trunc=TRUNCATION_VOXELS * voxel,
        color_type=o3d.pipelines.integration.TSDFVolumeColorType.RGB8,
    )
    for view in views:
        height, width = view.depth.shape
        image = o3d.geometry.RGBDImage.create_from_color_and_depth(
            o3d.geometry.Image(np.ascontiguousarray(view.rgb, np.uint8)),
            o3d.geometry.Image(np.ascontiguousarray(view.depth, np.float32)),
            depth_scale=1.0,
            depth_trunc=float("inf"),
            convert_rgb_to_intensity=False,
        )
        fx, fy, cx, cy = (float(view.K[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
        camera = o3d.camera.PinholeCameraIntrinsic(width, height, fx, fy, cx, cy)
        volume.integrate(image, camera, np.linalg.inv(np.asarray(view.T_scene_cam, np.float64)))
    mesh = volume.extract_triangle_mesh()
    triangles = np.asarray(mesh.triangles, np.int32)
    if not len(triangles):
        raise GeometryError("The depth images hold no surface to mesh.", "Try a larger --voxel or other cameras.")
    rgb = np.rint(255 * np.asarray(mesh.vertex_colors)).clip(0, 255).astype(np.uint8)
    return TriangleMesh(np.asarray(mesh.vertices, np.float32), rgb, triangles)


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
            "pip install open3d-cpu (or 'lsm_core[mesh]'); on Debian and Ubuntu also apt install libusb-1.0-0 libgl1.",
        ) from error
    return open3d
