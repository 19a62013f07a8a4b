"""The viewer's command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

LOCAL = "127.0.0.1"
PORT = 8080
MAX_POINTS = 100_000


@dataclass(frozen=True)
class ViewerOptions:
    """What to show, and to whom.

    Attributes:
        host: address to listen on.
        port: to listen on; 0 for any free one.
        node: name of the perception node, relative to the viewer's own namespace.
        image_transport: raw or compressed, of the topic `image`; none for no thumbnails.
        camera: the one of several cameras that is shown; "" for the only one.
        max_points: most points, and most Gaussians, that a browser gets of one cloud.
        ros_arguments: what is for ROS, from `--ros-args` on.
    """

    host: str = LOCAL
    port: int = PORT
    node: str = "lsm_perception"
    image_transport: str = "raw"
    camera: str = ""
    max_points: int = MAX_POINTS
    ros_arguments: tuple[str, ...] = ()


def parse_arguments(words: Sequence[str]) -> ViewerOptions:
    """Read the command line; exits with 2 on wrong usage."""
    words = list(words)
    split = words.index("--ros-args") if "--ros-args" in words else len(words)
    parser = argparse.ArgumentParser(
        prog="lsm_viewer",
        description="Show what the node sees in a browser. Words after --ros-args go to ROS.",
        epilog="On another host a token is asked for: that of LSM_VIEWER_TOKEN, or one is made and printed.",
    )
    parser.add_argument("--host", default=LOCAL, help=f"address to listen on; default: {LOCAL}, this machine only")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0 takes a free one")
    parser.add_argument("--node", default="lsm_perception", help="name of the perception node")
    parser.add_argument(
        "--image-transport",
        choices=("raw", "compressed", "none"),
        default="raw",
        help="of the topic image, for thumbnails (remap image where it has another name)",
    )
    parser.add_argument("--camera", default="", help="which of several cameras to show")
    parser.add_argument(
        "--max-points", type=int, default=MAX_POINTS, metavar="N", help="most points per cloud in the browser"
    )
    given = parser.parse_args(words[:split])
    if not 0 <= given.port <= 65535:
        parser.error("--port must be between 0 and 65535")
    if given.max_points < 1:
        parser.error("--max-points must be positive")
    return ViewerOptions(
        host=given.host,
        port=given.port,
        node=given.node,
        image_transport=given.image_transport,
        camera=given.camera,
        max_points=given.max_points,
        ros_arguments=tuple(words[split:]),
    )
