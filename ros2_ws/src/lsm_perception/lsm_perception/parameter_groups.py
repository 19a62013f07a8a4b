"""The groups of the node's parameters: defaults, ranges, meaning, and the library's limits made of them."""

from __future__ import annotations

from dataclasses import dataclass

from lsm_core.backends import semantic_names
from lsm_core.mapping import (
    ChainConfig,
    CloudConfig,
    FrameCheckConfig,
    KeyframeConfig,
    PoseGateConfig,
    SampleConfig,
    ScaleConfig,
    ScaleSource,
)
from lsm_core.mapping.scale import AUTO_ORDER
from lsm_core.query.text_check import MAX_TEXTS
from lsm_perception.settings import setting

DEFAULT_QUERIES = ("floor", "wall", "ceiling", "table", "chair", "cabinet", "door", "window")


@dataclass(frozen=True)
class InputParameters:
    """Which images are accepted."""

    max_pixels: int = setting(
        40_000_000, "Largest image accepted, pixels; nothing larger is ever allocated.", low=256, high=268_435_456
    )
    max_age_s: float = setting(
        0.0, "Images older than this on arrival are dropped, seconds; 0 accepts any age (bags).", low=0, high=3600
    )
    jump_back_s: float = setting(
        1.0,
        "Two stamps in a row this much older than the newest are a jump of time and reset the node, s.",
        low=0.01,
        high=3600,
    )
    rectified: bool = setting(
        False,
        "Images are rectified already: camera_info's P counts, not K and the distortion.",
        read_only=True,
    )
    mask_max_age_s: float = setting(
        0.05, "A mask belongs to an image whose stamp differs by at most this, seconds.", low=0, high=1
    )
    no_data_s: float = setting(
        5.0, "Silence on an input that the log and diagnostics warn about, seconds.", low=0.1, high=3600
    )
    unusable_s: float = setting(
        5.0,
        "Image time without any image that passes the frame checks that is warned of, seconds.",
        low=0.1,
        high=3600,
    )
    min_std: float = setting(
        FrameCheckConfig.min_std,
        "Flatter images are dropped as blank, standard deviation of grey.",
        low=0,
        high=128,
    )
    max_clipped: float = setting(
        FrameCheckConfig.max_clipped, "Images with a larger share of white are dropped as saturated.", low=0, high=1
    )
    min_sharpness: float = setting(
        FrameCheckConfig.min_sharpness, "Less sharp images are dropped as blurred, 0 to 1.", low=0, high=1
    )

    def frame_check(self) -> FrameCheckConfig:
        """Return the limits of the frame checks."""
        return FrameCheckConfig(self.min_std, self.max_clipped, self.min_sharpness)


@dataclass(frozen=True)
class KeyframeParameters:
    """When an image becomes a keyframe."""

    min_parallax_deg: float = setting(
        KeyframeConfig.min_parallax_deg,
        "Median angle between rays, rotation removed, that makes a keyframe, degrees.",
        low=0.1,
        high=45,
    )
    max_overlap: float = setting(
        KeyframeConfig.max_overlap,
        "A keyframe by parallax must leave this overlap with the last one.",
        low=0.1,
        high=1,
    )
    target_overlap: float = setting(
        KeyframeConfig.target_overlap, "At this overlap a frame becomes a keyframe in any case.", low=0.1, high=1
    )
    hard_overlap: float = setting(
        KeyframeConfig.hard_overlap, "At this overlap neither blur nor min_interval_s hold it back.", low=0, high=1
    )
    max_age_s: float = setting(
        KeyframeConfig.max_age_s,
        "Age at which the masks are refreshed without motion, seconds.",
        low=0.1,
        high=3600,
    )
    min_interval_s: float = setting(
        KeyframeConfig.min_interval_s, "Shortest time between keyframes, seconds of image time.", low=0, high=60
    )
    min_relative_sharpness: float = setting(
        KeyframeConfig.min_relative_sharpness,
        "Sharpness relative to the last keyframe's that is needed.",
        low=0,
        high=1,
    )
    window: int = setting(30, "Keyframes kept for queries and the map; the oldest leaves first.", low=2, high=1000)
    retries: int = setting(
        1, "Rejected pairs in a row after which the newest keyframe starts a new segment.", low=0, high=3
    )

    def selection(self) -> KeyframeConfig:
        """Return the thresholds of keyframe selection."""
        return KeyframeConfig(
            min_parallax_deg=self.min_parallax_deg,
            max_overlap=self.max_overlap,
            target_overlap=self.target_overlap,
            hard_overlap=self.hard_overlap,
            max_age_s=self.max_age_s,
            min_interval_s=self.min_interval_s,
            min_relative_sharpness=self.min_relative_sharpness,
        )


@dataclass(frozen=True)
class PoseGateParameters:
    """When the pose of a pair is accepted."""

    min_validity: float = setting(
        PoseGateConfig.min_validity, "Smallest validity of a pair, as the model states it.", low=0, high=1
    )
    min_inliers: int = setting(
        PoseGateConfig.min_inliers, "Fewest inliers of a pose, where the model reports them.", low=0, high=100_000
    )
    max_rotation_error_deg: float = setting(
        PoseGateConfig.max_rotation_error_deg,
        "Largest difference from odometry's rotation, degrees.",
        low=0.1,
        high=180,
    )
    max_direction_error_deg: float = setting(
        PoseGateConfig.max_direction_error_deg,
        "Largest difference from odometry's direction of motion, degrees.",
        low=0.1,
        high=180,
    )
    two_view_check: bool = setting(True, "Also compare with the motion of matched image features.")
    max_two_view_error_deg: float = setting(
        PoseGateConfig.max_two_view_error_deg,
        "Largest difference from the rotation of matched image features, degrees.",
        low=0.1,
        high=180,
    )
    max_two_view_direction_error_deg: float = setting(
        PoseGateConfig.max_two_view_direction_error_deg,
        "Largest difference from the direction that matched image features moved in, degrees.",
        low=0.1,
        high=180,
    )

    def config(self, min_baseline_m: float) -> PoseGateConfig:
        """Return the limits of the pose gate; `min_baseline_m` is scale.min_baseline_m."""
        return PoseGateConfig(
            min_validity=self.min_validity,
            min_inliers=self.min_inliers,
            max_rotation_error_deg=self.max_rotation_error_deg,
            max_direction_error_deg=self.max_direction_error_deg,
            min_baseline_m=min_baseline_m,
            max_two_view_error_deg=self.max_two_view_error_deg,
            max_two_view_direction_error_deg=self.max_two_view_direction_error_deg,
        )


@dataclass(frozen=True)
class ChainParameters:
    """How consecutive pairs are brought to one unit."""

    max_spread: float = setting(
        ChainConfig.max_spread,
        "Spread of the log depth ratio on the shared keyframe above which a new segment starts.",
        low=0.01,
        high=10,
    )


@dataclass(frozen=True)
class RigParameters:
    """How two cameras of one time are paired (pairing: rig)."""

    max_sync_s: float = setting(
        0.02,
        "Largest difference of the stamps of a rig's two images, seconds.",
        low=0,
        high=1,
        read_only=True,
    )
    max_wait_s: float = setting(
        0.1,
        "Longest wait for the second camera's image and for tf at its stamp, seconds.",
        low=0,
        high=5,
        read_only=True,
    )


@dataclass(frozen=True)
class ScaleParameters:
    """Where metres come from."""

    source: str = setting(
        "auto",
        "Source of metres; auto prefers depth images, then a rig, odometry (tf or topic), a known camera height.",
        choices=("auto", "depth", "rig", "odometry", "camera_height", "none"),
        read_only=True,
    )
    allow_model: bool = setting(
        False, "Report the model's own claim of metres as DEGRADED; it is never attached to odom.", read_only=True
    )
    camera_height_m: float = setting(
        0.0,
        "Height of the camera above the floor, metres, for source camera_height; 0 when it is not known.",
        low=0,
        high=100,
        read_only=True,
    )
    min_baseline_m: float = setting(
        SampleConfig.min_baseline_m, "Shortest odometry motion that gives a sample, metres.", low=0.001, high=10
    )
    min_samples: int = setting(
        ScaleConfig.min_samples, "Samples needed before the state is METRIC.", low=1, high=15, read_only=True
    )
    max_spread: float = setting(
        ScaleConfig.max_spread,
        "Relative spread of samples above which it is not METRIC.",
        low=0.01,
        high=10,
        read_only=True,
    )
    stale_pairs: int = setting(
        ScaleConfig.stale_pairs,
        "Pairs without a sample after which METRIC is DEGRADED.",
        low=1,
        high=1_000_000,
        read_only=True,
    )

    @property
    def wants_floor(self) -> bool:
        """Whether the floor is looked for."""
        return self.camera_height_m > 0 and self.source in ("auto", "camera_height")

    def config(self) -> ScaleConfig:
        """Return how samples become a scale."""
        order = (
            AUTO_ORDER if self.source == "auto" else () if self.source == "none" else (ScaleSource(self.source),)
        )
        return ScaleConfig(
            order=order,
            allow_model=self.allow_model,
            min_samples=self.min_samples,
            max_spread=self.max_spread,
            stale_pairs=self.stale_pairs,
        )


@dataclass(frozen=True)
class OdometryParameters:
    """Where the robot's own motion comes from."""

    source: str = setting(
        "auto",
        "tf: odom_frame to the image's frame; topic: `odom` and static extrinsics; auto: tf, then topic.",
        choices=("auto", "tf", "topic", "none"),
        read_only=True,
    )
    max_wait_s: float = setting(0.1, "Longest wait for odometry at an image's stamp, seconds.", low=0, high=5)
    max_gap_s: float = setting(0.5, "Odometry is interpolated over gaps up to this, seconds.", low=0.01, high=10)


@dataclass(frozen=True)
class PointParameters:
    """What of a prediction becomes points."""

    max_points: int = setting(60_000, "Most points per cloud.", low=100, high=10_000_000)
    voxel_m: float = setting(0.03, "Voxel edge when metric, metres; 0 keeps every point.", low=0, high=10)
    voxel_relative: float = setting(
        0.01, "Voxel edge before that, relative to the median depth; 0 keeps every point.", low=0, high=1
    )
    drop_lowest: float = setting(
        CloudConfig.drop_lowest, "Share of the least confident pixels of a view that is left out.", low=0, high=0.99
    )
    max_edge: float = setting(
        CloudConfig.max_edge, "Pixels where depth jumps by this share are left out.", low=0.001, high=10
    )
    max_depth_ratio: float = setting(
        CloudConfig.max_depth_ratio,
        "Points beyond this many times the median depth are left out.",
        low=1,
        high=1000,
    )
    max_mb_per_s: float = setting(30.0, "Most bytes of clouds per second, MB/s; 0 for any.", low=0, high=10_000)

    def config(self) -> CloudConfig:
        """Return how a cloud is filtered."""
        return CloudConfig(
            drop_lowest=self.drop_lowest, max_edge=self.max_edge, max_depth_ratio=self.max_depth_ratio
        )


@dataclass(frozen=True)
class MapParameters:
    """What ~/map_points holds, and views of it."""

    keyframes: int = setting(
        8, "Newest keyframes of the segment that are in ~/map_points and ~/render_view.", low=1, high=1000
    )
    max_view_pixels: int = setting(
        2_073_600, "Largest picture of ~/render_view and of query target CAMERA, pixels.", low=1, high=33_177_600
    )
    max_path: int = setting(2000, "Longest ~/path, poses; the oldest leave first.", low=2, high=1_000_000)


@dataclass(frozen=True)
class QueryParameters:
    """Standing queries and the limits of a request."""

    texts: tuple[str, ...] = setting(
        DEFAULT_QUERIES, f"Words that ~/segmentation looks for, at most {MAX_TEXTS}; [''] for none."
    )
    threshold: float = setting(
        -1.0, "Smallest score of a pixel that counts, 0 to 1; -1 for the backend's own rule.", low=-1, high=1
    )
    timeout_s: float = setting(10.0, "Longest time for a request that names none, seconds.", low=0.1, high=600)
    max_texts: int = setting(64, "Most texts in one request.", low=1, high=MAX_TEXTS)
    max_waiting: int = setting(
        4, "Requests in work or waiting above which more are refused as busy.", low=1, high=5
    )
    max_timeout_s: float = setting(60.0, "Longest time that a request may ask for, seconds.", low=0.1, high=600)
    max_stamp_gap_s: float = setting(
        5.0, "Farthest keyframe that answers for a stamp, seconds.", low=0, high=1_000_000
    )


@dataclass(frozen=True)
class SemanticsParameters:
    """Where words come from."""

    source: str = setting(
        "auto",
        "What answers words: the model itself, a source beside it (lseg, lsm-tiny), or none. auto: the model where "
        "it has words, else lseg where semantics.weights names its file, else lsm-tiny.",
        choices=("auto", "model", "none", *semantic_names()),
        read_only=True,
    )
    weights: str = setting(
        "",
        "File or folder with the source's weights (lsm weights fetch lseg); empty for those shipped.",
        read_only=True,
    )


@dataclass(frozen=True)
class PosesParameters:
    """Where poses come from for a model that must be told them (pixelsplat) when odometry knows none."""

    backend: str = setting(
        "none",
        "Another model, asked for the relative pose of a pair where odometry knows none; only for models that must "
        "be told poses (pixelsplat). none: odometry or a rig must know them.",
        read_only=True,
    )
    weights: str = setting("", "File or folder with its weights; empty for those shipped.", read_only=True)
