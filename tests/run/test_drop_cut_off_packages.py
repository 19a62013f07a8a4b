"""What an interrupted pip leaves is found; whole packages are left alone."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "drop_cut_off_packages.py"


def _package(site: Path, name: str, version: str, *, without: str = "") -> Path:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    for record in ("METADATA", "RECORD", "INSTALLER"):
        if record != without:
            (info / record).write_text("x")
    return info


def _clean(site: Path) -> set[str]:
    subprocess.run([sys.executable, "-I", "-S", str(SCRIPT), str(site)], check=True)
    return {path.name for path in site.iterdir()}


def test_whole_packages_stay(tmp_path: Path) -> None:
    _package(tmp_path, "numpy", "2.4.6")
    _package(tmp_path, "ros_jazzy_rclpy", "7.1.6")
    (tmp_path / "numpy").mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    assert _clean(tmp_path) == before


def test_half_unpacked_packages_are_forgotten(tmp_path: Path) -> None:
    _package(tmp_path, "torch", "2.13.0+cpu", without="INSTALLER")
    _package(tmp_path, "scipy", "1.17", without="METADATA")
    _package(tmp_path, "numpy", "2.4.6")
    assert _clean(tmp_path) == {"numpy-2.4.6.dist-info"}


def test_both_versions_of_a_cut_off_upgrade_are_forgotten(tmp_path: Path) -> None:
    _package(tmp_path, "setuptools", "84.2.1")
    _package(tmp_path, "setuptools", "79.0.1")
    (tmp_path / "setuptools").mkdir()
    assert _clean(tmp_path) == {"setuptools"}


def test_what_pip_was_removing_goes(tmp_path: Path) -> None:
    (tmp_path / "~etuptools").mkdir()
    (tmp_path / "~etuptools" / "__init__.py").write_text("")
    (tmp_path / "~umpy.py").write_text("")
    _package(tmp_path, "~etuptools", "84.2.1")
    assert _clean(tmp_path) == set()
