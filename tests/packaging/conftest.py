"""A wheel and a source archive of lsm_core, built once per session from the files that git knows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from outside import run
from repository import ROOT, tracked_files

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY.md", "src")
BUILD_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive."""
    folder = tmp_path_factory.mktemp("source")
    for name in tracked_files(*SOURCES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    out = folder / "dist"
    run([sys.executable, "-c", BUILD_SDIST, out], folder)
    (archive,) = out.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="session")
def wheel(sdist: Path) -> Path:
    """The wheel, built from the source archive and nothing else."""
    out = sdist.parent / "wheel"
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
    run([*pip, "-w", out, sdist], out.parent)
    (file,) = out.glob("*.whl")
    return file
