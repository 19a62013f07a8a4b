"""Every parameter of the node, as one frozen tree; `python -m lsm_perception.parameters` prints docs/parameters.md.

Defaults live here, YAML only overrides them. The dotted path of a field is the parameter's ROS name.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from lsm_perception.settings import Setting, Value, leaves, setting

MAX_QUERIES = 254
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
        "A stamp this much older than the newest is a jump of time and resets the node, seconds.",
        low=0.01,
        high=3600,
    )
    no_data_s: float = setting(5.0, "Silence on an image topic that diagnostics warn about, seconds.", low=0.1)
    min_brightness: float = setting(8.0, "Darker frames are dropped as dark, mean grey level.", low=0, high=255)
    max_brightness: float = setting(247.0, "Brighter frames are dropped as saturated.", low=0, high=255)
    min_contrast: float = setting(
        4.0, "Flatter frames are dropped as blank, standard deviation of grey.", low=0, high=128
    )


@dataclass(frozen=True)
class KeyframeParameters:
    """When an image becomes a keyframe."""

    min_parallax_deg: float = setting(
        2.5,
        "Median ray angle to the last keyframe, rotation removed, that makes a keyframe, degrees.",
        low=0.1,
        high=45,
    )
    max_overlap: float = setting(
        0.65, "A keyframe is made when less than this share of the last one is in view.", low=0.1, high=1
    )
    min_overlap: float = setting(
        0.25, "Below this overlap the pair is not tried and a new segment starts.", low=0, high=0.9
    )
    max_age_s: float = setting(5.0, "A keyframe is forced at this age, for its masks, seconds.", low=0.1, high=3600)
    min_interval_s: float = setting(0.0, "Shortest time between keyframes, seconds of image time.", low=0, high=60)
    min_sharpness: float = setting(
        0.35, "Frames less sharp than this, relative to the last keyframe, are dropped as blurred.", low=0, high=1
    )
    window: int = setting(16, "Keyframes kept for queries and the map; the oldest leaves first.", low=2, high=1000)
    retries: int = setting(
        1, "Rejected pairs in a row after which the newest keyframe starts a new segment.", low=0, high=20
    )


@dataclass(frozen=True)
class PoseGateParameters:
    """When the pose of a pair is accepted."""

    min_validity: float = setting(0.25, "Smallest validity of a pair, as the model states it.", low=0, high=1)
    max_rotation_deg: float = setting(
        8.0, "Largest difference from odometry's rotation, degrees.", low=0.1, high=180
    )
    max_direction_deg: float = setting(
        35.0, "Largest difference from odometry's direction of motion, degrees.", low=0.1, high=180
    )
    two_view_check: bool = setting(True, "Also compare with the motion of matched image features.")
    max_two_view_rotation_deg: float = setting(
        10.0, "Largest difference from the rotation of matched image features, degrees.", low=0.1, high=180
    )


@dataclass(frozen=True)
class ChainParameters:
    """How consecutive pairs are brought to one unit."""

    max_spread: float = setting(
        0.5,
        "Relative spread of depth ratios on the shared keyframe above which a new segment starts.",
        low=0.01,
        high=10,
    )


@dataclass(frozen=True)
class ScaleParameters:
    """Where metres come from."""

    source: str = setting(
        "auto",
        "Source of metres; auto tries depth, rig, odometry, camera height, in this order.",
        choices=("auto", "depth", "rig", "odometry", "camera_height", "none"),
        read_only=True,
    )
    allow_model: bool = setting(
        False, "Report the model's own claim of metres as DEGRADED; it is never attached to odom.", read_only=True
    )
    min_baseline_m: float = setting(
        0.05, "Shortest odometry motion that gives a sample, metres.", low=0.001, high=10
    )
    min_samples: int = setting(3, "Samples needed before the state is METRIC.", low=1, high=1000)
    max_spread: float = setting(0.3, "Relative spread of samples above which the state is not METRIC.", low=0.01)
    camera_height_m: float = setting(
        0.0, "Known height of the camera over the floor, metres; 0 unknown.", low=0, high=100, read_only=True
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
    min_confidence: float = setting(
        0.3, "Points less confident than this quantile of their view are left out, 0 to 1.", low=0, high=0.99
    )
    depth_edge: float = setting(
        0.08, "Points where depth jumps by this share between neighbouring pixels are left out.", low=0.001, high=10
    )
    max_depth_m: float = setting(0.0, "Farthest point when metric, metres; 0 for any.", low=0, high=1000)
    max_mb_per_s: float = setting(30.0, "Most bytes of clouds per second, MB/s; 0 for any.", low=0, high=10_000)


@dataclass(frozen=True)
class MapParameters:
    """What ~/map_points holds."""

    keyframes: int = setting(8, "Newest keyframes of the segment that are in ~/map_points.", low=1, high=1000)
    max_path: int = setting(2000, "Longest ~/path, poses; the oldest leave first.", low=2, high=1_000_000)


@dataclass(frozen=True)
class QueryParameters:
    """Standing queries and the limits of a request."""

    texts: tuple[str, ...] = setting(
        DEFAULT_QUERIES, f"Words that ~/segmentation looks for, at most {MAX_QUERIES}; [''] for none."
    )
    threshold: float = setting(
        -1.0, "Smallest score of a pixel that counts, 0 to 1; -1 for the backend's own rule.", low=-1, high=1
    )
    timeout_s: float = setting(10.0, "Longest time for a request that names none, seconds.", low=0.1, high=600)
    max_texts: int = setting(64, "Most texts in one request.", low=1, high=MAX_QUERIES)
    max_waiting: int = setting(
        4, "Requests in work or waiting above which more are refused as busy.", low=1, high=64
    )


@dataclass(frozen=True)
class NodeParameters:
    """The whole tree."""

    backend: str = setting("lsm-tiny", "The model.", read_only=True)
    weights: str = setting("", "File or folder with weights; empty for those shipped.", read_only=True)
    device: str = setting("auto", "auto (a GPU if there is one), cpu, cuda, cuda:1 ...", read_only=True)
    num_threads: int = setting(
        0, "Threads of torch on a CPU; 0 leaves torch's choice.", low=0, high=256, read_only=True
    )
    autostart: bool = setting(True, "Configure and activate at start.", read_only=True)
    cameras: tuple[str, ...] = setting(
        ("",),
        "Camera names: topics <camera>/image ...; [''] for one camera with topics image, camera_info.",
        read_only=True,
    )
    pairing: str = setting(
        "temporal",
        "temporal pairs two times of one camera; rig pairs two cameras at one time.",
        choices=("temporal", "rig"),
        read_only=True,
    )
    image_transport: str = setting(
        "raw",
        "raw subscribes to image, compressed to image/compressed.",
        choices=("raw", "compressed"),
        read_only=True,
    )
    odom_frame: str = setting("odom", "The robot's odometry frame.", read_only=True)
    frame_prefix: str = setting("", "Put in front of the lsm_* frames.", read_only=True)
    publish_tf: bool = setting(True, "Publish the lsm_* frames on /tf.")
    attach_to_odom: bool = setting(True, "Hang lsm_map under odom_frame once metric.")
    map_directory: str = setting("", "Folder that ~/save_map writes to; empty turns saving off.", read_only=True)
    diagnostics_period_s: float = setting(
        1.0, "Time between messages on /diagnostics, seconds.", low=0.1, high=60, read_only=True
    )
    input: InputParameters = field(default_factory=InputParameters)
    keyframes: KeyframeParameters = field(default_factory=KeyframeParameters)
    pose_gate: PoseGateParameters = field(default_factory=PoseGateParameters)
    chain: ChainParameters = field(default_factory=ChainParameters)
    scale: ScaleParameters = field(default_factory=ScaleParameters)
    odometry: OdometryParameters = field(default_factory=OdometryParameters)
    points: PointParameters = field(default_factory=PointParameters)
    map: MapParameters = field(default_factory=MapParameters)
    queries: QueryParameters = field(default_factory=QueryParameters)


def settings() -> tuple[Setting, ...]:
    """Return every parameter of the node."""
    return tuple(leaves(NodeParameters))


def type_name(value: Value) -> str:
    """Return the ROS name of a parameter's type."""
    names = {bool: "bool", int: "int", float: "double", str: "string", tuple: "string array"}
    return names[type(value)]


def default_text(value: Value) -> str:
    """Return a default as YAML shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def documentation() -> str:
    """Return docs/parameters.md."""
    lines = [
        "# Parameters of the node",
        "",
        "Printed by `python -m lsm_perception.parameters`; do not edit. Changeable ones take `ros2 param set`",
        "while the node runs; the others are read in configure. `qos_overrides.<topic>.<publisher|subscription>`",
        "works for every topic (history, depth, reliability, durability).",
        "",
        "| name | type | default | range | changeable | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for entry in settings():
        lines.append(
            f"| `{entry.name}` | {type_name(entry.default)} | `{default_text(entry.default)}` "
            f"| {entry.spec.range_text} | {'no' if entry.spec.read_only else 'yes'} | {entry.spec.description} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the table, or write it to the file named."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(documentation(), encoding="utf-8")
    else:
        sys.stdout.write(documentation())
    return 0


if __name__ == "__main__":
    sys.exit(main())
