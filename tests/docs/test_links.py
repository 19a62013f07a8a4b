"""What the documents point at exists: files behind links, and tests named as proof."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from named_tests import names_of_tests

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST_FILE = re.compile(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)`")
PROMISES = (
    "No message on any input can stop the node",
    "Every image delivered ends in exactly one of used or dropped(reason)",
    "Output age is bounded by one inference + one frame",
    "Nothing metric is published without a stated scale source",
)


def local_links(text: str) -> list[str]:
    """Return the targets of links to files of this repository, without anchors."""
    found = [target.split("#")[0] for target in LINK.findall(text)]
    return [target for target in found if target and "://" not in target and not target.startswith("mailto:")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    missing = [t for t in local_links(document.read_text(encoding="utf-8")) if not (document.parent / t).exists()]
    assert not missing


def test_tests_named_in_the_reliability_page_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = set(TEST_FILE.findall(text))
    assert len(named) >= 20
    missing = [name for name in named if not list((ROOT / "tests").rglob(name))]
    assert not missing


def test_every_fault_of_the_reliability_page_names_its_test() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    assert {int(row[0]) for row in rows} == set(range(1, 16))
    unproven = [row[1] for row in rows if not TEST_FILE.search(row[-1])]
    assert not unproven


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_of_the_readme_is_linked_to_tests(promise: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## What you can rely on")[1].split("\n## ")[0]
    points = [" ".join(point.split()) for point in section.split("\n- ")]
    (point,) = [point for point in points if point.startswith(f"**{promise}")]
    tests = [ROOT / target for target in local_links(point) if target.startswith("tests/")]
    assert tests
    assert all(names_of_tests(path) for path in tests)
