"""RealEstate10K, ACID, DL3DV, DTU as pixelSplat and NoPoSplat released them: `.torch` chunks of scenes."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.data.formats.reading import pinhole, read_json, rigid_pose
from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.data.views import PosedView
from lsm_core.errors import FileFormatError
from lsm_core.io.images import decode_image
from lsm_core.io.torch_container import is_plain_torch_file
from lsm_core.types import Unit

MAX_CHUNK_BYTES = 4 * 1024**3  # released ones have about 100 MB
MAX_FRAMES = 100_000
CAMERA_NUMBERS = 18  # fx fy cx cy (of a picture of size 1), two zeros, 3x4 world to camera
WIDEST_DEG = 100  # frames with a wider view are left out, as in both references
AGAIN = "Copy or download this chunk again."


@dataclass(frozen=True, eq=False)
class ChunkScene:
    """One dict of a chunk, checked: cameras [n, 18] float32 and the n encoded pictures."""

    cameras: NDArray[np.float32]
    images: tuple[torch.Tensor, ...]


class TorchChunks(Dataset):
    """ROOT/{train,test}/{NNNNNN.torch, index.json}, or one such folder; see spec_noposplat section 8.

    Poses come from structure from motion: their unit is arbitrary. Without index.json the chunks are searched.
    """

    format: ClassVar[str] = "torch-chunks"
    layout: ClassVar[str] = "{train,test}/{index.json, *.torch: list of dicts key, cameras [n,18], images}"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(_chunk_folders(root))

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(sorted(self._index()))

    def _index(self) -> dict[str, Path]:
        """Return scene key -> chunk, over the folder itself or its train and test."""
        if not hasattr(self, "_known"):
            self._known: dict[str, Path] = {}
            for folder in _chunk_folders(self.root):
                self._known |= _folder_index(folder)
        return self._known

    def _open(self, name: str) -> Scene:
        path = self._index()[name]
        scenes = load_chunk(path)
        if name not in scenes:
            raise FileFormatError(
                f"'{path}' has no scene '{name}', though index.json says so.",
                "Remove index.json, or fetch both again.",
            )
        return _PackedScene(name, scenes[name], path)


class _PackedScene(Scene):
    """Decodes one picture when it is asked for."""

    unit: Unit = "relative"

    def __init__(self, name: str, packed: ChunkScene, path: Path) -> None:
        self.name, self._packed, self._path = name, packed, path
        self.frames = tuple(f"{i:06d}" for i in range(len(packed.images)))

    def pose(self, index: int) -> NDArray[np.float64]:
        where = f"The pose of frame {index} (cameras[{index}, 6:18]) of scene '{self.name}' in '{self._path}'"
        return np.asarray(np.linalg.inv(rigid_pose(self._packed.cameras[index, 6:], where)), np.float64)

    def view(self, index: int) -> PosedView:
        where = f"Picture {index} of scene '{self.name}' in '{self._path}'"
        image = decode_image(self._packed.images[index].numpy().tobytes(), where)
        height, width = image.shape[:2]
        fx, fy, cx, cy = (float(v) for v in self._packed.cameras[index, :4])
        # Normalised coordinates have their zero at the picture's corner, pixels at the first one's centre.
        K = pinhole(
            (fx * width, fy * height, cx * width - 0.5, cy * height - 0.5), f"The camera of {where.lower()}"
        )
        return PosedView(image, K, self.pose(index), name=f"{self.name}/{self.frames[index]}")

    def problem(self, index: int) -> str | None:
        angle = float(np.degrees(2 * np.arctan(0.5 / max(float(self._packed.cameras[index, :2].min()), 1e-9))))
        if angle > WIDEST_DEG:
            return f"Frame {index} of scene '{self.name}' has an angle of view of {angle:.0f} degrees."
        return super().problem(index)


def _chunk_folders(root: Path) -> list[Path]:
    """Return the folders with chunks: the root, else its train and test."""
    if not root.is_dir():
        return []
    places = [root] if next(root.glob("*.torch"), None) else [root / "train", root / "test"]
    return [p for p in places if next(p.glob("*.torch"), None) is not None]


def _folder_index(folder: Path) -> dict[str, Path]:
    """Return scene key -> chunk of one folder."""
    path = folder / "index.json"
    if not path.is_file():
        return {key: chunk for chunk in sorted(folder.glob("*.torch")) for key in load_chunk(chunk)}
    listed = read_json(path)
    if not isinstance(listed, dict) or not all(isinstance(v, str) and Path(v).name == v for v in listed.values()):
        raise FileFormatError(
            f"'{path}' is no map from scenes to chunk files.", "Remove it: the chunks are searched."
        )
    return {key: folder / name for key, name in listed.items()}


@lru_cache(maxsize=8)
def load_chunk(path: Path) -> dict[str, ChunkScene]:
    """Map a chunk into memory; nothing in it is executed, pictures are read when they are decoded.

    Returns:
        Scene key -> its cameras and encoded pictures, in the chunk's order.

    Raises:
        FileFormatError: missing, damaged, packed to unfold, too large, or of another structure.
    """
    _check_container(path)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise FileFormatError(f"'{path}' cannot be loaded: {reason}", AGAIN) from error
    if not isinstance(stored, list):
        raise FileFormatError(f"'{path}' holds a {type(stored).__name__}, not a list of scenes.", AGAIN)
    scenes = [_checked_scene(entry, f"Scene {number} of '{path}'") for number, entry in enumerate(stored)]
    return dict(scenes)


def _check_container(path: Path) -> None:
    """Refuse what is no plain zip of tensors of the file's own size, before anything is loaded."""
    if not path.is_file():
        raise FileFormatError(f"There is no chunk '{path}'.", "Copy it, or correct index.json.")
    size = path.stat().st_size
    if size > MAX_CHUNK_BYTES:
        raise FileFormatError(f"'{path}' has {size >> 20} MiB, more than {MAX_CHUNK_BYTES >> 20}.", "Split it.")
    try:
        plain = is_plain_torch_file(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise FileFormatError(f"'{path}' is truncated, or no torch file: {error}.", AGAIN) from error
    if not plain:
        raise FileFormatError(
            f"'{path}' unpacks to more than it holds.", "torch.save never writes that: do not use it."
        )


def _checked_scene(entry: Any, where: str) -> tuple[str, ChunkScene]:
    """Return key and contents of one dict of a chunk."""
    if not isinstance(entry, dict):
        raise FileFormatError(f"{where} is a {type(entry).__name__}, not a dict.", AGAIN)
    for key in ("key", "cameras", "images"):
        if key not in entry:
            raise FileFormatError(f"{where} has no '{key}'; it has: {', '.join(map(str, entry))}.", AGAIN)
    name, cameras, images = entry["key"], entry["cameras"], entry["images"]
    if not isinstance(name, str):
        raise FileFormatError(f"'key' of {where.lower()} is no text.", AGAIN)
    real = isinstance(cameras, torch.Tensor) and cameras.is_floating_point() and cameras.ndim == 2
    if not real or cameras.shape[1] != CAMERA_NUMBERS or len(cameras) > MAX_FRAMES:
        shape = tuple(cameras.shape) if isinstance(cameras, torch.Tensor) else type(cameras).__name__
        raise FileFormatError(f"'cameras' of '{name}' ({where}) is {shape}.", "It must be float [n, 18].")
    if not isinstance(images, list | tuple) or len(images) != len(cameras):
        count = len(images) if isinstance(images, list | tuple) else type(images).__name__
        raise FileFormatError(f"'{name}' ({where}) has {len(cameras)} cameras and {count} images.", AGAIN)
    for number, image in enumerate(images):
        flat = isinstance(image, torch.Tensor) and image.dtype == torch.uint8 and image.ndim == 1
        if not flat or image.numel() > image.untyped_storage().nbytes():
            raise FileFormatError(
                f"Picture {number} of '{name}' ({where}) is no row of bytes.",
                "It must be uint8 [n], an encoded JPEG.",
            )
    return name, ChunkScene(cameras.float().numpy(), tuple(images))
