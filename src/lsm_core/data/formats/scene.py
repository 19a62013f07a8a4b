"""What every format is read as: a data set of scenes, a scene of frames, each read when it is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.views import PosedView
from lsm_core.errors import FileFormatError, InputError
from lsm_core.types import Unit


class Scene(ABC):
    """Frames of one place in the order they were taken.

    Attributes:
        name: unique in its data set.
        unit: "metric" where poses and depth are metres.
        frames: what the data call each frame.
        has_poses, has_depth, has_labels: what the frames come with (single frames may still lack it).
    """

    name: str
    unit: Unit = "metric"
    frames: tuple[str, ...]
    has_poses: bool = True
    has_depth: bool = False
    has_labels: bool = False

    def __len__(self) -> int:
        return len(self.frames)

    @abstractmethod
    def pose(self, index: int) -> NDArray[np.float64]:
        """Return T_world_cam [4, 4] of a frame without reading its picture.

        Raises:
            FileFormatError: there is none, or it is no rigid transform.
        """

    @abstractmethod
    def view(self, index: int) -> PosedView:
        """Read one frame.

        Raises:
            FileFormatError: a file of it is missing, damaged or of another size.
        """

    def problem(self, index: int) -> str | None:
        """Say why a frame cannot be used, as far as that shows without decoding its picture; None where it can."""
        try:
            self.pose(index)
        except FileFormatError as error:
            return error.message
        return None

    def usable(self) -> list[int]:
        """Return the frames with a pose, in order."""
        return [index for index in range(len(self)) if self.problem(index) is None]


class Dataset(ABC):
    """A folder or file of one format. Opening one reads no picture.

    Attributes:
        format: short name, as `lsm data inspect --format` takes it.
        layout: one line on what the files look like, for messages.
        root: what was opened.
    """

    format: ClassVar[str]
    layout: ClassVar[str]

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    @abstractmethod
    def recognises(cls, root: Path) -> bool:
        """Whether a path looks like this format; decided from names, not from contents."""

    @property
    @abstractmethod
    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes, sorted."""

    @abstractmethod
    def _open(self, name: str) -> Scene:
        """Open a scene whose name is known."""

    def scene(self, name: str) -> Scene:
        """Open a scene.

        Raises:
            InputError: there is none of this name.
            FileFormatError: its files are not of this format.
        """
        if name not in self.scenes:
            few = ", ".join(self.scenes[:5]) + (" ..." if len(self.scenes) > 5 else "")
            raise InputError(f"'{self.root}' has no scene '{name}'.", f"It has {len(self.scenes)}: {few}.")
        return self._open(name)


class SceneFolders(Dataset):
    """A format whose scenes are folders that hold all of some names.

    Attributes:
        marks: relative paths that make a scene, see `scene_folders`.
    """

    marks: ClassVar[tuple[str, ...]]

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(scene_folders(root, cls.marks))

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(scene_folders(self.root, self.marks))

    def _open(self, name: str) -> Scene:
        return self._open_folder(name, scene_folders(self.root, self.marks)[name])

    @abstractmethod
    def _open_folder(self, name: str, folder: Path) -> Scene:
        """Open the scene in a folder that has the marks."""


def scene_folders(root: Path, marks: tuple[str, ...]) -> dict[str, Path]:
    """Return the folders that hold all of some names: the root itself, else those directly in it.

    Args:
        root: a scene, or a folder of scenes.
        marks: relative paths that make a scene, such as ("color", "pose").

    Returns:
        Scene name -> folder, sorted by name.
    """
    if all((root / mark).exists() for mark in marks):
        return {root.resolve().name: root}
    if not root.is_dir():
        return {}
    inside = sorted(folder for folder in root.iterdir() if folder.is_dir())
    return {folder.name: folder for folder in inside if all((folder / mark).exists() for mark in marks)}
