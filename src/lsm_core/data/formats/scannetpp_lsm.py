"""ScanNet++ as LSM's renderer writes it: undistorted DSLR pictures with rendered depth."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from lsm_core.data.formats.frame_files import FileScene, FrameFiles, pictures_in
from lsm_core.data.formats.npz_cameras import NpzCameras
from lsm_core.data.formats.scene import Scene, SceneFolders

MOST_FRAMES = 200


class ScanNetppLsm(SceneFolders):
    """SCENE/dslr/{rgb_resized_undistorted, render_depth, camera}; see spec_lsm section 10.

    Of scenes with more than 200 pictures every (n // 200)-th in name order is taken. The masks are not used, as in
    the reference.
    """

    format: ClassVar[str] = "scannetpp-lsm"
    layout: ClassVar[str] = (
        "SCENE/dslr/{rgb_resized_undistorted/*.JPG, render_depth/*.png (mm), camera/*.npz: intrinsic, extrinsic}"
    )
    marks: ClassVar[tuple[str, ...]] = ("dslr/rgb_resized_undistorted", "dslr/camera")

    def _open_folder(self, name: str, folder: Path) -> Scene:
        folder = folder / "dslr"
        pictures = pictures_in(folder / "rgb_resized_undistorted")
        if len(pictures) > MOST_FRAMES:
            pictures = pictures[:: len(pictures) // MOST_FRAMES]
        files = [FrameFiles(p.stem, p, folder / "render_depth" / f"{p.stem}.png") for p in pictures]
        cameras = NpzCameras([folder / "camera" / f"{p.stem}.npz" for p in pictures], "intrinsic", "extrinsic")
        return FileScene(name, files, cameras.intrinsics, cameras.pose)
