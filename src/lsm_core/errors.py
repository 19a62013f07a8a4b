"""Typed errors of the library: each names the cause and the fix.

Every error derives from `LsmError`, so callers at a process border (the CLI, the node) catch one type.
`code` is a short stable string that the command's output and its JSON repeat; services have codes of their own.
"""

from __future__ import annotations


class LsmError(Exception):
    """Base of all errors raised on purpose by lsm_core.

    Args:
        message: what happened, in one sentence.
        fix: what the user can do about it, in one sentence; shown after the message.
    """

    code = "error"

    def __init__(self, message: str, fix: str = "") -> None:
        self.message = message
        self.fix = fix
        super().__init__(f"{message} Fix: {fix}" if fix else message)


class InputError(LsmError):
    """An argument has a wrong shape, dtype, range or is not finite."""

    code = "bad_input"


class UnknownBackendError(LsmError):
    """The backend name is not in the registry."""

    code = "unknown_backend"


class UnsupportedError(LsmError):
    """The backend cannot do what was asked (for example a text query without language features)."""

    code = "unsupported"


class WeightsError(LsmError):
    """A checkpoint is missing, unreadable, truncated, has a wrong hash or does not fit the model."""

    code = "bad_weights"


class DependencyError(LsmError):
    """An optional package that this call needs is not installed."""

    code = "missing_dependency"


class DeviceError(LsmError):
    """The device asked for is absent or out of memory."""

    code = "device"


class FileFormatError(LsmError):
    """A file cannot be read as the format it claims."""

    code = "bad_file"


class QueryError(LsmError):
    """A text query is empty, too long, has control characters or names too many texts."""

    code = "bad_query"


class GeometryError(LsmError):
    """A geometric estimate has too little support to be given."""

    code = "no_geometry"
