"""Checkpoints that know views of the synthetic room, for tests that run the real backends over DDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fitted_checkpoints import Crop, KnownView, square_crop, write_fitted_checkpoints
from synthetic_world import FACES, K, View


def write_room_checkpoints(folder: Path, views: Sequence[View], language_crop: Crop = square_crop) -> None:
    """Write the three official files of a small model that knows these views, each with the next, and FACES."""
    known = [KnownView(view.rgb, view.depth, view.label, view.T_world_cam, K) for view in views]
    write_fitted_checkpoints(folder, known, FACES, language_crop)
