"""The arguments of bring-up, one table for `bringup.launch.py` and `python -m lsm_perception.bringup`.

Imports nothing heavy, so a launch file can read it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BringupArgument:
    """One `name:=value` argument.

    Attributes:
        name: as typed on the command line.
        default: the text used when it is not given; "" leaves the matter to the node or the parameter file.
        description: one sentence for `--show-args`.
        choices: the only values allowed, or empty for any.
        parameter: the node parameter it sets when it is not "", or "" for arguments about the process.
    """

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()
    parameter: str = ""


BOOL = ("true", "false")
SCALE_SOURCES = ("auto", "depth", "rig", "odometry", "camera_height", "none")

ARGUMENTS: tuple[BringupArgument, ...] = (
    BringupArgument("namespace", "", "Namespace of the node, without a leading slash."),
    BringupArgument("params_file", "", "Parameter file; empty for the package's config/lsm_perception.yaml."),
    BringupArgument("use_sim_time", "", "Take the time from /clock.", BOOL, "use_sim_time"),
    BringupArgument("autostart", "", "Configure and activate at once.", BOOL, "autostart"),
    BringupArgument("log_level", "info", "Level of the node's log.", ("debug", "info", "warn", "error", "fatal")),
    BringupArgument("use_respawn", "false", "Start the node again when it ends with an error.", BOOL),
    BringupArgument(
        "fatal_action",
        "",
        "When the device is lost: unconfigure, or exit, which use_respawn turns into a new start.",
        ("unconfigure", "exit"),
        "fatal_action",
    ),
    BringupArgument("python", "", "Python that has torch and lsm_core; empty for the active environment's."),
    BringupArgument("image_topic", "image", "Where the camera's images are (the raw topic's name)."),
    BringupArgument("camera_info_topic", "", "Where its calibration is; empty for the one beside image_topic."),
    BringupArgument(
        "image_transport",
        "",
        "raw, or compressed for <image_topic>/compressed.",
        ("raw", "compressed"),
        "image_transport",
    ),
    BringupArgument("odom_topic", "odom", "Where odometry is, for odometry.source topic."),
    BringupArgument("depth_topic", "depth", "Where depth images are, for scale from depth."),
    BringupArgument("cameras", "", "Comma-separated camera names; empty for one camera.", (), "cameras"),
    BringupArgument("pairing", "", "temporal, or rig: two cameras of one time.", ("temporal", "rig"), "pairing"),
    BringupArgument("backend", "", "The model: lsm-tiny, lsm, ...", (), "backend"),
    BringupArgument("weights", "", "File or folder with weights; empty for those shipped.", (), "weights"),
    BringupArgument(
        "semantics", "", "What answers words.", ("auto", "model", "none", "lseg", "lsm-tiny"), "semantics.source"
    ),
    BringupArgument("semantics_weights", "", "File or folder with its weights.", (), "semantics.weights"),
    BringupArgument(
        "poses_backend", "", "What finds poses for a model that must be told them.", (), "poses.backend"
    ),
    BringupArgument("device", "", "auto, cpu, cuda, cuda:1 ...", (), "device"),
    BringupArgument("scale_source", "", "Where metres come from.", SCALE_SOURCES, "scale.source"),
    BringupArgument("queries", "", "Comma-separated words to segment.", (), "queries.texts"),
    BringupArgument("publish_tf", "", "Publish the lsm_* frames on /tf.", BOOL, "publish_tf"),
    BringupArgument("attach_to_odom", "", "Hang lsm_map under odom_frame once metric.", BOOL, "attach_to_odom"),
    BringupArgument("odom_frame", "", "The robot's odometry frame.", (), "odom_frame"),
    BringupArgument("frame_prefix", "", "Put in front of the lsm_* frames.", (), "frame_prefix"),
    BringupArgument("use_rviz", "false", "Start RViz with the package's view (needs a full ROS 2).", BOOL),
    BringupArgument("viewer", "false", "Start the view in the browser beside the node.", BOOL),
    BringupArgument("viewer_host", "127.0.0.1", "Where the view listens; any but this machine needs a token."),
    BringupArgument("viewer_port", "8080", "Its port; 0 for any free one."),
)


def argument_names() -> tuple[str, ...]:
    """Return the names in order."""
    return tuple(argument.name for argument in ARGUMENTS)


def parameter_text(argument: BringupArgument, value: str) -> str:
    """Return the YAML text of a parameter value: lists for comma-separated arguments, quoted text otherwise."""
    if argument.parameter in ("cameras", "queries.texts"):
        items = [item.strip() for item in value.split(",") if item.strip()] or [""]
        return "[" + ", ".join(quoted(item) for item in items) + "]"
    return value if argument.choices == BOOL else quoted(value)


def quoted(text: str) -> str:
    """Return text as a double-quoted YAML scalar."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def camera_info_topic(image_topic: str) -> str:
    """Return the calibration topic beside an image topic: `/camera/image_raw` -> `/camera/camera_info`."""
    head, _, _ = image_topic.rpartition("/")
    return f"{head}/camera_info" if head or image_topic.startswith("/") else "camera_info"
