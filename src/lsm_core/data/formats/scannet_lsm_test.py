"""LSM's ScanNet test set (`scannet_test.tar`): 40 scenes of 30 frames with labels of eight classes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.frame_files import FileRules, FileScene, FrameFiles
from lsm_core.data.formats.npz_cameras import NpzCameras
from lsm_core.data.formats.reading import read_json, read_text
from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.errors import FileFormatError

LABELS = ("wall", "floor", "ceiling", "chair", "table", "sofa", "bed", "other")
SKIPPED = ("scene0696_02",)  # by the released loader
FRAME_LIST, LABEL_TABLE = "selected_seqs_test.json", "scannetv2-labels.combined.tsv"
DEPTH_FOLDERS = ("depths", "depth")  # what the released loader reads, and what its documentation says


class ScanNetLsmTest(Dataset):
    """ROOT/selected_seqs_test.json, SCENE/images/*.jpg with .npz, depths/, labels/; see spec_lsm section 10.

    Labels become 1 to 8 in the order of `LABELS` ("other" for every name not listed); 0 stays unlabelled.
    """

    format: ClassVar[str] = "scannet-lsm-test"
    layout: ClassVar[str] = (
        f"{FRAME_LIST}, {LABEL_TABLE}, SCENE/{{images/*.jpg + .npz, depths/*.png (mm), labels/*.png}}"
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return (root / FRAME_LIST).is_file()

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(sorted(self._frames()))

    def _frames(self) -> dict[str, list[str]]:
        """Return the frames of each scene as the list names them, sorted."""
        path = self.root / FRAME_LIST
        listed = read_json(path)
        if not isinstance(listed, dict) or not all(
            isinstance(frames, list) and all(isinstance(f, str) and Path(f).name == f for f in frames)
            for frames in listed.values()
        ):
            raise FileFormatError(f"'{path}' is no map from scenes to lists of frame names.", "Extract it again.")
        return {scene: sorted(frames) for scene, frames in listed.items() if frames and scene not in SKIPPED}

    def _open(self, name: str) -> Scene:
        folder = self.root / name
        depth = next((folder / d for d in DEPTH_FOLDERS if (folder / d).is_dir()), folder / DEPTH_FOLDERS[0])
        names = self._frames()[name]
        files = [
            FrameFiles(f, folder / "images" / f"{f}.jpg", depth / f"{f}.png", folder / "labels" / f"{f}.png")
            for f in names
        ]
        cameras = NpzCameras([folder / "images" / f"{f}.npz" for f in names], "camera_intrinsics", "camera_pose")
        rules = FileRules(classes=read_label_table(self.root / LABEL_TABLE))
        return FileScene(name, files, cameras.intrinsics, cameras.pose, rules)


def read_label_table(path: Path) -> NDArray[np.int32]:
    """Return the class (0 to 8) of every raw ScanNet label id, as an array to index with.

    Raises:
        FileFormatError: the table is missing, or has no columns `id` and `nyu40class`.
    """
    rows = list(csv.DictReader(io.StringIO(read_text(path)), delimiter="\t"))
    other = LABELS.index("other") + 1
    table = np.full(65536, other, np.int32)
    table[0] = 0
    try:
        for row in rows:
            number, word = int(row["id"]), row["nyu40class"].strip().lower()
            if 0 < number < len(table):
                table[number] = LABELS.index(word) + 1 if word in LABELS else other
    except (KeyError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"'{path}' is no label table: {error}.", "It needs tab-separated columns id and nyu40class."
        ) from error
    return table
