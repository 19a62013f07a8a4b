"""ScanNet++ as Splatt3R reads it: the raw download beside a processed copy with undistorted pictures and depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.frame_files import FileScene, FrameFiles
from lsm_core.data.formats.reading import pinhole, read_json, read_text, rigid_pose
from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.errors import FileFormatError

SPLITS = {"train": "nvs_sem_train", "val": "nvs_sem_val"}
WITHOUT_DEPTH = ("303745abc7", "cc5237fd77")  # scenes with frames that have no depth, left out by the reference
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


class ScanNetppSplatt3r(Dataset):
    """ROOT/raw/{data, splits} and ROOT/processed; see spec_splatt3r section 7.

    Frames are the training list of each scene without those marked `is_bad`. Poses are nerfstudio's (OpenGL) turned
    to OpenCV axes as the reference does: P T P with P = diag(1, -1, -1, 1), which also turns the world.
    """

    format: ClassVar[str] = "scannetpp-splatt3r"
    layout: ClassVar[str] = (
        "raw/splits/nvs_sem_*.txt, raw/data/SCENE/dslr/{train_test_lists.json, nerfstudio/transforms.json}, "
        "processed/SCENE/dslr/{undistorted_images, undistorted_depths, nerfstudio/transforms_undistorted.json}"
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / "raw" / "data").is_dir() and (root / "processed").is_dir()

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(sorted(p.name for p in (self.root / "processed").iterdir() if (p / "dslr").is_dir()))

    def split(self, stage: str) -> tuple[str, ...]:
        """Return the scenes of "train" or "val" as the reference uses them: those listed, less the two bad ones.

        Raises:
            FileFormatError: the list is missing.
        """
        path = self.root / "raw" / "splits" / f"{SPLITS[stage]}.txt"
        return tuple(scene for scene in read_text(path).split() if scene not in WITHOUT_DEPTH)

    def _open(self, name: str) -> Scene:
        raw, processed = self.root / "raw" / "data" / name / "dslr", self.root / "processed" / name / "dslr"
        cameras_path = processed / "nerfstudio" / "transforms_undistorted.json"
        cameras = read_json(cameras_path)
        listed = _field(read_json(raw / "train_test_lists.json"), "train", raw / "train_test_lists.json", list)
        marks = _by_file(raw / "nerfstudio" / "transforms.json", None)
        frames = _by_file(cameras_path, cameras)
        kept = [f for f in listed if isinstance(f, str) and Path(f).name == f and not _is_bad(marks, f, raw)]
        K = pinhole(
            [_field(cameras, key, cameras_path, (int, float)) for key in ("fl_x", "fl_y", "cx", "cy")],
            f"The camera of '{cameras_path}'",
        )

        def pose(index: int) -> NDArray[np.float64]:
            where = f"The transform_matrix of {kept[index]} in '{cameras_path}'"
            if kept[index] not in frames:
                raise FileFormatError(
                    f"'{cameras_path}' has no frame {kept[index]}.", "Run the undistortion again."
                )
            T = rigid_pose(frames[kept[index]].get("transform_matrix", ()), where)
            return np.asarray(FLIP @ T @ FLIP)

        depth = processed / "undistorted_depths"
        files = [
            FrameFiles(Path(f).stem, processed / "undistorted_images" / f, depth / f"{Path(f).stem}.png")
            for f in kept
        ]
        return FileScene(name, files, lambda _: K, pose)


def _field(data: Any, key: str, path: Path, kind: type | tuple[type, ...]) -> Any:
    """Return an entry of a JSON object, checked."""
    if not isinstance(data, dict) or not isinstance(data.get(key), kind):
        raise FileFormatError(f"'{path}' has no usable '{key}'.", "Download or process this scene again.")
    return data[key]


def _by_file(path: Path, data: Any) -> dict[str, dict[str, Any]]:
    """Return the frames of a nerfstudio file by their file name."""
    frames = _field(read_json(path) if data is None else data, "frames", path, list)
    return {str(f["file_path"]): f for f in frames if isinstance(f, dict) and "file_path" in f}


def _is_bad(marks: dict[str, dict[str, Any]], frame: str, raw: Path) -> bool:
    """Whether the download marks a frame as blurred."""
    if frame not in marks:
        raise FileFormatError(
            f"'{raw}/nerfstudio/transforms.json' has no frame {frame}.", "Download this scene again."
        )
    return bool(marks[frame].get("is_bad", False))
