"""A scene whose frames are files side by side: picture, depth, labels, each named by the frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.lens import Lens
from lsm_core.data.formats.reading import depth_of, read_integers
from lsm_core.data.formats.scene import Scene
from lsm_core.data.views import PosedView
from lsm_core.errors import FileFormatError
from lsm_core.io.images import read_image

PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class FrameFiles:
    """Where one frame's parts lie; what is None does not exist for this frame."""

    name: str
    image: Path
    depth: Path | None = None
    label: Path | None = None


@dataclass(frozen=True)
class FileRules:
    """How the files of a format are read.

    Attributes:
        metres_per_step: of one grey value of depth.
        size: (width, height) that pictures are scaled to, as the intrinsics are of that size; None leaves them.
        lens: takes lens distortion out of pictures, depth and labels; None where there is none.
        classes: maps label values to classes, as an array to index with; None keeps them.
    """

    metres_per_step: float = 0.001
    size: tuple[int, int] | None = None
    lens: Lens | None = None
    classes: NDArray[np.int32] | None = None


PLAIN = FileRules()


class FileScene(Scene):
    """Reads frames from files.

    Args:
        name: of the scene.
        files: of each frame, in order.
        intrinsics: index -> K [3, 3] of the picture as it is returned.
        pose: index -> T_world_cam [4, 4]; None where the data have no poses (then each frame is its own world).
        rules: how the files are read.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[FrameFiles],
        intrinsics: Callable[[int], NDArray[np.float32]],
        pose: Callable[[int], NDArray[np.float64]] | None,
        rules: FileRules = PLAIN,
    ) -> None:
        self.name, self.files, self.rules = name, tuple(files), rules
        self.frames = tuple(f.name for f in files)
        self._intrinsics, self._pose = intrinsics, pose
        self.has_poses = pose is not None
        self.has_depth = any(f.depth is not None for f in files)
        self.has_labels = any(f.label is not None for f in files)

    def pose(self, index: int) -> NDArray[np.float64]:
        return np.eye(4) if self._pose is None else self._pose(index)

    def problem(self, index: int) -> str | None:
        files = self.files[index]
        for part in (files.image, files.depth, files.label):
            if part is not None and not part.is_file():
                return f"There is no file '{part}'."
        return super().problem(index)

    def view(self, index: int) -> PosedView:
        files, lens = self.files[index], self.rules.lens
        image = read_image(files.image)
        if self.rules.size is not None and image.shape[1::-1] != self.rules.size:
            image = np.asarray(cv2.resize(image, self.rules.size, interpolation=cv2.INTER_AREA), np.uint8)
        K = _inside(self._intrinsics(index), image.shape[1::-1], files.image)
        steps = _same_size(files.depth, image)
        depth = None if steps is None else depth_of(steps, self.rules.metres_per_step)
        label = _same_size(files.label, image)
        if label is not None and self.rules.classes is not None:
            label = self.rules.classes[np.clip(label, 0, len(self.rules.classes) - 1)]
        if lens is not None:
            image = lens.straighten(image, smooth=True)
            depth = None if depth is None else lens.straighten(depth, smooth=False)
            label = None if label is None else lens.straighten(label, smooth=False)
        return PosedView(image, K, self.pose(index), depth, label, name=f"{self.name}/{files.name}")


def pictures_in(folder: Path, endings: tuple[str, ...] = PICTURES) -> list[Path]:
    """Return the pictures of a folder, sorted by name.

    Raises:
        FileFormatError: there are none.
    """
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in endings) if folder.is_dir() else []
    if not found:
        raise FileFormatError(
            f"'{folder}' holds no pictures ({', '.join(endings)}).", "Check the data set's layout."
        )
    return found


def _inside(K: NDArray[np.float32], size: tuple[int, int], image: Path) -> NDArray[np.float32]:
    """Return K once its principal point lies in the picture: else it belongs to another size."""
    if not (0 < K[0, 2] < size[0] and 0 < K[1, 2] < size[1]):
        raise FileFormatError(
            f"The camera of '{image}' has its principal point at {K[0, 2]:.0f}, {K[1, 2]:.0f}, outside the "
            f"{size[0]}x{size[1]} picture.",
            "Picture and intrinsics are of different sizes: extract the pictures at the size the camera is of.",
        )
    return K


def _same_size(path: Path | None, image: NDArray[np.uint8]) -> NDArray[np.int32] | None:
    """Read a one-channel PNG that must be of the picture's size."""
    if path is None:
        return None
    values = read_integers(path)
    if values.shape != image.shape[:2]:
        raise FileFormatError(
            f"'{path}' has {values.shape[1]}x{values.shape[0]} pixels, not {image.shape[1]}x{image.shape[0]}.",
            "Depth and labels must be registered to the picture, pixel by pixel.",
        )
    return values
