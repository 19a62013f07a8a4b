"""Pausing a replay: services beside it, and the space bar in its terminal."""

from __future__ import annotations

import contextlib
import logging
import select
import sys
import threading
from collections.abc import Callable, Iterator

from rclpy.node import Node
from std_srvs.srv import Trigger

from lsm_perception.playback_time import PlaybackTime

try:
    import termios
    import tty
except ImportError:  # no POSIX terminal: the services remain
    termios = None  # type: ignore[assignment]

logger = logging.getLogger("lsm_perception.replay")
LOOK_S = 0.2


def create_services(node: Node, playback: PlaybackTime) -> None:
    """Offer ~/pause, ~/resume and ~/toggle_paused (std_srvs/Trigger) for as long as the node lives."""

    def serve(name: str, act: Callable[[], None]) -> None:
        def callback(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            act()
            response.success = True
            response.message = "paused" if playback.paused else "playing"
            return response

        node.create_service(Trigger, f"~/{name}", callback)

    serve("pause", playback.pause)
    serve("resume", playback.resume)
    serve("toggle_paused", playback.toggle)


@contextlib.contextmanager
def space_bar(playback: PlaybackTime) -> Iterator[None]:
    """While inside, the space bar pauses and resumes, where the program has a terminal in the foreground."""
    if termios is None or not sys.stdin.isatty():
        yield
        return
    stop = threading.Event()
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    thread = threading.Thread(target=_listen, args=(playback, stop), daemon=True)
    try:
        tty.setcbreak(descriptor)
        thread.start()
        logger.info("Space pauses and resumes.")
        yield
    finally:
        stop.set()
        thread.join(1)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _listen(playback: PlaybackTime, stop: threading.Event) -> None:
    while not stop.is_set():
        if select.select([sys.stdin], [], [], LOOK_S)[0]:
            key = sys.stdin.read(1)
            if not key:
                return
            if key == " ":
                playback.toggle()
                logger.info("Paused." if playback.paused else "Playing.")
