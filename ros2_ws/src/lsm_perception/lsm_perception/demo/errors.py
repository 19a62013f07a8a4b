"""Why a demo fails."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot start, a process died, or nothing came out; the message says what to do."""
