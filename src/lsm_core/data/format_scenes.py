"""The scenes of a data set as training draws them: opened when drawn, those of the training split."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import overload

from lsm_core.data.formats import Dataset, Scene, open_dataset
from lsm_core.data.formats.scannet_lsm import ScanNetLsm
from lsm_core.data.formats.scannetpp_splatt3r import ScanNetppSplatt3r
from lsm_core.errors import InputError

KEPT_SCENES = 64
SCANNET_HELD_OUT = 150  # the last scenes by name are LSM's validation split


class LazyScenes(Sequence[Scene]):
    """Named scenes of a data set; each is opened when it is asked for, the last 64 stay open.

    Args:
        dataset: where they are.
        names: which of its scenes.
    """

    def __init__(self, dataset: Dataset, names: Sequence[str]) -> None:
        self.dataset, self.names = dataset, tuple(names)
        self._scene = lru_cache(maxsize=KEPT_SCENES)(dataset.scene)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> LazyScenes: ...
    def __getitem__(self, index: int | slice) -> Scene | LazyScenes:
        if isinstance(index, slice):
            return LazyScenes(self.dataset, self.names[index])
        return self._scene(self.names[index])


def training_scenes(format: str, place: str | Path) -> LazyScenes:
    """Return the scenes that training may see.

    ScanNet as LSM prepares it has no split on disk: of more than 150 scenes the last 150 by name are held out, as
    in the reference. Of ScanNet++ as Splatt3R reads it the listed training scenes are taken, of chunks `train`.

    Args:
        format: a name of `lsm_core.data.formats`.
        place: folder or file.

    Raises:
        InputError: no such format, or no scene in it.
        FileFormatError: the place is not of that format.
    """
    path = Path(place)
    inner = path / "train"
    dataset = open_dataset(inner if format == "torch-chunks" and inner.is_dir() else path, format)
    names = dataset.scenes
    if isinstance(dataset, ScanNetLsm) and len(names) > SCANNET_HELD_OUT:
        names = names[:-SCANNET_HELD_OUT]
    if isinstance(dataset, ScanNetppSplatt3r):
        listed = set(dataset.split("train"))
        names = tuple(name for name in names if name in listed)
    if not names:
        raise InputError(f"'{path}' has no scene of {format} to train on.", "See `lsm data inspect`.")
    return LazyScenes(dataset, names)
