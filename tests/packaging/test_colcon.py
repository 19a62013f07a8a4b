"""The ROS packages are found and built by plain colcon, as in anybody's workspace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from repository import ROOT, tracked_files

pytestmark = pytest.mark.ros
PACKAGES = ("lsm_perception", "lsm_perception_msgs")


def colcon(*words: str, cwd: Path) -> str:
    """Run colcon; return what it printed, or fail the test with it."""
    pytest.importorskip("colcon_core")
    command = [sys.executable, "-m", "colcon", "--log-base", "log", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace whose src/ holds a clone of this repository."""
    clone = tmp_path / "src" / "clone"
    for name in tracked_files():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("ros2_ws/") or not name.endswith((".safetensors", ".mcap", ".jpg", ".png", ".webp")):
            shutil.copy2(ROOT / name, clone / name)
    return tmp_path


def test_colcon_finds_the_two_packages_and_no_other(workspace: Path) -> None:
    found = [line.split() for line in colcon("list", cwd=workspace).splitlines()]
    assert sorted((name, kind) for name, _, kind in found) == [
        ("lsm_perception", "(ros.ament_python)"),
        ("lsm_perception_msgs", "(ros.ament_cmake)"),
    ]


@pytest.mark.slow
def test_both_packages_build_and_install_what_ros2_looks_for(workspace: Path) -> None:
    in_virtualenv = ["--cmake-args", "-DPython3_FIND_VIRTUALENV=ONLY"] if os.environ.get("VIRTUAL_ENV") else []
    colcon("build", *in_virtualenv, cwd=workspace)
    for name in PACKAGES:
        prefix = workspace / "install" / name
        assert (prefix / "share" / "ament_index" / "resource_index" / "packages" / name).is_file()
        assert ElementTree.parse(prefix / "share" / name / "package.xml").findtext("name") == name
    node = workspace / "install" / "lsm_perception"
    assert os.access(node / "lib" / "lsm_perception" / "lsm_perception", os.X_OK)
    launch = {path.name for path in (node / "share" / "lsm_perception" / "launch").iterdir()}
    assert launch == {path.name for path in (ROOT / "ros2_ws/src/lsm_perception/launch").glob("*.launch.py")}
    page = (node / "share" / "lsm_perception" / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    assert page == (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = workspace / "install" / "lsm_perception_msgs"
    defined = {p.stem for p in (ROOT / "ros2_ws/src/lsm_perception_msgs").glob("[ms][sr][gv]/*.[ms][sr][gv]")}
    shared = {path.stem for path in (messages / "share" / "lsm_perception_msgs").rglob("*.[ms][sr][gv]")}
    assert defined <= shared and len(defined) >= 15
    assert list(messages.rglob("liblsm_perception_msgs__rosidl_typesupport_c.so"))
