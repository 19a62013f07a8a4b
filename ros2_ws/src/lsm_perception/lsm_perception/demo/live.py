"""What the demo shows while it runs: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from lsm_perception.demo.recording import Recording
from lsm_perception.demo.source import Source

LINE_PERIOD_S = 5.0


class LiveView:
    """Shows the state of a recording; `update` may be called as often as one likes."""

    def __init__(self, source: Source, recording: Recording, headless: bool) -> None:
        self._source = source
        self._recording = recording
        self._console = Console(stderr=True, highlight=False)
        self._live = (
            None if headless or not self._console.is_terminal else Live(console=self._console, transient=True)
        )
        self._last_line = time.monotonic()

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def at_terminal(self) -> bool:
        """Whether a person at a terminal sees the live table."""
        return self._live is not None

    def say(self, text: str) -> None:
        """Print one line above the table."""
        self._console.print(text, markup=False, soft_wrap=True)

    def update(self, stage: str) -> None:
        """Show the present state."""
        if self._live is not None:
            self._live.update(self.table(stage))
        elif time.monotonic() - self._last_line >= LINE_PERIOD_S:
            self._last_line = time.monotonic()
            self.say(self._line(stage))

    def _line(self, stage: str) -> str:
        r = self._recording
        with r.lock:
            return (
                f"[{stage}] {self._position()} | frames {r.stats.delivered}, used {r.stats.used}, dropped "
                f"{sum(r.stats.dropped.values())} | pairs {len(r.accepted)} accepted, "
                f"{sum(r.rejected.values())} rejected | clouds {r.counts['points']} | masks {r.filled_masks} | "
                f"scale {r.scale.state}"
            )

    def _position(self) -> str:
        newest = max(self._recording.keyframe_stamps, default=self._source.start_ns)
        return f"{(newest - self._source.start_ns) / 1e9:.1f} of {self._source.seconds:.0f} s"

    def table(self, stage: str) -> Table:
        """Return the present state as a table."""
        r = self._recording
        table = Table(title=f"{self._source.path.name}: {stage}", box=None, title_justify="left", show_header=False)
        table.add_column(style="dim", min_width=12)
        table.add_column(min_width=60)
        with r.lock:
            drops = ", ".join(f"{reason} {count}" for reason, count in sorted(r.stats.dropped.items()))
            rejected = ", ".join(f"{reason} {count}" for reason, count in r.rejected.items())
            total = r.stats.timings.get("total")
            table.add_row("time", self._position())
            table.add_row(
                "frames", f"{r.stats.delivered} in, {r.stats.used} used" + (f"; dropped: {drops}" if drops else "")
            )
            table.add_row("keyframes", str(r.stats.keyframes))
            table.add_row("pairs", f"{len(r.accepted)} accepted" + (f"; rejected: {rejected}" if rejected else ""))
            known = r.scale.state != "unknown"
            table.add_row("scale", r.scale.state + (f", {r.scale.metres_per_unit:.3f} m per unit" if known else ""))
            table.add_row("clouds", f"{r.counts['points']} clouds, {r.counts['map_points']} maps")
            if total:
                table.add_row("latency", f"{total['p50']:.0f} ms median, {total['p95']:.0f} ms p95")
            if r.replies:
                last = r.replies[-1]
                words = [f"{t} {p:.2f}" for t, p in zip(last.texts, last.presence, strict=True)]
                table.add_row("in view", ", ".join(words))
        return table
