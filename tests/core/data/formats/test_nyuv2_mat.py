"""The labelled frames of NYU Depth v2, written as Matlab 7.3 stores them (axes reversed)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lsm_core.data.formats import open_dataset
from lsm_core.errors import FileFormatError

h5py = pytest.importorskip("h5py")


def write_mat(root: Path, frames: int = 2) -> Path:
    rng = np.random.default_rng(0)
    path = root / "nyu_depth_v2_labeled.mat"
    with h5py.File(path, "w") as file:
        file["images"] = rng.integers(0, 255, (frames, 3, 640, 480), dtype=np.uint8)
        file["depths"] = rng.uniform(1, 5, (frames, 640, 480)).astype(np.float32)
        file["labels"] = rng.integers(0, 894, (frames, 640, 480)).astype(np.uint16)
    return path


@pytest.mark.parametrize("whole", [True, False])
def test_frames_come_upright_with_depth_and_labels(tmp_path: Path, whole: bool) -> None:
    path = write_mat(tmp_path)
    scene = open_dataset(tmp_path if whole else path).scene("labelled")
    assert scene.frames == ("0001", "0002") and not scene.has_poses
    view = scene.view(1)
    with h5py.File(path) as file:
        assert view.image[3, 600, 2] == file["images"][1, 2, 600, 3]
        assert view.depth is not None and view.depth[3, 600] == file["depths"][1, 600, 3]
        assert view.label is not None and view.label[479, 1] == file["labels"][1, 1, 479]


def test_a_truncated_file_or_an_array_elsewhere_is_refused(tmp_path: Path) -> None:
    path = write_mat(tmp_path)
    with h5py.File(path, "a") as file:
        del file["depths"]
        file["depths"] = h5py.ExternalLink("/etc/hostname", "/")
    with pytest.raises(FileFormatError, match="no array 'depths'; it has: depths, images, labels"):
        open_dataset(tmp_path).scene("labelled")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match="truncated"):
        open_dataset(tmp_path).scene("labelled")
