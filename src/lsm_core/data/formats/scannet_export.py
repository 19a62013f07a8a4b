"""ScanNet as its own exporter writes it: pictures at 1296x968, depth at 640x480, one text file per pose."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from lsm_core.data.formats.frame_files import FileRules, FileScene, FrameFiles, pictures_in
from lsm_core.data.formats.reading import read_intrinsics, read_pose
from lsm_core.data.formats.scene import Scene, SceneFolders

DEPTH_SIZE = (640, 480)


class ScanNetExport(SceneFolders):
    """SCENE/color/N.jpg, depth/N.png (mm), pose/N.txt, intrinsic/intrinsic_depth.txt.

    Pictures are scaled to the depth's 640x480 and have its intrinsics, as LSM's processor and LoFTR do.
    """

    format: ClassVar[str] = "scannet-export"
    layout: ClassVar[str] = "SCENE/{color/N.jpg, depth/N.png (mm), pose/N.txt, intrinsic/intrinsic_depth.txt}"
    marks: ClassVar[tuple[str, ...]] = ("color", "pose", "intrinsic/intrinsic_depth.txt")

    def _open_folder(self, name: str, folder: Path) -> Scene:
        pictures = sorted(pictures_in(folder / "color"), key=lambda p: (len(p.stem), p.stem))  # 2 before 10
        files = [
            FrameFiles(p.stem, p, depth if (depth := folder / "depth" / f"{p.stem}.png").is_file() else None)
            for p in pictures
        ]
        K = read_intrinsics(folder / "intrinsic" / "intrinsic_depth.txt")
        poses = [folder / "pose" / f"{p.stem}.txt" for p in pictures]
        return FileScene(name, files, lambda _: K, lambda i: read_pose(poses[i]), FileRules(size=DEPTH_SIZE))
