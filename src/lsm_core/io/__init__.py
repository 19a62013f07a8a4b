"""Files in and out: images, point clouds, Gaussians, meshes, trajectories, ROS bags, contact sheets, web pages."""

from __future__ import annotations

from lsm_core.io.atomic import atomic_path, write_text
from lsm_core.io.bags import Bag, Frame, open_bag
from lsm_core.io.gaussian_ply import read_gaussians, write_gaussians
from lsm_core.io.gltf import read_gltf, write_gltf
from lsm_core.io.html import write_html
from lsm_core.io.images import read_image, write_depth_png, write_png
from lsm_core.io.mesh import read_mesh, write_mesh
from lsm_core.io.npz import read_npz, write_npz
from lsm_core.io.point_cloud import PointCloud, read_point_cloud, write_point_cloud
from lsm_core.io.scene_files import read_scene
from lsm_core.io.splat import read_splat, write_splat
from lsm_core.io.spz import read_spz, write_spz
from lsm_core.io.trajectories import Trajectory, read_tum, write_tum
from lsm_core.io.transforms import TransformTree

__all__ = [
    "Bag",
    "Frame",
    "PointCloud",
    "Trajectory",
    "TransformTree",
    "atomic_path",
    "open_bag",
    "read_gaussians",
    "read_gltf",
    "read_image",
    "read_mesh",
    "read_npz",
    "read_point_cloud",
    "read_scene",
    "read_splat",
    "read_spz",
    "read_tum",
    "write_depth_png",
    "write_gaussians",
    "write_gltf",
    "write_html",
    "write_mesh",
    "write_npz",
    "write_png",
    "write_point_cloud",
    "write_splat",
    "write_spz",
    "write_text",
    "write_tum",
]
