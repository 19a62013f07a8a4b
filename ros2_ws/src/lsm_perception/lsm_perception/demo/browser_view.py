"""The view in the browser beside a demo: a process that the demo can do without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lsm_perception.bringup import parse_arguments, viewer_command
from lsm_perception.demo.live import LiveView
from lsm_perception.demo.processes import Child
from lsm_perception.demo.source import Source

READY = "Open "


class BrowserView:
    """Starts the viewer, and says where it is, or why it is not there."""

    def __init__(self, source: Source, port: int, log: Path, environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            source: what is played; the viewer takes its pictures from the same topic.
            port: to listen on.
            log: file for what it prints.
            environment: of the process.
        """
        values, _ = parse_arguments([*source.topics.bringup_words(), f"viewer_port:={port}"])
        module_and_words = viewer_command(values)[2:]
        self._child = Child(module_and_words[0], module_and_words[1:], log, environment)
        self._said = False

    @property
    def open(self) -> bool:
        """Whether it is there to be looked at."""
        return self._child.exit_code is None and bool(self._child.line_with(READY))

    def announce(self, view: LiveView) -> None:
        """Say once where it is, or why it is not there."""
        if self._said:
            return
        if self.open:
            view.say(f"In the browser: {self._child.line_with(READY).removeprefix(READY)}")
            self._said = True
        elif self._child.exit_code is not None:
            view.say(f"No view in the browser: {self._child.tail(1)}")
            self._said = True

    def stop(self) -> None:
        """End it."""
        self._child.stop()
