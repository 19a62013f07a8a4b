"""Checkpoints that know views of the synthetic room, for tests that run the real backends over DDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fitted_checkpoints import Crop, KnownView, square_crop, write_fitted_checkpoints
from harness import Harness
from synthetic_world import FACES, K, View
from waiting import wait_until


def write_room_checkpoints(folder: Path, views: Sequence[View], language_crop: Crop = square_crop) -> None:
    """Write the three official files of a small model that knows these views, each with the next, and FACES."""
    known = [KnownView(view.rgb, view.depth, view.label, view.T_world_cam, K) for view in views]
    write_fitted_checkpoints(folder, known, FACES, language_crop)


def walk_slowly(harness: Harness, views: Sequence[View], patience_s: float = 180.0) -> None:
    """Send views to an active node, each after the model is done with the last; a lost image is sent again."""
    runtime = harness.node.runtime
    assert runtime is not None
    for view in views:
        before = runtime.account.counts().delivered
        for _ in range(6):
            harness.send(view)
            if wait_until(lambda before=before: runtime.account.counts().delivered > before, patience_s / 6):
                break
        assert runtime.account.counts().delivered > before, "no image arrives"
        harness.settle(patience_s)
