"""The error of a message that cannot be used."""

from __future__ import annotations

from lsm_core.errors import InputError
from lsm_perception.accounting import Drop


class BadMessageError(InputError):
    """A message is malformed or of a kind the node does not handle.

    Attributes:
        reason: under which reason it is counted.
    """

    code = "bad_message"

    def __init__(self, reason: Drop, message: str, fix: str = "") -> None:
        super().__init__(message, fix)
        self.reason = reason


class UnusableInfoError(BadMessageError):
    """A camera_info that does not belong to the images or is broken: they are used without it."""
