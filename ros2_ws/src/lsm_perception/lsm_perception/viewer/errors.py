"""Why the viewer cannot start, or a request of it cannot be answered."""

from __future__ import annotations


class ViewerError(Exception):
    """The message says what is wrong and what to do."""
