"""A disk that fills while a file is written: an error with its cause, the old file whole, nothing beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOM = 64 * 1024  # bytes
SMALL, BIG = 100, 200_000  # points and characters; the big ones do not fit

CHILD = f"""
import json, resource, signal, sys
from pathlib import Path
import numpy as np
from lsm_core.errors import InputError
from lsm_core.io import PointCloud, write_png, write_point_cloud, write_text

folder, limit = Path(sys.argv[1]), sys.argv[2] == "limit"
rng = np.random.default_rng(0)

def cloud(count):
    return PointCloud(rng.random((count, 3), np.float32), rng.integers(0, 255, (count, 3), np.uint8))

def picture(side):
    return rng.integers(0, 255, (side, side, 3), np.uint8)

writers = {{
    "notes.txt": (lambda path: write_text(path, "x" * {SMALL}), lambda path: write_text(path, "y" * {BIG})),
    "map.ply": (
        lambda path: write_point_cloud(path, cloud({SMALL})),
        lambda path: write_point_cloud(path, cloud({BIG})),
    ),
    "view.png": (lambda path: write_png(path, picture(16)), lambda path: write_png(path, picture(512))),
}}
before = {{}}
for name, (small, _) in writers.items():
    small(folder / name)
    before[name] = (folder / name).read_bytes()
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({ROOM}, {ROOM}))
errors = {{}}
for name, (_, big) in writers.items():
    try:
        big(folder / name)
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


def check(found: dict[str, Any]) -> None:
    assert found["files"] == ["map.ply", "notes.txt", "view.png"] and found["same"]
    assert set(found["errors"]) == set(found["files"])
    for name, message in found["errors"].items():
        assert name in message and "Check free space" in message


def test_a_limit_on_the_size_of_files_leaves_the_old_ones(tmp_path: Path) -> None:
    check(told([sys.executable, "-c", CHILD, str(tmp_path), "limit"]))


def test_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size={ROOM // 1024}k tmpfs {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    inside = f'{mount} && exec "$0" -c "$1" {tmp_path} disk'
    check(told(["unshare", "-rm", "sh", "-c", inside, sys.executable, CHILD]))
