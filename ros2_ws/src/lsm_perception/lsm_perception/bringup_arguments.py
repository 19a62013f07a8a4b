"""The arguments of bring-up, one table for `bringup.launch.py` and `python -m lsm_perception.bringup`.

Imports nothing heavy, so a launch file can read it.
"""

from __future__ import annotations

from lsm_perception.launch_argument import BOOL, LaunchArgument

SCALE_SOURCES = ("auto", "depth", "rig", "odometry", "camera_height", "none")

ARGUMENTS: tuple[LaunchArgument, ...] = (
    LaunchArgument("namespace", "", "Namespace of the node, without a leading slash."),
    LaunchArgument("params_file", "", "Parameter file; empty for the package's config/lsm_perception.yaml."),
    LaunchArgument("use_sim_time", "", "Take the time from /clock; with bag this is true.", BOOL, "use_sim_time"),
    LaunchArgument("autostart", "", "Configure and activate at once.", BOOL, "autostart"),
    LaunchArgument("log_level", "info", "Level of the node's log.", ("debug", "info", "warn", "error", "fatal")),
    LaunchArgument("use_respawn", "false", "Start the node again when it ends with an error.", BOOL),
    LaunchArgument(
        "fatal_action",
        "",
        "When the device is lost: unconfigure, or exit, which use_respawn turns into a new start.",
        ("unconfigure", "exit"),
        "fatal_action",
    ),
    LaunchArgument("python", "", "Python that has torch and lsm_core; empty for the active environment's."),
    LaunchArgument("image_topic", "image", "Where the camera's images are (the raw topic's name)."),
    LaunchArgument("camera_info_topic", "", "Where its calibration is; empty for the one beside image_topic."),
    LaunchArgument(
        "image_transport",
        "",
        "raw, or compressed: image_topic with /compressed behind it.",
        ("raw", "compressed"),
        "image_transport",
    ),
    LaunchArgument("odom_topic", "odom", "Where odometry is, for odometry.source topic."),
    LaunchArgument("depth_topic", "depth", "Where depth images are, for scale from depth."),
    LaunchArgument("cameras", "", "Comma-separated camera names; empty for one camera.", (), "cameras"),
    LaunchArgument("pairing", "", "temporal, or rig: two cameras of one time.", ("temporal", "rig"), "pairing"),
    LaunchArgument("backend", "", "The model: lsm-tiny, lsm, ...", (), "backend"),
    LaunchArgument("weights", "", "File or folder with weights; empty for those shipped.", (), "weights"),
    LaunchArgument(
        "semantics", "", "What answers words.", ("auto", "model", "none", "lseg", "lsm-tiny"), "semantics.source"
    ),
    LaunchArgument("semantics_weights", "", "File or folder with its weights.", (), "semantics.weights"),
    LaunchArgument(
        "poses_backend", "", "What finds poses for a model that must be told them.", (), "poses.backend"
    ),
    LaunchArgument("device", "", "auto, cpu, cuda, cuda:1 ...", (), "device"),
    LaunchArgument("scale_source", "", "Where metres come from.", SCALE_SOURCES, "scale.source"),
    LaunchArgument("queries", "", "Comma-separated words to segment.", (), "queries.texts"),
    LaunchArgument("publish_tf", "", "Publish the lsm_* frames on /tf.", BOOL, "publish_tf"),
    LaunchArgument("attach_to_odom", "", "Hang lsm_map under odom_frame once metric.", BOOL, "attach_to_odom"),
    LaunchArgument("odom_frame", "", "The robot's odometry frame.", (), "odom_frame"),
    LaunchArgument("frame_prefix", "", "Put in front of the lsm_* frames.", (), "frame_prefix"),
    LaunchArgument("bag", "", "Play this recording to the node; what is not given is found in it."),
    LaunchArgument("bag_rate", "1.0", "Speed of the recording; 1 is its own."),
    LaunchArgument("bag_loop", "false", "Play the recording again at its end.", BOOL),
    LaunchArgument("rviz", "false", "Start RViz with the package's view (needs a full ROS 2).", BOOL),
    LaunchArgument("viewer", "false", "Start the view in the browser beside the node.", BOOL),
    LaunchArgument("viewer_host", "127.0.0.1", "Where the view listens; any but this machine needs a token."),
    LaunchArgument("viewer_port", "8080", "Its port; 0 for any free one."),
)


def argument_names() -> tuple[str, ...]:
    """Return the names in order."""
    return tuple(argument.name for argument in ARGUMENTS)


def parameter_text(argument: LaunchArgument, value: str) -> str:
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
