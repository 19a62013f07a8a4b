"""Microsoft 7-Scenes: tracked Kinect recordings."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from lsm_core.data.formats.frame_files import FileScene, FrameFiles
from lsm_core.data.formats.reading import read_intrinsics, read_pose, read_text
from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.errors import FileFormatError

KINECT = np.array([[585.0, 0, 320], [0, 585.0, 240], [0, 0, 1]], np.float32)  # the data set's page: depth camera
REGISTERED = np.array(
    [[525.0, 0, 320], [0, 525.0, 240], [0, 0, 1]], np.float32
)  # colour, where depth is moved to it
SPLITS = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}


class SevenScenes(Dataset):
    """SCENE/seq-NN/frame-NNNNNN.{color.png, depth.png, pose.txt}; each sequence is one scene here.

    The published depth is not registered to colour; where `frame-*.depth.proj.png` (depth moved into the colour
    camera) lies beside it, that is read. Intrinsics: K.txt in the sequence, the scene or the root, else the data
    set's defaults.
    """

    format: ClassVar[str] = "7-scenes"
    layout: ClassVar[str] = "SCENE/seq-NN/frame-NNNNNN.{color.png, depth.png (mm, 65535 none), pose.txt}"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(_sequences(root))

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(_sequences(self.root))

    def split(self, scene: str, stage: str) -> tuple[str, ...]:
        """Return the sequences ("chess/seq-01") of a scene that its "train" or "test" list names.

        Raises:
            FileFormatError: the list is missing, or has another form than `sequence1` per line.
        """
        folder = self.root if (self.root / SPLITS[stage]).is_file() else self.root / scene
        numbers = []
        for line in read_text(folder / SPLITS[stage]).split():
            if not line.removeprefix("sequence").isdigit():
                raise FileFormatError(f"'{folder / SPLITS[stage]}' has a line '{line}'.", "Lines are sequence1 ...")
            numbers.append(int(line.removeprefix("sequence")))
        return tuple(f"{scene}/seq-{number:02d}" for number in numbers)

    def _open(self, name: str) -> Scene:
        folder = _sequences(self.root)[name]
        stems = sorted(p.name.removesuffix(".color.png") for p in folder.glob("frame-*.color.png"))
        files, moved = [], False
        for stem in stems:
            projected = folder / f"{stem}.depth.proj.png"
            moved = moved or projected.is_file()
            depth = projected if projected.is_file() else folder / f"{stem}.depth.png"
            files.append(FrameFiles(stem, folder / f"{stem}.color.png", depth))
        given = next((f / "K.txt" for f in (folder, folder.parent, self.root) if (f / "K.txt").is_file()), None)
        K = read_intrinsics(given) if given else REGISTERED if moved else KINECT
        return FileScene(name, files, lambda _: K, lambda i: read_pose(folder / f"{stems[i]}.pose.txt"))


def _sequences(root: Path) -> dict[str, Path]:
    """Return "scene/seq-01" -> folder, for a root of scenes, one scene, or one sequence."""
    if not root.is_dir():
        return {}
    found = [root] if root.name.startswith("seq-") else [*root.glob("seq-*"), *root.glob("*/seq-*")]
    kept = (f for f in found if f.is_dir() and next(f.glob("frame-*.color.png"), None) is not None)
    return {f"{f.resolve().parent.name}/{f.name}": f for f in sorted(kept)}
