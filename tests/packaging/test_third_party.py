"""THIRD_PARTY.md has a row for every file that is not source text, and a licence for every library."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from repository import ROOT, tracked_files

DOCUMENT = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
ASSETS = ROOT / "src" / "lsm_core" / "assets"
# What people write in this project; anything else came from somewhere or was made by a program.
WRITTEN = {".py", ".pyi", ".md", ".msg", ".srv", ".action", ".txt", ".xml", ".toml", ".yaml", ".yml", ".sh", ".cfg"}
WRITTEN_HERE = {
    ".ci/run", ".dockerignore", ".gitignore", "LICENSE", "run", "ros2_ws/overlay/COLCON_IGNORE",
    "ros2_ws/src/lsm_perception/config/*.json", "ros2_ws/src/lsm_perception/config/*.rviz",
    "ros2_ws/src/lsm_perception/scripts/*", "ros2_ws/*/resource/*", "tools/readers/*", "tools/viewer/*",
    "docker/*", "docs/images/*.svg", "docs/javascripts/*", "docs/stylesheets/*", "*/py.typed",
}  # fmt: skip
REFUSED = re.compile(r"\bA?GPL|GNU (Affero )?General Public|Non-?Commercial|CC[- ]BY[- ]NC", re.IGNORECASE)
BUNDLED = ("@sparkjsdev/spark", "fflate", "three")


def needs_a_row(name: str) -> bool:
    """Whether a file is none that this project's people wrote."""
    if name.startswith("src/lsm_core/assets/"):
        return True
    path = ROOT / name
    if b"\0" in path.read_bytes()[:8192]:
        return True
    return path.suffix not in WRITTEN and not any(fnmatch.fnmatch(name, pattern) for pattern in WRITTEN_HERE)


def rows() -> list[tuple[list[str], list[str]]]:
    """Return the patterns of each row of the table of shipped files, with all its cells."""
    section = DOCUMENT.split("## Shipped in the repository")[1].split("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [(re.findall(r"`([^`]*/[^`]*)`", row[0]), row) for row in cells]


def licence_of(package: str) -> str:
    """Return what an installed package says about its licence."""
    fields = metadata(package)
    classifiers = [c for c in fields.get_all("Classifier", []) if c.startswith("License")]
    return " ".join([fields.get("License-Expression") or "", (fields.get("License") or "")[:200], *classifiers])


def project() -> dict[str, Any]:
    """Return the table [project] of pyproject.toml."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def declared() -> list[Requirement]:
    """Return the requirements of the library with all its extras."""
    lists = [project()["dependencies"], *project()["optional-dependencies"].values()]
    return [Requirement(text) for texts in lists for text in texts]


def closure() -> set[str]:
    """Return every package that the library needs without extras, directly or through others."""
    todo = [Requirement(text) for text in project()["dependencies"]]
    found: set[str] = set()
    while todo:
        requirement = todo.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name.lower() not in found:
            found.add(requirement.name.lower())
            todo += [Requirement(text) for text in requires(requirement.name) or []]
    return found


def test_every_file_that_is_no_source_text_has_one_row() -> None:
    patterns = [pattern for names, _ in rows() for pattern in names]
    count = {
        name: sum(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        for name in tracked_files()
        if needs_a_row(name)
    }
    assert len(count) > 20
    assert not {name: n for name, n in count.items() if n != 1}, "THIRD_PARTY.md needs a row: origin and terms"


def test_every_row_has_files_an_origin_and_terms() -> None:
    files = tracked_files()
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for _, row in rows())
    patterns = [pattern for names, _ in rows() for pattern in names]
    assert not [pattern for pattern in patterns if not fnmatch.filter(files, pattern)]


def test_the_bundled_scripts_are_credited_with_the_versions_that_were_built_in() -> None:
    lock = json.loads((ROOT / "tools" / "viewer" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    shipped = {k.removeprefix("node_modules/"): v for k, v in lock.items() if k and not v.get("dev")}
    assert sorted(shipped) == sorted(BUNDLED)
    notices = (ASSETS / "viewer" / "LICENSES.txt").read_text(encoding="utf-8")
    head = (ASSETS / "viewer" / "viewer.js").read_text(encoding="utf-8")[:20_000]
    (row,) = [row[1] for names, row in rows() if "src/lsm_core/assets/viewer/viewer.js" in names]
    for name, entry in shipped.items():
        line = f"{name} {entry['version']} ({entry['license']})"
        assert line in notices and line in head, f"build the viewer again: {line}"
        assert re.search(rf"{re.escape(entry['version'])} \(`{re.escape(name)}`\)", row), line


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_every_declared_library_has_a_row(requirement: Requirement) -> None:
    assert f"`{requirement.name}`" in DOCUMENT.split("## Libraries")[1]


def test_no_library_below_the_core_forbids_anybody_its_use() -> None:
    """No GPL and no non-commercial terms in what `pip install lsm_core` brings, directly or not."""
    licences = {name: licence_of(name) for name in closure()}
    assert len(licences) > 20
    assert not {name: text for name, text in licences.items() if REFUSED.search(text)}


def test_weights_that_come_as_packages_are_named() -> None:
    files = sorted((ROOT / "requirements").glob("models*.txt"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    packages = [line.split("==")[0] for line in lines if line and not line.startswith("#")]
    assert not [name for name in packages if f"`{name}`" not in DOCUMENT]


def test_repeated_interface_definitions_name_their_source() -> None:
    section = DOCUMENT.split("## Interface definitions")[1].split("\n## ")[0]
    with_messages = {Path(name).parts[2] for name in tracked_files("ros2_ws/overlay") if name.endswith(".msg")}
    assert not [package for package in with_messages if f"`ros2_ws/overlay/{package}`" not in section]
