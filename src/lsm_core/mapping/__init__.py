"""From pairs to a map: frame checks, keyframes, chaining, scale, pose gate, clouds, store. Never imports rclpy."""

from lsm_core.mapping.chaining import ChainConfig, ChainStep, PairChain, PairGeometry
from lsm_core.mapping.cloud_thinning import cap_points, relative_voxel, thinned, union_clouds, voxel_downsample
from lsm_core.mapping.clouds import (
    NO_LABEL,
    CloudConfig,
    PointCloud,
    cloud_from_view,
    cloud_of_pixels,
    cloud_pixels,
)
from lsm_core.mapping.covariance import pose_covariance, unknown_covariance
from lsm_core.mapping.floor import sample_from_camera_height
from lsm_core.mapping.frame_check import FrameCheckConfig, FrameVerdict, check_frame
from lsm_core.mapping.keyframes import (
    KeyframeAction,
    KeyframeConfig,
    KeyframeDecision,
    KeyframeReason,
    KeyframeSelector,
)
from lsm_core.mapping.map_store import is_map_file, read_map, write_map
from lsm_core.mapping.pose_gate import GateReason, GateVerdict, PoseGateConfig, TwoViewCheck, check_pair_pose
from lsm_core.mapping.saved_map import CameraMap, Lens, MapKeyframe, SavedMap, thumbnail
from lsm_core.mapping.scale import (
    ScaleConfig,
    ScaleEstimate,
    ScaleEstimator,
    ScaleSample,
    ScaleSource,
    ScaleState,
    ScaleUpdate,
)
from lsm_core.mapping.scale_samples import (
    SampleConfig,
    SampleResult,
    sample_from_baseline,
    sample_from_depth,
)
from lsm_core.mapping.small_image import small_gray, small_intrinsics
from lsm_core.mapping.trajectory import Trajectory, TrajectoryArrays
from lsm_core.mapping.view_gaussians import drawn_gaussians, view_gaussians
from lsm_core.mapping.window import KeyframeRecord, KeyframeWindow, WindowConfig, single_view

__all__ = [
    "NO_LABEL",
    "CameraMap",
    "ChainConfig",
    "ChainStep",
    "CloudConfig",
    "FrameCheckConfig",
    "FrameVerdict",
    "GateReason",
    "GateVerdict",
    "KeyframeAction",
    "KeyframeConfig",
    "KeyframeDecision",
    "KeyframeReason",
    "KeyframeRecord",
    "KeyframeSelector",
    "KeyframeWindow",
    "Lens",
    "MapKeyframe",
    "PairChain",
    "PairGeometry",
    "PointCloud",
    "PoseGateConfig",
    "SampleConfig",
    "SampleResult",
    "SavedMap",
    "ScaleConfig",
    "ScaleEstimate",
    "ScaleEstimator",
    "ScaleSample",
    "ScaleSource",
    "ScaleState",
    "ScaleUpdate",
    "Trajectory",
    "TrajectoryArrays",
    "TwoViewCheck",
    "WindowConfig",
    "cap_points",
    "check_frame",
    "check_pair_pose",
    "cloud_from_view",
    "cloud_of_pixels",
    "cloud_pixels",
    "drawn_gaussians",
    "is_map_file",
    "pose_covariance",
    "read_map",
    "relative_voxel",
    "sample_from_baseline",
    "sample_from_camera_height",
    "sample_from_depth",
    "single_view",
    "small_gray",
    "small_intrinsics",
    "thinned",
    "thumbnail",
    "union_clouds",
    "unknown_covariance",
    "view_gaussians",
    "voxel_downsample",
    "write_map",
]
