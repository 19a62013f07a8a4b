"""NYU Depth v2, the 1449 labelled frames: single pictures with depth and labels, without poses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.frame_files import FileScene, FrameFiles, pictures_in
from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.data.views import PosedView
from lsm_core.errors import DependencyError, FileFormatError

# Colour camera of the data set's toolbox, its principal point moved from Matlab's pixel 1 to pixel 0.
CAMERA = np.array([[518.857901, 0, 324.582449], [0, 519.469611, 252.736166], [0, 0, 1]], np.float32)
WIDTH, HEIGHT = 640, 480
KEYS = {"images": (3, WIDTH, HEIGHT), "depths": (WIDTH, HEIGHT), "labels": (WIDTH, HEIGHT)}  # after the frame
FILE = "nyu_depth_v2_labeled.mat"


class NyuV2(Dataset):
    """`nyu_depth_v2_labeled.mat` (Matlab 7.3, HDF5; needs h5py), or a folder with images/ and labels*/ of one name.

    Labels keep the data's own numbers (894 raw classes in the .mat; 13 in labels13/), 0 is unlabelled. Without
    poses there are no pairs: each frame is its own world.
    """

    format: ClassVar[str] = "nyuv2"
    layout: ClassVar[str] = f"{FILE}, or {{images/*.png|jpg, labels13/*.png}} of 640x480"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return _mat_file(root) is not None or _label_folder(root) is not None

    @property
    def scenes(self) -> tuple[str, ...]:
        return ("labelled",)

    def _open(self, name: str) -> Scene:
        path = _mat_file(self.root)
        return _FolderScene(self.root) if path is None else _MatScene(path)


class _MatScene(Scene):
    """Reads one frame at a time from the HDF5 file."""

    has_poses, has_depth, has_labels = False, True, True

    def __init__(self, path: Path) -> None:
        self.name, self._path = "labelled", path
        with _opened(path) as file:
            counts = {len(_array(file, key, path)) for key in KEYS}
        if len(counts) != 1:
            raise FileFormatError(f"'{path}' has arrays of {sorted(counts)} frames.", "Download it again.")
        self.frames = tuple(f"{number:04d}" for number in range(1, counts.pop() + 1))

    def pose(self, index: int) -> NDArray[np.float64]:
        return np.eye(4)

    def view(self, index: int) -> PosedView:
        try:
            with _opened(self._path) as file:
                image, depth, label = (np.asarray(_array(file, key, self._path)[index]) for key in KEYS)
        except OSError as error:
            raise FileFormatError(
                f"Frame {index + 1} of '{self._path}' cannot be read: {error}.", "Download it again."
            ) from error
        metres = np.where(np.isfinite(depth.T), depth.T, 0).astype(np.float32)
        picture = np.ascontiguousarray(image.transpose(2, 1, 0)).astype(np.uint8)
        return PosedView(picture, CAMERA, np.eye(4), metres, label.T.astype(np.int32), name=self.frames[index])


class _FolderScene(FileScene):
    """Pictures with labels of the same name, without depth."""

    def __init__(self, root: Path) -> None:
        labels = _label_folder(root)
        assert labels is not None
        files = [
            FrameFiles(p.stem, p, label=label if (label := labels / f"{p.stem}.png").is_file() else None)
            for p in pictures_in(root / "images")
        ]
        super().__init__("labelled", files, lambda _: CAMERA, None)

    def view(self, index: int) -> PosedView:
        view = super().view(index)
        if view.size != (HEIGHT, WIDTH):
            raise FileFormatError(
                f"'{self.files[index].image}' has {view.size[1]}x{view.size[0]} pixels.",
                f"The camera is known for {WIDTH}x{HEIGHT} only.",
            )
        return view


def _mat_file(root: Path) -> Path | None:
    found = root if root.is_file() and root.suffix == ".mat" else root / FILE
    return found if found.is_file() else None


def _label_folder(root: Path) -> Path | None:
    """Return labels*/ beside images/, where nothing of a recording with poses is."""
    posed = any((root / name).exists() for name in ("poses.txt", "poses", "K.txt", "depth"))
    found = sorted(root.glob("labels*")) if (root / "images").is_dir() and not posed else []
    return next((folder for folder in found if folder.is_dir()), None)


def _opened(path: Path) -> Any:
    """Open the HDF5 file.

    Raises:
        DependencyError: h5py is not installed.
        FileFormatError: it is no HDF5 file.
    """
    try:
        import h5py
    except ImportError as error:
        raise DependencyError("Reading NYUv2's .mat needs h5py.", "pip install 'lsm_core[nyu]'") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise FileFormatError(
            f"'{path}' is truncated, or no Matlab 7.3 file: {error}.", "Download it again."
        ) from error


def _array(file: Any, key: str, path: Path) -> Any:
    """Return a data set inside the file (links and storage elsewhere are not followed)."""
    import h5py

    link = file.get(key, getlink=True) if key in file else None
    stored = file[key] if isinstance(link, h5py.HardLink) else None
    if not isinstance(stored, h5py.Dataset) or stored.is_virtual or stored.external:
        raise FileFormatError(f"'{path}' has no array '{key}'; it has: {', '.join(file)}.", f"It must be {FILE}.")
    if stored.shape[1:] != KEYS[key] or stored.dtype.kind not in "uif":
        raise FileFormatError(
            f"Array '{key}' of '{path}' is {stored.dtype} {stored.shape}.", f"It must be [n, {KEYS[key]}]."
        )
    return stored
