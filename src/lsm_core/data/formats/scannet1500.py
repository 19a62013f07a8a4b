"""ScanNet-1500: the pairs that SuperGlue chose, in its text file or in LoFTR's arrays. Each pair is a scene."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.frame_files import FileRules, FileScene, FrameFiles
from lsm_core.data.formats.reading import pinhole, read_arrays, read_pose, read_text, rigid_pose
from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.errors import FileFormatError

SUPERGLUE, LOFTR, LOFTR_CAMERAS = "scannet_test_pairs_with_gt.txt", "test.npz", "intrinsics.npz"
DEPTH_SIZE = (640, 480)
FIELDS = 38  # two paths, two rotations, K0, K1, T_0to1


class ScanNet1500(Dataset):
    """The pair list beside the pictures: SuperGlue's text, or LoFTR's test.npz with intrinsics.npz.

    LoFTR: SCENE/color/N.jpg (scaled to 640x480, the size of its intrinsics), SCENE/pose/N.txt, depth/N.png where it
    is. SuperGlue: the pictures at the paths of the list (below the root), with K and T_0to1 of the list; the world
    is the first camera.
    """

    format: ClassVar[str] = "scannet-1500"
    layout: ClassVar[str] = f"{SUPERGLUE} and its pictures, or {{{LOFTR}, {LOFTR_CAMERAS}, SCENE/{{color, pose}}}}"

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / SUPERGLUE).is_file() or ((root / LOFTR).is_file() and (root / LOFTR_CAMERAS).is_file())

    @property
    def scenes(self) -> tuple[str, ...]:
        """Names of the pairs in the list's order."""
        return tuple(self._pairs)

    @cached_property
    def _pairs(self) -> dict[str, Callable[[], Scene]]:
        text = self.root / SUPERGLUE
        return self._superglue(text) if text.is_file() else self._loftr()

    def _open(self, name: str) -> Scene:
        return self._pairs[name]()

    def _superglue(self, path: Path) -> dict[str, Callable[[], Scene]]:
        pairs: dict[str, Callable[[], Scene]] = {}
        for number, line in enumerate(read_text(path).splitlines(), 1):
            words = line.split()
            if not words:
                continue
            where = f"'{path}' line {number}"
            if len(words) != FIELDS or words[2:4] != ["0", "0"]:
                raise FileFormatError(
                    f"{where} has {len(words)} fields, or turned pictures.", "It needs 38, 0 0 turns."
                )
            if any(Path(w).is_absolute() or ".." in Path(w).parts for w in words[:2]):
                raise FileFormatError(f"{where} points outside the data set.", "Use relative paths.")
            try:
                values = np.array(words[4:], np.float64)
            except ValueError as error:
                raise FileFormatError(f"{where} is not made of numbers.", "Download the list again.") from error
            scene = next((part for part in Path(words[0]).parts if part.startswith("scene")), "pair")
            name = f"{number:04d}-{scene}"
            pairs[name] = lambda n=name, w=words, v=values, at=where: self._listed(n, w[:2], v, at)  # type: ignore[misc]
        return pairs

    def _listed(self, name: str, paths: list[str], values: NDArray[np.float64], where: str) -> Scene:
        """Return the scene of one line: K0, K1, T_0to1 follow the paths."""
        cameras = [pinhole(values[:9], f"K0 of {where}"), pinhole(values[9:18], f"K1 of {where}")]
        T_1_0 = rigid_pose(values[18:], f"T_0to1 of {where}")
        poses = [np.eye(4), np.asarray(np.linalg.inv(T_1_0), np.float64)]
        files = [FrameFiles(p, self.root / p) for p in paths]
        return FileScene(name, files, lambda i: cameras[i], lambda i: poses[i])

    def _loftr(self) -> dict[str, Callable[[], Scene]]:
        names = read_arrays(self.root / LOFTR, {"name": (-1, 4)})["name"]
        if names.dtype.kind not in "iu":
            raise FileFormatError(f"Key 'name' of '{self.root / LOFTR}' is {names.dtype}.", "It must be integers.")
        pairs: dict[str, Callable[[], Scene]] = {}
        for number, (scene, part, first, second) in enumerate(names.tolist(), 1):
            folder, name = f"scene{scene:04d}_{part:02d}", f"{number:04d}-scene{scene:04d}_{part:02d}"
            pairs[name] = lambda n=name, f=folder, a=first, b=second: self._numbered(n, f, (a, b))  # type: ignore[misc]
        return pairs

    def _numbered(self, name: str, folder: str, stems: tuple[int, int]) -> Scene:
        """Return the scene of two frames of an exported ScanNet scene."""
        K = pinhole(
            read_arrays(self.root / LOFTR_CAMERAS, {folder: (3, 3)})[folder],
            f"Key '{folder}' of '{self.root / LOFTR_CAMERAS}'",
        )
        place = self.root / folder
        files = [
            FrameFiles(
                f"{folder}/{stem}",
                place / "color" / f"{stem}.jpg",
                depth if (depth := place / "depth" / f"{stem}.png").is_file() else None,
            )
            for stem in stems
        ]
        poses = [place / "pose" / f"{stem}.txt" for stem in stems]
        return FileScene(name, files, lambda _: K, lambda i: read_pose(poses[i]), FileRules(size=DEPTH_SIZE))
