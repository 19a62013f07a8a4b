"""One version: lsm_core.__version__ says it, and the ROS packages agree."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from xml.etree import ElementTree

import pytest
from repository import ROOT

import lsm_core

PACKAGES = sorted((ROOT / "ros2_ws" / "src").glob("*/package.xml"))


def test_pyproject_takes_the_version_from_the_library() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in document["project"]
    assert document["project"]["dynamic"] == ["version"]
    assert document["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "lsm_core.__version__"}


def test_there_are_two_ros_packages() -> None:
    assert [path.parent.name for path in PACKAGES] == ["lsm_perception", "lsm_perception_msgs"]


@pytest.mark.parametrize("manifest", PACKAGES, ids=lambda path: path.parent.name)
def test_the_ros_packages_have_the_version_of_the_library(manifest: object) -> None:
    assert ElementTree.parse(str(manifest)).findtext("version") == lsm_core.__version__


@pytest.mark.parametrize("manifest", PACKAGES, ids=lambda path: path.parent.name)
def test_the_ros_packages_have_the_licence_of_the_library(manifest: object) -> None:
    assert ElementTree.parse(str(manifest)).findtext("license") == "Apache-2.0"


def test_setup_py_takes_the_version_from_package_xml() -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT / "ros2_ws" / "src" / "lsm_perception",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split()[-1] == lsm_core.__version__
