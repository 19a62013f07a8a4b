"""The wheel holds the whole library with its weights, and works where this clone is not known."""

from __future__ import annotations

import json
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email import message_from_bytes
from itertools import islice
from pathlib import Path

import pytest
from outside import run
from repository import tracked_files

import lsm_core
from lsm_core.data.sample import sample_path
from lsm_core.io import write_png
from lsm_core.io.bags import open_bag

WEIGHTS = "lsm_core/assets/lsm_tiny.safetensors"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two images of the sample room."""
    folder = tmp_path_factory.mktemp("pictures")
    with open_bag(sample_path()) as bag:
        images = [frame.image for frame in islice(bag.frames(), 12)]
    paths = (folder / "a.png", folder / "b.png")
    for path, image in zip(paths, (images[0], images[-1]), strict=True):
        write_png(path, image)
    return paths


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; the libraries that it needs are borrowed from this one."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", "--no-deps"]
    run([*pip, wheel], folder)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    # A plain line is only put behind the path: no other .pth file there (this clone's) is looked at.
    (packages / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    return folder


def reconstruct(environment: Path, pictures: tuple[Path, Path], folder: Path) -> None:
    """Reconstruct the pictures with the `lsm` of an environment, and look at what came out."""
    lsm = environment / "bin" / "lsm"
    where = run([environment / "bin" / "python", "-c", "import lsm_core; print(lsm_core.__file__)"], folder)
    assert Path(where.strip()).is_relative_to(environment.resolve())
    assert run([lsm, "--version"], folder).split()[-1] == lsm_core.__version__
    run([lsm, "reconstruct", *pictures, "-o", folder / "out"], folder)
    poses = json.loads((folder / "out" / "poses.json").read_text(encoding="utf-8"))
    assert poses
    assert list((folder / "out").glob("*.ply"))


def test_the_source_archive_holds_every_tracked_file_of_the_library(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        found = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    wanted = {*tracked_files("src"), "LICENSE", "THIRD_PARTY.md", "README.md", "pyproject.toml"}
    assert not wanted - found


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == {name.removeprefix("src/") for name in tracked_files("src")}
    assert WEIGHTS in found


def test_the_wheel_carries_version_and_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        fields = message_from_bytes(archive.read(metadata))
    assert fields["Version"] == lsm_core.__version__
    licences = {name.rsplit("/", 1)[1] for name in names if ".dist-info/licenses/" in name}
    assert licences == {"LICENSE", "THIRD_PARTY.md"}


def test_the_installed_wheel_reconstructs_two_images(
    installed: Path, pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    reconstruct(installed, pictures, tmp_path)


@pytest.mark.slow
def test_the_wheel_and_what_it_declares_are_enough(
    wheel: Path, pictures: tuple[Path, Path], tmp_path: Path
) -> None:
    """With pip alone, everything it needs from the package index: nothing is borrowed."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    torch = run([sys.executable, "-c", "import torch; print(torch.__version__)"], tmp_path).strip()
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", f"torch=={torch}", wheel]
    run(pip, tmp_path)
    reconstruct(environment, pictures, tmp_path)
