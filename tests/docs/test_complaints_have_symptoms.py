"""Every warning and error that the node's sources log ends with a section of the troubleshooting page."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

NODE = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "lsm_perception" / "lsm_perception"
TOOLS = {"bench", "demo", "soak"}  # programs that measure the node; they print to their user, not to a robot's log
LOG_CALLS = {"warning", "warn", "error", "fatal", "exception", "critical"}
SINKS = {"problem", "_problem", "note", "_warn"}  # lead to a warning, and to /diagnostics
# file: why what it hands on carries no section of its own
EXEMPT = {
    "ros_logging.py": "hands on records of Python's logging",
    "watchdog.py": "capitalises a line that already has its section",
}


def sources() -> list[Path]:
    """Return the files that log to a robot's log."""
    return [p for p in sorted(NODE.rglob("*.py")) if p.relative_to(NODE).parts[0] not in TOOLS]


def complaints(function: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a piece of code that log a warning or worse, or lead to one."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver, name = ast.unparse(node.func.value), node.func.attr
            if name in SINKS or (name in LOG_CALLS and "log" in receiver):
                yield node


def names_a_section(node: ast.AST, lines: set[str]) -> bool:
    """Whether an expression has a call of `see` in it, or a variable made by one."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and ast.unparse(part.func) == "see":
            return True
        if isinstance(part, ast.Name) and part.id in lines:
            return True
    return False


def unlinked(tree: ast.AST) -> list[str]:
    """Return the complaints of a source without a section."""
    found = []
    for function in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]:
        made = [n for n in ast.walk(function) if isinstance(n, ast.Assign) and names_a_section(n.value, set())]
        lines = {target.id for n in made for target in n.targets if isinstance(target, ast.Name)}
        for call in complaints(function):
            if not call.args or not names_a_section(call.args[0], lines):
                found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(NODE)))
def test_every_complaint_names_a_section(path: Path) -> None:
    found = unlinked(ast.parse(path.read_text(encoding="utf-8")))
    if path.name in EXEMPT:
        assert found, f"{path.name} needs no exemption any more"
    else:
        assert not found


def test_a_complaint_without_a_section_is_found() -> None:
    code = "def f(self):\n    line = see('a', S)\n    self.get_logger().error(line)\n    logger.warning('b')\n"
    assert unlinked(ast.parse(code)) == ["logger.warning('b')"]
    assert unlinked(ast.parse("def f(self):\n    self._hooks.problem(str(error))")) != []


def test_enough_complaints_are_looked_at() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources()]
    assert sum(len(list(complaints(tree))) for tree in trees) >= 35
