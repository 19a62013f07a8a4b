"""Networks on point clouds in pure torch: curves, sparse convolution, Point Transformer V3, nearest neighbours."""

from lsm_core.points.fusion import FusionBlock
from lsm_core.points.knn import nearest_squared_distances
from lsm_core.points.ptv3 import PointTransformer, PointTransformerConfig
from lsm_core.points.serialization import ORDERS, curve_codes
from lsm_core.points.sparse_conv import SubmanifoldConv
from lsm_core.points.voxels import Voxels

__all__ = [
    "ORDERS",
    "FusionBlock",
    "PointTransformer",
    "PointTransformerConfig",
    "SubmanifoldConv",
    "Voxels",
    "curve_codes",
    "nearest_squared_distances",
]
