"""The layering rule of docs/architecture.md: imports of the library go downwards, and none leads to ROS."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src" / "lsm_core"

# From the bottom. A part may import parts of its own layer and of those below.
LAYERS = (
    {"device_faults", "errors", "sh", "types"},
    {"data", "geometry", "io", "nn", "points", "render", "weights"},
    {"backends"},
    {"mapping", "training"},
    {"query"},
    {"evaluation", "views"},
    {"doctor", "parity"},
    {"cli"},
)
# Conveniences of the public API over the query package, and the tokenizer that lives there; only when called.
UPWARDS_WHEN_CALLED = {
    ("backends/base.py", "query"),
    ("backends/clip_texts.py", "query"),
    ("backends/semantic_source.py", "query"),
    ("backends/tiny.py", "query"),
}
ANYWHERE = {"", "__version__", "_native_threads"}  # of the package itself, below everything
ROS = re.compile(
    r"rclpy|lsm_perception|\w+_msgs|tf2_ros|cv_bridge|rosidl_\w+|rcl_interfaces|ament_\w+|launch(_ros)?"
)


@dataclass(frozen=True)
class Import:
    """One import statement of the library.

    Attributes:
        file: relative to src/lsm_core.
        module: what is imported, dotted.
        when_called: inside a function, or for annotations only: not when the file is imported.
    """

    file: str
    module: str
    when_called: bool

    @property
    def part(self) -> str:
        """The part of the library it leads to, empty for the package itself."""
        return self.module.split(".")[1] if "." in self.module else ""


def imports_of(node: ast.AST, file: str, when_called: bool = False) -> Iterator[Import]:
    """Yield the imports below a node of the syntax tree."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(file, alias.name, when_called) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0 and child.module, f"{file}: imports are absolute here"
            if child.module == "lsm_core":
                yield from (Import(file, f"lsm_core.{alias.name}", when_called) for alias in child.names)
            else:
                yield Import(file, child.module, when_called)
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from imports_of(child, file, when_called or later or typing)


def all_imports() -> list[Import]:
    found: list[Import] = []
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += imports_of(tree, path.relative_to(SOURCES).as_posix())
    return found


IMPORTS = all_imports()
OURS = [i for i in IMPORTS if i.module.split(".")[0] == "lsm_core"]


def home(file: str) -> str:
    """Return the part of the library that a file belongs to."""
    return file.split("/")[0].removesuffix(".py")


def level(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


def test_every_part_of_the_library_has_a_layer() -> None:
    parts = {home(path.relative_to(SOURCES).as_posix()) for path in SOURCES.rglob("*.py")}
    assert parts - ANYWHERE - {"__init__"} == set().union(*LAYERS)


def test_the_picture_of_the_layers_shows_these() -> None:
    drawn: dict[int, set[str]] = {}
    picture = (ROOT / "docs/images/architecture_layers.svg").read_text(encoding="utf-8")
    for y, name in re.findall(r'y="(\d+)"[^>]* class="b">([^<]+)<', picture):
        drawn.setdefault(int(y), set()).add(name)
    from_the_bottom = [drawn[y] - {"ROS node"} for y in sorted(drawn, reverse=True)]
    assert from_the_bottom == [set(layer) - {"device_faults"} for layer in LAYERS]


def test_imports_go_downwards() -> None:
    upwards = [
        i
        for i in OURS
        if home(i.file) not in ANYWHERE | {"__init__"}
        and i.part not in ANYWHERE
        and level(home(i.file)) < level(i.part)
    ]
    assert len(OURS) > 1000
    assert {(i.file, i.part) for i in upwards if i.when_called} == UPWARDS_WHEN_CALLED
    assert not [i for i in upwards if not i.when_called]


def test_no_file_of_the_library_imports_ros() -> None:
    assert not [i for i in IMPORTS if ROS.fullmatch(i.module.split(".")[0])]


def test_networks_hold_equations_only() -> None:
    allowed = {
        "torch",
        "lsm_core",
        "__future__",
        "collections",
        "contextlib",
        "dataclasses",
        "functools",
        "math",
        "typing",
    }
    outside = {
        (i.file, i.module) for i in IMPORTS if home(i.file) == "nn" and i.module.split(".")[0] not in allowed
    }
    assert not outside
    assert not {(i.file, i.part) for i in OURS if home(i.file) == "nn" and i.part in {"io", "data", "weights"}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from lsm_core.cli import main", Import("a.py", "lsm_core.cli", False)),
        ("def f():\n    import lsm_core.query as q", Import("a.py", "lsm_core.query", True)),
        ("if TYPE_CHECKING:\n    from lsm_core import views", Import("a.py", "lsm_core.views", True)),
        ("try:\n    import rclpy\nexcept ImportError:\n    pass", Import("a.py", "rclpy", False)),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, expected: Import) -> None:
    assert list(imports_of(ast.parse(source), "a.py")) == [expected]
