"""Files in and out: images, point clouds, Gaussians, trajectories, ROS bags, contact sheets."""

from __future__ import annotations

from lsm_core.io.atomic import atomic_path, write_text
from lsm_core.io.bags import Bag, Frame, open_bag
from lsm_core.io.images import read_image, write_depth_png, write_png
from lsm_core.io.ply import PointCloud, read_gaussians, read_point_cloud, write_gaussians, write_point_cloud
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
    "read_image",
    "read_point_cloud",
    "read_tum",
    "write_depth_png",
    "write_gaussians",
    "write_png",
    "write_point_cloud",
    "write_text",
    "write_tum",
]
