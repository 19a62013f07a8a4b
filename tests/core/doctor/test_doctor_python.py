"""Doctor: the interpreter, the one that ros2 run would take, and packages that stand in each other's way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lsm_core.doctor.packages import check_opencv, check_package
from lsm_core.doctor.python_environment import check_launcher, check_version


def environment_at(folder: Path) -> Path:
    """Make what looks like a virtual environment; return its interpreter."""
    python = folder / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    return python


def install(site: Path, name: str, version: str) -> None:
    """Make what pip leaves of a distribution."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")


@pytest.mark.parametrize(("version", "level"), [((3, 10), "problem"), ((3, 11), "ok"), ((3, 13), "problem")])
def test_pythons_without_wheels_are_a_problem(version: tuple[int, int], level: str) -> None:
    assert check_version(version).level == level


def test_the_environment_that_runs_is_the_one_that_ros2_run_takes(tmp_path: Path) -> None:
    python = environment_at(tmp_path / "mine")
    found = check_launcher({"VIRTUAL_ENV": str(tmp_path / "mine")}, str(tmp_path / "mine"), str(python))
    assert found.level == "ok" and found.found == f"{python}, by VIRTUAL_ENV"


def test_lsm_python_counts_before_the_active_environment(tmp_path: Path) -> None:
    mine, other = environment_at(tmp_path / "mine"), environment_at(tmp_path / "other")
    variables = {"VIRTUAL_ENV": str(tmp_path / "mine"), "LSM_PYTHON": str(other)}
    found = check_launcher(variables, str(tmp_path / "mine"), str(mine))
    assert found.code == "python.other" and found.found == f"{other}, by LSM_PYTHON; this is {mine}"
    assert f"LSM_PYTHON={mine}" in found.fix


def test_an_environment_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    found = check_launcher({"VIRTUAL_ENV": str(tmp_path / "gone")}, sys.prefix, sys.executable)
    assert found.code == "python.missing" and found.level == "problem" and "VIRTUAL_ENV" in found.fix


def test_a_missing_package_is_named_with_its_install_command() -> None:
    found = check_package("no_such_module_here", "no-such-package", "Thing")
    assert found.level == "problem" and found.fix == "pip install no-such-package"
    assert check_package("no_such_module_here", "x", "Thing", needed=False).level == "note"


def test_a_package_that_breaks_on_import_is_told_by_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module_here.py").write_text("raise OSError('libfoo.so.1 is missing')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = check_package("broken_module_here", "broken", "Thing")
    assert found.level == "problem" and "libfoo.so.1 is missing" in found.found


def test_two_opencv_packages_over_each_other_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "opencv-python", "4.9.0.80")
    install(tmp_path, "opencv-contrib-python", "4.10.0.1")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = check_opencv()
    assert found.code == "opencv.two" and found.level == "problem"
    assert "opencv-python 4.9.0.80" in found.found
    assert found.fix.startswith("pip uninstall -y opencv-python ") and "opencv-python-headless==" in found.fix


def test_an_opencv_for_numpy_2_beside_numpy_1_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "numpy", "1.26.4")
    install(tmp_path, "opencv-python-headless", "4.12.0.88")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = check_opencv()
    assert found.code == "opencv.numpy" and "constraints-jazzy.txt" in found.fix


def test_the_pair_of_a_full_ros_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "numpy", "1.26.4")
    install(tmp_path, "opencv-python-headless", "4.11.0.86")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert check_opencv().level == "ok"
