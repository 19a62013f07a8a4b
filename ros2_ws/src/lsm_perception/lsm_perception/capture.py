"""Waiting for the keyframe that ~/capture asked for."""

from __future__ import annotations

import threading

from lsm_core.mapping import KeyframeReason
from lsm_perception.products import Keyframe, Products


class CaptureWaiter:
    """Hands the next requested keyframe of a camera to all who wait for one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0
        self._given_up = 0
        self._newest: Keyframe | None = None

    def notice(self, products: Products) -> None:
        """Look at each keyframe; requested ones and first ones end a wait."""
        if products.decision.reason in (KeyframeReason.REQUESTED, KeyframeReason.FIRST):
            with self._condition:
                self._count += 1
                self._newest = products.keyframe
                self._condition.notify_all()

    def give_up(self) -> None:
        """End all waits now: no image will come."""
        with self._condition:
            self._given_up += 1
            self._condition.notify_all()

    def ticket(self) -> int:
        """Return a number to wait with; take it before the request is made."""
        with self._condition:
            return self._count

    def wait(self, ticket: int, timeout_s: float) -> Keyframe | None:
        """Return the newest keyframe made since the ticket was taken, None when none is made in time."""
        with self._condition:
            before = self._given_up
            self._condition.wait_for(lambda: self._count > ticket or self._given_up > before, timeout_s)
            return self._newest if self._count > ticket else None
