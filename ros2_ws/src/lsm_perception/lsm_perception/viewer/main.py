"""The process: web server, ROS node, and the loop that brings them together."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from lsm_perception.requirements import missing_package
from lsm_perception.symptoms import Symptom, see
from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.options import ViewerOptions, parse_arguments

NEEDED = ("rclpy", "viser", "lsm_perception_msgs")
STEP_S = 0.1


def main(words: Sequence[str] | None = None) -> int:
    """Run the viewer until it is told to stop; 0 then, 1 when it cannot start, 2 for wrong usage."""
    options = parse_arguments(sys.argv[1:] if words is None else words)
    complaint = missing_package("lsm_viewer", NEEDED)
    if complaint is not None:
        print(see(complaint, Symptom.VIEWER), file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        run(options, stop)
    except ViewerError as error:
        print(see(f"lsm_viewer: {error}", Symptom.VIEWER), file=sys.stderr)
        return 1
    return 0


def run(options: ViewerOptions, stop: threading.Event) -> None:
    """Serve until `stop` is set.

    Raises:
        ViewerError: the address cannot be had.
    """
    # Imported late: wrong usage shall be told at once.
    from lsm_perception.dds_profile import use_profile
    from lsm_perception.spinning import spinning
    from lsm_perception.viewer.asking import Asking
    from lsm_perception.viewer.panel import Panel
    from lsm_perception.viewer.ros_link import RosLink
    from lsm_perception.viewer.scene import Scene
    from lsm_perception.viewer.server import WebServer
    from lsm_perception.viewer.stage import Stage

    use_profile()
    found = Scene()
    with (
        WebServer(options.host, options.port, os.environ) as web,
        spinning(lambda: RosLink(found, options), options.ros_arguments) as link,
    ):
        stage = Stage(web.viser, found, lambda: link.lens)
        asking = Asking(link, found, options)
        panel = Panel(web.viser, found, stage, asking, lambda: (link.node_name, link.connected))
        print(f"Open {web.url}", flush=True)
        while not stop.wait(STEP_S):
            watched = bool(web.viser.get_clients())
            link.watch(watched, panel.splats_wanted)
            if watched:
                stage.update()
                panel.update()
