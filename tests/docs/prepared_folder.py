"""A folder that has what the documents name: pictures, recordings, a map, weights, results of earlier commands.

The pictures are frames of the packaged sample (`sample_pictures`), the official checkpoints small networks in the
official formats that know these pictures (`prepared_weights`).
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from document_commands import ROOT
from prepared_map import write_room_map
from prepared_names import MAPS, RECORDINGS
from prepared_weights import write_weights
from sample_pictures import sample_pictures, write_pictures

from lsm_core.cli.main import main
from lsm_core.data import sample_path
from lsm_core.io.trajectories import Trajectory, write_tum

WRITTEN = ("docs", "config")  # commands print pages and files into them
NOT_OF_THE_REPOSITORY = ("out", "weights", "site", "runs")
LARGE = 5_000_000  # bytes

sys.path.insert(0, str(ROOT / "tests" / "core" / "data"))


def prepare(folder: Path) -> Path:
    """Fill an empty folder; takes about 20 s on one core."""
    for entry in ROOT.iterdir():
        if entry.name in WRITTEN:
            shutil.copytree(entry, folder / entry.name, ignore=shutil.ignore_patterns("images"))
        elif not entry.name.startswith(".") and entry.name not in NOT_OF_THE_REPOSITORY:
            (folder / entry.name).symlink_to(entry)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    write_pictures(folder)
    for name in RECORDINGS:
        shutil.copytree(sample_path(), folder / name)
    (folder / "BAGS").mkdir()
    shutil.copytree(sample_path(), folder / "BAGS" / "sample_room")
    write_results(folder)
    for name in MAPS:
        write_room_map(folder / name)
    write_weights(folder)
    write_small_files(folder)
    return folder


def copy_for_page(prepared: Path, folder: Path) -> Path:
    """Copy the prepared folder for one page; large files are links."""
    for entry in prepared.iterdir():
        if entry.is_symlink():
            (folder / entry.name).symlink_to(entry.resolve())
        elif entry.is_file():
            copy_or_link(str(entry), str(folder / entry.name))
        else:
            shutil.copytree(entry, folder / entry.name, copy_function=copy_or_link)
    return folder


def copy_or_link(source: str, target: str) -> None:
    """Copy a file that a command may write again; link a large one, which none writes."""
    if os.path.getsize(source) < LARGE:
        shutil.copy(source, target)
    else:
        os.symlink(source, target)


def write_results(folder: Path) -> None:
    """Write what `lsm reconstruct a.jpg b.jpg` leaves, where pages go on with it."""
    made = folder / "out" / "pair"
    assert main(["reconstruct", str(folder / "a.jpg"), str(folder / "b.jpg"), "-o", str(made)]) == 0
    for name in ("kitchen", "room"):
        shutil.copytree(made, folder / "out" / name)
    shutil.copytree(made, folder / "SCENE")
    shutil.copytree(made, folder, dirs_exist_ok=True)  # pages name its files without a folder, too
    pictures = sample_pictures()
    stamps = [10**9 * (index + 1) for index in range(len(pictures))]
    write_tum(folder / "poses.tum", Trajectory.from_unsorted(stamps, [p.T_world_cam for p in pictures]))
    assert main(["export", str(folder / "gaussians.ply"), str(folder / "scene.spz")]) == 0


def write_small_files(folder: Path) -> None:
    """Write a small data set, a fixture for `lsm parity` and a parameter file."""
    from formats.small_layouts import record, scannet_lsm

    scannet_lsm(folder / "scannet_processed", record())
    (folder / "my.yaml").write_text("/**:\n  ros__parameters:\n    points.voxel_m: 0.05\n")
    (folder / "home").mkdir(exist_ok=True)
