"""The arguments of `rviz.launch.py`, and RViz's own command line for them: the package's view, any namespace."""

from __future__ import annotations

from collections.abc import Mapping

from lsm_perception.launch_argument import BOOL, LaunchArgument
from lsm_perception.qos import output_names

NODE = "lsm_perception"
FIXED_FRAME = "lsm_map_unscaled"
NO_RVIZ = (
    "RViz (rviz2) is not on this machine. Install it beside a ROS 2 installation (Ubuntu: apt install "
    "ros-jazzy-rviz2), or use viewer:=true, the view in the browser, which needs none."
)

ARGUMENTS: tuple[LaunchArgument, ...] = (
    LaunchArgument("namespace", "", "Namespace of the node to look at, without a leading slash."),
    LaunchArgument("use_sim_time", "false", "Take the time from /clock.", BOOL),
    LaunchArgument("rviz_config", "", "View; empty for the package's config/lsm_perception.rviz."),
    LaunchArgument("fixed_frame", "", "Fixed frame; empty for the view's own."),
)


def rviz_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return RViz's arguments for those of bring-up."""
    prefix = values["frame_prefix"]
    return {
        "namespace": values["namespace"],
        "use_sim_time": values["use_sim_time"] or "false",
        "rviz_config": "",
        "fixed_frame": f"{prefix}{FIXED_FRAME}" if prefix else "",
    }


def rviz_words(values: Mapping[str, str], view: str) -> list[str]:
    """Return the words of RViz's command line, without what is for ROS.

    Args:
        values: all arguments by name.
        view: the package's view, used unless the user has named one.
    """
    frame = ["-f", values["fixed_frame"]] if values["fixed_frame"] else []
    return ["-d", values["rviz_config"] or view, *frame]


def rviz_remappings(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (topic of the view, topic of the node) pairs: the view names the node's topics without namespace."""
    namespace = values["namespace"].strip("/")
    if not namespace:
        return []
    return [(f"/{NODE}/{name}", f"/{namespace}/{NODE}/{name}") for name in output_names()]
