"""A full disk or a closed folder: an error with its cause, the old file whole, no other file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOM = 64 * 1024  # bytes
SMALL, BIG = 100, 200_000  # points and characters; the big ones do not fit
NAMES = [
    *("checkpoint.pt", "cloud.ply", "map.lsmmap", "map.tum", "mesh.ply", "notes.txt", "page.html", "scene.glb"),
    *("scene.npz", "scene.ply", "scene.splat", "scene.spz", "view.png"),
]

CHILD = f"""
import json, resource, signal, sys
from pathlib import Path
import numpy as np
import torch
from lsm_core import io
from lsm_core.errors import InputError
from lsm_core.geometry.tsdf import TriangleMesh
from lsm_core.io import html
from lsm_core.io.array_archive import Archive, write_archive
from lsm_core.training.checkpoint import TrainState, save_state
from lsm_core.types import Gaussians

folder, way = Path(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
html._asset = lambda name: "@@SCENE@@"  # the viewer alone would not fit

def cloud(count):
    return io.PointCloud(rng.random((count, 3), np.float32), rng.integers(0, 255, (count, 3), np.uint8))

def picture(count):
    return rng.integers(0, 255, (count // 40 + 8, 128, 3), np.uint8)

def scene(count):
    values = [torch.rand(count, k) + 0.1 for k in (3, 4, 3)]
    return Gaussians(*values, torch.rand(count), torch.rand(count, 1, 3))

def mesh(count):
    corners = rng.integers(0, count, (count, 3)).astype(np.int32)
    return TriangleMesh(rng.random((count, 3), np.float32), np.zeros((count, 3), np.uint8), corners)

def track(count):
    return io.Trajectory(np.arange(count), np.tile(np.eye(4), (count, 1, 1)))

def archive(count):
    return Archive({{}}, {{"points": rng.random((count, 3), np.float32)}}, {{"a.jpg": bytes(count)}})

def state(count):
    return TrainState({{"weight": torch.rand(count)}}, {{}}, 0, {{}}, torch.zeros(1), 0, 0.0, {{}})

writers = {{
    "checkpoint.pt": lambda path, n: save_state(state(n), path.parent),
    "notes.txt": lambda path, n: io.write_text(path, "x" * n),
    "cloud.ply": lambda path, n: io.write_point_cloud(path, cloud(n)),
    "mesh.ply": lambda path, n: io.write_mesh(path, mesh(n)),
    "map.lsmmap": lambda path, n: write_archive(path, "map", 1, archive(n)),
    "map.tum": lambda path, n: io.write_tum(path, track(n // 20)),
    "view.png": lambda path, n: io.write_png(path, picture(n // 20)),
    "scene.ply": lambda path, n: io.write_gaussians(path, scene(n // 20)),
    "scene.splat": lambda path, n: io.write_splat(path, scene(n // 20)),
    "scene.spz": lambda path, n: io.write_spz(path, scene(n // 20)),
    "scene.glb": lambda path, n: io.write_gltf(path, scene(n // 20)),
    "scene.npz": lambda path, n: io.write_npz(path, scene(n // 20)),
    "page.html": lambda path, n: io.write_html(path, scene(n // 20)),
}}
if way == "before":
    for name, write in writers.items():
        write(folder / name, {SMALL})
    sys.exit()
before = {{path.name: path.read_bytes() for path in folder.iterdir()}}
if way == "limit":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({ROOM}, {ROOM}))
errors = {{}}
for name, write in writers.items():
    try:
        write(folder / name, {BIG})
    except InputError as error:
        errors[name] = str(error)
after = {{path.name: path.read_bytes() for path in folder.iterdir()}}
print(json.dumps({{"errors": errors, "same": after == before, "files": sorted(after)}}))
"""


def told(command: list[str]) -> dict[str, Any]:
    """Run the child and return what it found."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one small file of every format."""
    folder = tmp_path_factory.mktemp("small")
    subprocess.run([sys.executable, "-c", CHILD, str(folder), "before"], check=True, timeout=120)
    return folder


@pytest.fixture
def folder(small_files: Path, tmp_path: Path) -> Path:
    """Return a copy of them."""
    return Path(shutil.copytree(small_files, tmp_path / "files"))


def check(found: dict[str, Any], cause: str) -> None:
    assert found["files"] == NAMES and found["same"]
    assert set(found["errors"]) == set(NAMES)
    for name, message in found["errors"].items():
        assert cause in message, (name, message)


def test_a_limit_on_the_size_of_files_leaves_the_old_ones(folder: Path) -> None:
    check(told([sys.executable, "-c", CHILD, str(folder), "limit"]), "Check free space")


def mounted(folder: Path, mount: str, way: str) -> dict[str, Any]:
    """Run the child in a mount namespace of its own; skip where there can be none."""
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    inside = f'{mount} && exec "$0" -c "$1" {folder} {way}'
    return told(["unshare", "-rm", "sh", "-c", inside, sys.executable, CHILD])


def test_a_full_disk_leaves_the_old_files(folder: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size={2 * ROOM // 1024}k tmpfs {disk} && cp {folder}/* {disk}"
    check(mounted(disk, mount, "disk"), "Check free space")


def test_a_folder_on_a_read_only_disk_keeps_its_files(folder: Path) -> None:
    mount = f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"
    check(mounted(folder, mount, "read-only"), "Choose a folder you may write to")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_keeps_its_files(folder: Path) -> None:
    folder.chmod(0o555)
    try:
        check(told([sys.executable, "-c", CHILD, str(folder), "closed"]), "Choose a folder you may write to")
    finally:
        folder.chmod(0o755)
