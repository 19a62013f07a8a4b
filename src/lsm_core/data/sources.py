"""Training data by name: `FORMAT:PLACE`, as `lsm train --data` takes it, becomes a source of samples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from lsm_core.data import formats
from lsm_core.data.box_rooms import box_rooms
from lsm_core.data.format_scenes import training_scenes
from lsm_core.data.selection import FrameScene, SceneSource, Selection
from lsm_core.data.shard_scenes import shard_walks
from lsm_core.data.shards import list_shards, load_shard
from lsm_core.data.views import SampleSource, ViewSample
from lsm_core.errors import InputError

_log = logging.getLogger(__name__)
BOXES = "boxes"
BOX_ROOMS, BOX_SIDE_PX = 12, 96
MEMORY_GB = 8.0

Scenes = Sequence[FrameScene]


@dataclass(frozen=True, eq=False)
class MixedSource:
    """Several sources, each drawn from equally often."""

    sources: tuple[SampleSource, ...]

    def draw(self, rng: np.random.Generator, step: int) -> ViewSample:
        """Draw one sample."""
        return self.sources[int(rng.integers(len(self.sources)))].draw(rng, step)


def open_sources(names: Sequence[str], selection: Selection) -> SampleSource:
    """Open training data.

    Args:
        names: each `FORMAT:PLACE`, or `boxes` or `boxes:ROOMS` for generated rooms.
        selection: which frames make a sample.

    Raises:
        InputError: no names, an unknown format, or nothing usable there.
        FileFormatError: a file there is damaged.
    """
    if not names:
        raise InputError("There are no training data.", f"Pass --data FORMAT:PLACE; formats: {', '.join(FORMATS)}.")
    opened = tuple(SceneSource(open_scenes(name), selection) for name in names)
    return opened[0] if len(opened) == 1 else MixedSource(opened)


def open_scenes(name: str) -> Scenes:
    """Return the scenes of `FORMAT:PLACE`; see `open_sources`."""
    kind, _, place = name.partition(":")
    if kind not in FORMATS:
        raise InputError(
            f"'{name}' does not begin with a known format.",
            f"Write FORMAT:PLACE with one of: {', '.join(FORMATS)} (docs/data.md).",
        )
    if not place and kind != BOXES:
        raise InputError(f"'{name}' names no place.", f"Write {kind}:FOLDER.")
    return FORMATS[kind](place)


def _boxes(place: str) -> Scenes:
    if place and not (place.isdecimal() and int(place) > 0):
        raise InputError(f"'boxes:{place}' is no number of rooms.", f"Write boxes, or boxes:{BOX_ROOMS}.")
    return box_rooms(int(place or BOX_ROOMS), height=BOX_SIDE_PX, width=BOX_SIDE_PX)


def _rooms(place: str) -> Scenes:
    walks: list[FrameScene] = []
    held_bytes = 0
    for path in list_shards(place):
        if held_bytes > MEMORY_GB * 1e9:
            _log.warning("%s and later shards are left out: %g GB are in memory", path, MEMORY_GB)
            break
        shard = load_shard(path)
        held_bytes += sum(int(array.nbytes) for array in vars(shard).values())
        walks += shard_walks(shard, path.stem)
    return walks


FORMATS: dict[str, Callable[[str], Scenes]] = {
    BOXES: _boxes,
    "rooms": _rooms,
    **{kind.format: partial(training_scenes, kind.format) for kind in formats.FORMATS},
}
