"""ScanNet as LSM's `scannet_processor` writes it, for training."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from lsm_core.data.formats.frame_files import FileScene, FrameFiles, pictures_in
from lsm_core.data.formats.npz_cameras import NpzCameras
from lsm_core.data.formats.scene import Scene, SceneFolders, scene_folders


class ScanNetLsm(SceneFolders):
    """SCENE/color/NNNNNN.png (640x480), depth/NNNNNN.png (mm), pose/NNNNNN.npz; see spec_lsm section 10."""

    format: ClassVar[str] = "scannet-lsm"
    layout: ClassVar[str] = "SCENE/{color/*.png, depth/*.png (mm), pose/*.npz: camera_intrinsics, camera_pose}"
    marks: ClassVar[tuple[str, ...]] = ("color", "depth", "pose")

    @classmethod
    def recognises(cls, root: Path) -> bool:
        folders = scene_folders(root, cls.marks)
        return any(next((f / "pose").glob("*.npz"), None) is not None for f in list(folders.values())[:3])

    def _open_folder(self, name: str, folder: Path) -> Scene:
        pictures = pictures_in(folder / "color")
        files = [FrameFiles(p.stem, p, folder / "depth" / f"{p.stem}.png") for p in pictures]
        cameras = NpzCameras(
            [folder / "pose" / f"{p.stem}.npz" for p in pictures], "camera_intrinsics", "camera_pose"
        )
        return FileScene(name, files, cameras.intrinsics, cameras.pose)
