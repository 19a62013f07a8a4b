"""Every complaint leads to a section of docs/troubleshooting.md, and the page quotes what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsm_core import errors
from lsm_core.cli.guide import GUIDE, SECTIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
NODE = ROOT / "ros2_ws" / "src" / "lsm_perception" / "lsm_perception"
CORE = ROOT / "src" / "lsm_core"
HEADING = re.compile(r"^(#{2,3}) (.+)$", re.MULTILINE)
# Sections for what nobody logs: nothing is wrong, or a reply or another program says it.
NO_LOG_LINE = {"no-cloud", "slow", "queries", "exported-files", "training"}
SAYS_ALL = {"bad_input", "bad_query", "unknown_backend", "error"}  # codes whose message is all there is to say
# Errors that a user of robot and command meets; of the others the message says what was wrong with an argument.
FIELD_ERRORS = {"WeightsError", "DependencyError", "DeviceError", "UnknownBackendError", "FileFormatError"}
# What the page quotes of other programs, and of lines in which a word is filled in.
FOREIGN = (
    *(f"no {name} on" for name in ("image", "camera_info", "depth", "odom", "mask")),
    "This Fast DDS version doesn't have the security libraries",
    "SECURITY ERROR: directory",
    "does not exist",
    "This page needs WebGL 2",
    "use_sim_time is true and nothing comes on /clock",
    *(f"scale {state}" for state in ("unknown", "degraded")),
)


def slug(title: str) -> str:
    """Return the anchor that MkDocs (Python-Markdown's toc) gives a heading."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


def sections(level: int = 3) -> set[str]:
    """Return the anchors of the page's headings of a level."""
    return {slug(title) for marks, title in HEADING.findall(PAGE) if len(marks) == level}


def symptoms() -> dict[str, str]:
    """Return the node's symptoms and their anchors, read without importing the ROS package."""
    tree = ast.parse((NODE / "symptoms.py").read_text(encoding="utf-8"))
    (table,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    pairs = [node for node in table.body if isinstance(node, ast.Assign)]
    return {pair.targets[0].id: ast.literal_eval(pair.value) for pair in pairs}  # type: ignore[attr-defined]


def test_every_anchor_that_the_code_names_is_a_section() -> None:
    assert set(symptoms().values()) | set(SECTIONS.values()) <= sections()


def test_every_section_is_reached_from_a_message_or_is_of_what_is_not_logged() -> None:
    named = set(symptoms().values()) | set(SECTIONS.values())
    assert sections() - named == NO_LOG_LINE and not named & NO_LOG_LINE


def test_no_two_headings_share_an_anchor() -> None:
    found = [slug(title) for _, title in HEADING.findall(PAGE)]
    assert len(found) == len(set(found))


def test_every_symptom_is_used() -> None:
    sources = "".join(p.read_text(encoding="utf-8") for p in NODE.rglob("*.py") if p.name != "symptoms.py")
    assert not [name for name in symptoms() if f"Symptom.{name}" not in sources]


def test_node_and_command_name_one_page() -> None:
    assert (ROOT / GUIDE).is_file()
    assert f'GUIDE = "{GUIDE}"' in (NODE / "symptoms.py").read_text(encoding="utf-8")


def test_every_code_of_the_library_has_a_section_or_says_all() -> None:
    codes = {k.code for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.LsmError)}
    assert codes == set(SECTIONS) | SAYS_ALL


def said_by_the_code() -> str:
    """Return all strings of the sources, lower case; what is filled in at run time is left out."""
    found = []
    for path in [*NODE.rglob("*.py"), *CORE.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join([*found, *FOREIGN]).lower()


def quoted_messages() -> Iterator[str]:
    """Yield the messages in the first column of the page's tables of messages."""
    of_messages = False
    for line in PAGE.splitlines():
        cells = line.strip("|").split(" | ") if line.startswith("|") else []
        if not cells:
            of_messages = False
        elif cells[0].strip() == "message":
            of_messages = True
        elif of_messages:
            yield from re.findall(r"`([^`]+)`", cells[0])


def test_the_page_quotes_messages_as_the_code_has_them() -> None:
    said, messages = said_by_the_code(), list(quoted_messages())
    assert len(messages) >= 80
    pieces = {
        piece.strip(" '.,:;").lower() for message in messages for piece in re.split(r"\.\.\.|: |[()]", message)
    }
    assert not sorted(piece for piece in pieces if piece not in said)


def without_fix(path: Path) -> list[str]:
    """Return the errors of the field that a source raises without saying what to do."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            error = node.exc
            fix = len(error.args) > 1 or any(word.arg == "fix" for word in error.keywords)
            if ast.unparse(error.func) in FIELD_ERRORS and not fix:
                found.append(f"{path.name}:{node.lineno} {ast.unparse(error)}")
    return found


def test_errors_of_the_field_name_their_fix() -> None:
    folders = [CORE / name for name in ("backends", "cli", "io", "mapping", "query", "weights")]
    assert not [line for folder in folders for path in folder.rglob("*.py") for line in without_fix(path)]


@pytest.mark.parametrize(
    ("title", "anchor"), [("No images", "no-images"), ("The `lsm` command", "the-lsm-command"), ("QoS", "qos")]
)
def test_slugs_are_those_of_mkdocs(title: str, anchor: str) -> None:
    assert slug(title) == anchor
