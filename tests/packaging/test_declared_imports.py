"""What the library imports is what pyproject.toml declares."""

from __future__ import annotations

import ast
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import ROOT, tracked_files

# Other rasterizers that one benchmark compares with where somebody has installed them.
COMPARED = {"drjit", "litesplat", "mitsuba"}


@cache
def providers() -> dict[str, list[str]]:
    """Return the installed packages that provide each top-level module."""
    return {
        module: [canonicalize_name(name) for name in names] for module, names in packages_distributions().items()
    }


def declared() -> set[str]:
    """Return the names of all requirements, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return {canonicalize_name(Requirement(text).name) for texts in lists for text in texts}


def imported() -> dict[str, str]:
    """Return foreign top-level modules that the library imports, with one file that does."""
    found: dict[str, str] = {}
    for name in tracked_files("src"):
        if name.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    modules = [node.module]
                found |= {module.partition(".")[0]: name for module in modules}
    return {m: f for m, f in found.items() if m not in sys.stdlib_module_names and m not in {"lsm_core", *COMPARED}}


def test_every_foreign_module_belongs_to_a_declared_package() -> None:
    names = declared()
    unknown = {
        module: file
        for module, file in imported().items()
        if module.lower() not in names and not names.intersection(providers().get(module, []))
    }
    assert not unknown
