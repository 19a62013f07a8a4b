"""One demo from start to end: processes up, recording played, questions asked, results written, processes down."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsm_core.data import sample_path
from lsm_perception.demo.browser_view import BrowserView
from lsm_perception.demo.errors import DemoError
from lsm_perception.demo.live import LiveView
from lsm_perception.demo.options import DemoOptions
from lsm_perception.demo.processes import Child, child_environment
from lsm_perception.demo.recording import Recording
from lsm_perception.demo.results import write_results
from lsm_perception.demo.source import Source, read_source
from lsm_perception.demo.summary import lines, summarise
from lsm_perception.spinning import spinning

if TYPE_CHECKING:
    from lsm_perception.demo.listener import Listener

STEP_S = 0.1
STATS_PERIOD_S = 1.0
QUERY_PERIOD_S = 4.0
DRAIN_S = 30.0
SETTLED_S = 1.5
INTERRUPTED = 130
# The node's outputs keep one message, the newest. The demo wants every one: DDS repairs a lost message only as long
# as the sender still has it.
KEPT_OUTPUTS = ("points", "gaussians", "path", "segmentation/label")
DEEP_QUEUES = (
    "--ros-args",
    *(w for name in KEPT_OUTPUTS for w in ("-p", f"qos_overrides./lsm_perception/{name}.publisher.depth:=10")),
)
CANNOT_CONFIGURE = "Cannot configure:"  # what the node logs when loading the model fails


class Interrupted(Exception):
    """Ctrl-C or SIGTERM."""


def run(options: DemoOptions) -> int:
    """Run the demo and return its exit code.

    Raises:
        DemoError: a process died, the node did not get ready, or nothing came out.
        FileFormatError: the bag cannot be read.
    """
    logging.basicConfig(level=logging.WARNING)
    source = read_source(options.bag or sample_path(), options.image_topic, options.max_seconds)
    logs = options.output / "log"
    logs.mkdir(parents=True, exist_ok=True)
    environment = child_environment(logs)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    recording = Recording()
    try:
        with LiveView(source, recording, options.headless) as view:
            view.say(f"Playing {source.seconds:.0f} s of {source.path} through the node; results: {options.output}")
            node_code = _play(options, source, recording, view, logs, environment, stop)
    except Interrupted:
        print("demo: interrupted; everything is stopped.", file=sys.stderr)
        return INTERRUPTED
    summary = summarise(recording, source, options) | {"node_exit_code": node_code}
    write_results(options.output, recording, source, options, summary)
    print("\n".join(lines(summary)))
    print(f"Results: {options.output}")
    complain(summary, logs)
    return 0


def complain(summary: dict[str, Any], logs: Path) -> None:
    """Raise DemoError when the run is no success."""
    if summary["node_exit_code"] != 0:
        raise DemoError(f"The node ended with code {summary['node_exit_code']}. Its log: {logs / 'node.log'}")
    if summary["frames_in"] == 0:
        raise DemoError(f"No image reached the node. Logs: {logs}")
    if summary["clouds"] == 0 or summary["tf"] == 0:
        raise DemoError(f"The node accepted no pair of images, so no cloud came out. Its log: {logs / 'node.log'}")


def _play(
    options: DemoOptions,
    source: Source,
    recording: Recording,
    view: LiveView,
    logs: Path,
    environment: dict[str, str],
    stop: threading.Event,
) -> int:
    """Start the node, play the recording, ask, drain; returns the node's exit code."""
    words = [*source.topics.bringup_words(), f"backend:={options.backend}", f"device:={options.device}"]
    node = Child("lsm_perception.bringup", [*words, *DEEP_QUEUES], logs / "node.log", environment)
    replay: Child | None = None
    browser = (
        None if options.headless else BrowserView(source, options.viewer_port, logs / "viewer.log", environment)
    )
    try:
        with _listening(recording) as listener:
            watch = Watch(node, stop, view, listener, recording, options.queries, browser)
            watch.until_ready(options.startup_s)
            replay = Child(
                "lsm_perception.replay", _replay_words(options, source), logs / "replay.log", environment
            )
            watch.while_playing(replay)
            watch.drain()
            watch.stay()
        return node.stop()
    finally:
        for child in (replay, browser, node):
            if child is not None:
                child.stop()


def _replay_words(options: DemoOptions, source: Source) -> list[str]:
    words = [str(source.path), "--rate", f"{options.rate:g}", "--wait", "60", "--delay", "1"]
    if options.max_seconds:
        words += ["--duration", f"{options.max_seconds:g}"]
    return words if options.odometry else [*words, "--topics", *source.topics_without_odometry()]


def _listening(recording: Recording) -> AbstractContextManager[Listener]:
    """Give the listener, spun by a thread of its own."""
    # Imported late: messages of ROS are slow to load, and wrong usage shall be told at once.
    from lsm_perception.demo.listener import Listener

    return spinning(lambda: Listener(recording))


class Watch:
    """The demo's loop: keeps an eye on the processes, shows progress, asks the node."""

    def __init__(
        self,
        node: Child,
        stop: threading.Event,
        view: LiveView,
        listener: Any,
        recording: Recording,
        queries: tuple[str, ...],
        browser: BrowserView | None,
    ) -> None:
        self._node = node
        self._stop = stop
        self._view = view
        self._listener = listener
        self._recording = recording
        self._queries = queries
        self._browser = browser
        self._stats: Any = None
        self._reply: Any = None
        self._next_stats = self._next_query = 0.0

    def until_ready(self, limit_s: float) -> None:
        """Wait until the node is configured and set the standing queries.

        Raises:
            DemoError: the node ended, refused the queries, or took too long.
        """
        from lsm_perception_msgs.msg import ResultCode
        from lsm_perception_msgs.srv import SetQueries

        deadline = time.monotonic() + limit_s
        while True:
            self._step("loading the model", deadline)
            refusal = self._node.line_with(CANNOT_CONFIGURE)
            if refusal:
                raise DemoError(f"The node cannot start: {refusal.partition(CANNOT_CONFIGURE)[2].strip()}")
            if not self._listener.set_queries.service_is_ready():
                continue
            future = self._listener.set_queries.call_async(SetQueries.Request(texts=list(self._queries)))
            while not future.done():
                self._step("setting the queries", deadline)
            reply = future.result()
            if reply.success:
                return
            if reply.code != ResultCode.NOT_READY:  # its services answer before its model is loaded
                raise DemoError(f"The node refuses the queries: {reply.message}")

    def while_playing(self, replay: Child) -> None:
        """Ask for counters and words at intervals until the recording ends.

        Raises:
            DemoError: the node or the replay failed.
        """
        while replay.exit_code is None:
            self._step("playing")
            self._ask()
        if replay.exit_code != 0:
            raise DemoError(f"The replay failed:\n{replay.tail()}")

    def drain(self) -> None:
        """Get the map, wait until the node has decided on all images and is quiet, then ask a last time."""
        self._listener.listen_to_map()
        deadline = time.monotonic() + DRAIN_S
        quiet_since = time.monotonic()
        seen = -1
        while time.monotonic() < deadline and time.monotonic() - quiet_since < SETTLED_S:
            self._step("waiting for the last results")
            self._ask(query=False, period_s=0.3)
            with self._recording.lock:
                heard = sum(self._recording.counts.values()) + 1000 * self._recording.stats.pending
            if heard != seen:
                seen, quiet_since = heard, time.monotonic()
        for future in (self._listener.ask_query(self._queries), self._listener.ask_stats()):
            while not future.done() and time.monotonic() < deadline + DRAIN_S:
                self._step("asking a last time")

    def stay(self) -> None:
        """Let a person at a terminal look around in the browser until Ctrl-C; then the results are written."""
        if self._browser is None or not self._browser.open or not self._view.at_terminal:
            return
        self._view.say("All played. The node still answers in the browser; Ctrl-C writes the results.")
        with suppress(Interrupted):
            while True:
                self._step("waiting for Ctrl-C")

    def _ask(self, query: bool = True, period_s: float = STATS_PERIOD_S) -> None:
        """Send what is due, never two of a kind at a time."""
        now = time.monotonic()
        if now >= self._next_stats and (self._stats is None or self._stats.done()):
            self._stats, self._next_stats = self._listener.ask_stats(), now + period_s
        if query and now >= self._next_query and (self._reply is None or self._reply.done()):
            self._reply, self._next_query = self._listener.ask_query(self._queries), now + QUERY_PERIOD_S

    def _step(self, stage: str, deadline: float | None = None) -> None:
        """Let a moment pass.

        Raises:
            Interrupted: by the user.
            DemoError: the node ended, or the deadline is over.
        """
        self._view.update(stage)
        if self._browser is not None:
            self._browser.announce(self._view)
        if self._stop.wait(STEP_S):
            raise Interrupted
        if self._recording.faults:
            raise DemoError(f"A message of the node cannot be read: {self._recording.faults[0]}")
        if self._node.exit_code is not None:
            raise DemoError(
                f"The node ended with code {self._node.exit_code}. Its last lines:\n{self._node.tail()}"
            )
        if deadline is not None and time.monotonic() > deadline:
            raise DemoError(f"The node did not get ready ({stage}). Its last lines:\n{self._node.tail()}")
