"""A plain folder of pictures with poses and intrinsics, with depth and labels where there are any."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.frame_files import FileScene, FrameFiles, pictures_in
from lsm_core.data.formats.reading import read_intrinsics, read_pose, read_text, rigid_pose
from lsm_core.data.formats.scene import Dataset, Scene, scene_folders
from lsm_core.errors import FileFormatError

NAME_LISTS = ("all_frame_names.txt", "frames.txt")
LAYOUT = (
    "SCENE/{images/*.png|jpg, poses.txt or poses/NAME.txt (T_world_cam), K.txt, [depth/*.png (mm), labels/*.png]}"
)


class PosedFolder(Dataset):
    """One folder per recording (or one recording):

    - images/: pictures without lens distortion;
    - poses.txt: a line of 16 (or 12) numbers per frame, camera to world (OpenCV axes), row by row. Line i belongs
      to line i of frames.txt (or all_frame_names.txt) where that exists, else to the i-th picture in name order. Or
      poses/NAME.txt, one file per picture;
    - K.txt: 3x3, or fx fy cx cy, pixels of the pictures, the first pixel's centre at 0;
    - depth/NAME.png, optional: 16 bits, millimetres along z, registered, 0 = none. Pictures may lack it;
    - labels/NAME.png, optional: class numbers, 0 = unlabelled.
    """

    format: ClassVar[str] = "posed-folder"
    layout: ClassVar[str] = LAYOUT

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(_recordings(root))

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(_recordings(self.root))

    def _open(self, name: str) -> Scene:
        folder = _recordings(self.root)[name]
        pictures = pictures_in(folder / "images")
        files = [
            FrameFiles(p.stem, p, _beside(folder / "depth", p.stem), _beside(folder / "labels", p.stem))
            for p in pictures
        ]
        K = read_intrinsics(folder / "K.txt")
        if (folder / "poses.txt").is_file():
            poses = _pose_lines(folder, pictures)
            return FileScene(name, files, lambda _: K, lambda i: rigid_pose(*poses[i]))
        return FileScene(name, files, lambda _: K, lambda i: read_pose(folder / "poses" / f"{files[i].name}.txt"))


def _recordings(root: Path) -> dict[str, Path]:
    """Return scene name -> folder."""
    found = scene_folders(root, ("images", "K.txt"))
    return {n: f for n, f in found.items() if (f / "poses.txt").is_file() or (f / "poses").is_dir()}


def _beside(folder: Path, stem: str) -> Path | None:
    path = folder / f"{stem}.png"
    return path if path.is_file() else None


def _pose_lines(folder: Path, pictures: list[Path]) -> list[tuple[NDArray[np.float64], str]]:
    """Return the numbers of each picture's pose, and what to call them."""
    path = folder / "poses.txt"
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    listed = next((folder / name for name in NAME_LISTS if (folder / name).is_file()), None)
    names = [p.name for p in pictures] if listed is None else read_text(listed).split()
    if len(lines) != len(names):
        whose = (
            f"'{folder / 'images'}' has {len(names)} pictures"
            if listed is None
            else f"'{listed}' names {len(names)}"
        )
        raise FileFormatError(
            f"'{path}' has {len(lines)} poses, but {whose}.",
            "Name the frame of each pose in frames.txt, one per line.",
        )
    by_stem = {Path(name).stem: number for number, name in enumerate(names)}
    poses = []
    for picture in pictures:
        if picture.stem not in by_stem:
            raise FileFormatError(f"'{picture}' has no pose in '{path}'.", f"Add it, or remove it from '{listed}'.")
        line = by_stem[picture.stem]
        where = f"The pose of {picture.name} (line {line + 1} of '{path}')"
        try:
            poses.append((np.array(lines[line].replace(",", " ").split(), np.float64), where))
        except ValueError as error:
            raise FileFormatError(f"{where} is not made of numbers.", "It needs 16 or 12 numbers.") from error
    return poses
