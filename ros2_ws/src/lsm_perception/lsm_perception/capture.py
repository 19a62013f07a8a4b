"""Waiting for the keyframe that ~/capture asked for."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from lsm_core.mapping import KeyframeReason
from lsm_perception.products import Products


@dataclass(frozen=True)
class Captured:
    """Which keyframe it was: id, stamp and frame of its image. What it holds may leave the store meanwhile."""

    id: int
    stamp_ns: int
    frame_id: str


class CaptureWaiter:
    """Hands the next requested keyframe of a camera to all who wait for one of that camera."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._counts: Counter[str] = Counter()  # by camera
        self._newest: dict[str, Captured] = {}
        self._given_up = 0
        self.waiting = 0  # requests

    def notice(self, products: Products) -> None:
        """Look at each keyframe; requested ones and first ones end a wait."""
        if products.decision.reason in (KeyframeReason.REQUESTED, KeyframeReason.FIRST):
            keyframe = products.keyframe
            self.made(keyframe.camera, Captured(keyframe.id, keyframe.stamp_ns, keyframe.frame_id))

    def made(self, camera: str, keyframe: Captured) -> None:
        """Hand a keyframe to all who wait for one of its camera."""
        with self._condition:
            self._counts[camera] += 1
            self._newest[camera] = keyframe
            self._condition.notify_all()

    def give_up(self) -> None:
        """End all waits now: no image will come."""
        with self._condition:
            self._given_up += 1
            self._condition.notify_all()

    def ticket(self, camera: str) -> int:
        """Return a number to wait with; take it before the request is made."""
        with self._condition:
            return self._counts[camera]

    def wait(self, camera: str, ticket: int, timeout_s: float) -> Captured | None:
        """Return the newest keyframe made since the ticket was taken, None when none is made in time."""
        with self._condition:
            before = self._given_up
            self.waiting += 1
            self._condition.wait_for(lambda: self._counts[camera] > ticket or self._given_up > before, timeout_s)
            self.waiting -= 1
            return self._newest[camera] if self._counts[camera] > ticket else None
