"""Python packages: present, importable, and not two of one kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from lsm_core.doctor.finding import Fault, Finding, Level, ok

MISSING = Fault(
    "package.missing",
    "problem",
    "A package is not installed, or does not import (a note where it is optional).",
    "pip install {package}",
    "install.md",
)
TWO_OPENCV = Fault(
    "opencv.two",
    "problem",
    "Several packages that all bring the module cv2 are installed over each other; which files won is chance.",
    "pip uninstall -y {packages} && pip install opencv-python-headless=={version}",
    "install.md#on-a-full-ros-2-installation",
)
OPENCV_FOR_NUMPY = Fault(
    "opencv.numpy",
    "note",
    "This OpenCV asks for NumPy 2 and an older NumPy is loaded, which nobody has tried (a problem where cv2 does "
    "not import).",
    "pip install -c constraints-jazzy.txt numpy opencv-python-headless",
    "install.md#on-a-full-ros-2-installation",
)
FAULTS = (MISSING, TWO_OPENCV, OPENCV_FOR_NUMPY)

OPENCV_PACKAGES = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
NUMPY_2_OPENCV = (4, 12)  # from here on its wheels ask for NumPy 2


def installed_version(package: str) -> str | None:
    """Return a distribution's version, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_package(module: str, package: str, label: str, needed: bool = True) -> Finding:
    """Does a package import, and which version is it?"""
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken installation can raise anything
        reason = "not installed" if isinstance(error, ModuleNotFoundError) else f"does not import: {error}"
        return MISSING.seen(label, reason, "problem" if needed else "note", package=package)
    return ok(label, installed_version(package) or "present")


def check_opencv(versions: Callable[[str], str | None] = installed_version) -> Finding:
    """Is there one OpenCV, and does it fit NumPy?

    Args:
        versions: tells a distribution's version, None where it is not installed.
    """
    found = {name: v for name in OPENCV_PACKAGES if (v := versions(name)) is not None}
    told = ", ".join(f"{name} {v}" for name, v in found.items())
    if len(found) > 1:
        newest = max(found.values(), key=_numbers)
        return TWO_OPENCV.seen("OpenCV", told, packages=" ".join(found), version=newest)
    imported = check_package("cv2", "opencv-python-headless", "OpenCV")
    numpy = versions("numpy")
    if found and numpy is not None and _numbers(numpy)[0] < 2:
        (number,) = found.values()
        if _numbers(number)[:2] >= NUMPY_2_OPENCV:
            level: Level = "note" if imported.level == "ok" else "problem"
            return OPENCV_FOR_NUMPY.seen("OpenCV", f"{told} beside NumPy {numpy}", level)
    return ok("OpenCV", told) if found and imported.level == "ok" else imported


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(".") if word.isdigit()) or (0,)
