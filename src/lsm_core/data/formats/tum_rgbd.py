"""TUM RGB-D: colour, depth and motion capture, each with its own clock ticks, joined by time."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.association import associate
from lsm_core.data.formats.frame_files import FileRules, FileScene, FrameFiles
from lsm_core.data.formats.lens import Lens
from lsm_core.data.formats.reading import read_intrinsics, read_text
from lsm_core.data.formats.scene import Scene, SceneFolders
from lsm_core.errors import FileFormatError
from lsm_core.io.trajectories import Trajectory, read_tum

SIZE = (640, 480)
METRES_PER_STEP = 1 / 5000
MOST_APART_S = 0.02  # as the benchmark's associate.py
# The benchmark's calibration of the colour camera: fx fy cx cy, then OpenCV's k1 k2 p1 p2 k3. The pictures of
# freiburg3 are straightened already.
CAMERAS = {
    "freiburg1": ((517.3, 516.5, 318.6, 255.3), (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "freiburg2": ((520.9, 521.0, 325.1, 249.7), (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "freiburg3": ((535.4, 539.2, 320.1, 247.6), ()),
}


class TumRgbd(SceneFolders):
    """SEQUENCE/{rgb.txt, depth.txt, groundtruth.txt, rgb/, depth/}; depth in 1/5000 m.

    A frame is a picture with the depth and the pose nearest in time, both within 20 ms; pictures without either are
    left out. The camera is the one of the sequence's name (freiburg1, 2, 3), or K.txt (without distortion).
    """

    format: ClassVar[str] = "tum-rgbd"
    layout: ClassVar[str] = "SEQUENCE/{rgb.txt, depth.txt, groundtruth.txt, rgb/*.png, depth/*.png (1/5000 m)}"
    marks: ClassVar[tuple[str, ...]] = ("rgb.txt", "depth.txt", "groundtruth.txt")

    def _open_folder(self, name: str, folder: Path) -> Scene:
        colour, depth = read_file_list(folder / "rgb.txt"), read_file_list(folder / "depth.txt")
        truth = read_tum(folder / "groundtruth.txt")
        files, poses = _joined(folder, colour, depth, truth)
        K, rules = _camera(folder, name)
        return FileScene(name, files, lambda _: K, lambda i: poses[i], rules)


def read_file_list(path: Path) -> dict[int, str]:
    """Return stamp (ns) -> relative file of a list like rgb.txt.

    Raises:
        FileFormatError: missing, a line that is no `seconds file`, or a file outside the sequence.
    """
    files = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split()
        whole, _, part = words[0].partition(".")
        if len(words) != 2 or not whole.isdigit() or not (part.isdigit() or not part):
            raise FileFormatError(f"'{path}' line {number} is '{line.strip()[:60]}'.", "Lines are: seconds file.")
        if Path(words[1]).is_absolute() or ".." in Path(words[1]).parts:
            raise FileFormatError(f"'{path}' line {number} points outside the sequence.", "Use relative names.")
        files[int(whole) * 10**9 + int((part + "000000000")[:9])] = words[1]
    return files


def _joined(
    folder: Path, colour: dict[int, str], depth: dict[int, str], truth: Trajectory
) -> tuple[list[FrameFiles], list[NDArray[np.float64]]]:
    """Return the frames that have depth and a pose near in time."""
    pictures = np.array(sorted(colour), np.int64)
    limit = round(MOST_APART_S * 1e9)
    with_depth = dict(associate(pictures, np.array(sorted(depth), np.int64), limit))
    with_pose = dict(associate(pictures, truth.stamps_ns, limit))
    both = [i for i in range(len(pictures)) if i in with_depth and i in with_pose]
    if not both:
        raise FileFormatError(
            f"No picture of '{folder}' has depth and a pose within {MOST_APART_S * 1000:.0f} ms "
            f"({len(colour)} pictures, {len(depth)} depth images, {len(truth)} poses).",
            "rgb.txt, depth.txt and groundtruth.txt must have the same clock.",
        )
    stamps = sorted(depth)
    files = []
    for i in both:
        picture, range_image = colour[int(pictures[i])], depth[stamps[with_depth[i]]]
        files.append(FrameFiles(Path(picture).stem, folder / picture, folder / range_image))
    return files, [truth.poses[with_pose[i]] for i in both]


def _camera(folder: Path, name: str) -> tuple[NDArray[np.float32], FileRules]:
    """Return K and how to read the files."""
    if (folder / "K.txt").is_file():
        return read_intrinsics(folder / "K.txt"), FileRules(METRES_PER_STEP)
    known = next((camera for key, camera in CAMERAS.items() if key in name), None)
    if known is None:
        raise FileFormatError(
            f"'{folder}' has no K.txt, and its name has none of {', '.join(CAMERAS)}.",
            "Write fx fy cx cy of the straightened pictures into K.txt.",
        )
    (fx, fy, cx, cy), distortion = known
    K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    lens = Lens(K, np.array(distortion), SIZE) if distortion else None
    return K.astype(np.float32), FileRules(METRES_PER_STEP, lens=lens)
