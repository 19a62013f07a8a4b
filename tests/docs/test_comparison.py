"""docs/comparison.md: every row is there, every yes is shown, everything else has its reason, the counts add up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from named_tests import names_of_tests

from lsm_core.backends import backend_names

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "comparison.md"
TEXT = PAGE.read_text(encoding="utf-8")
FEATURES = 83
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
PROOF = ("../src/", "../ros2_ws/", "../tests/")


@dataclass(frozen=True)
class Row:
    """A row of the feature table; marks are of the six systems."""

    number: int
    feature: str
    marks: tuple[str, ...]
    here: str
    why: str

    @property
    def links(self) -> list[tuple[str, str]]:
        """Words and targets of the links that show it."""
        return [(words, target) for words, target in LINK.findall(self.why) if target.startswith(PROOF)]


def section(heading: str) -> str:
    """Return what stands under a heading, up to the next of its level or above."""
    level = heading.split()[0]
    body = TEXT.split(f"\n{heading}\n")[1]
    return re.split(rf"\n#{{1,{len(level)}}} ", body)[0]


def cells(text: str) -> list[list[str]]:
    """Return the rows of all tables of a text, headings and rules included."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def feature_rows() -> list[Row]:
    """Return the feature table."""
    found = [row for row in cells(section("## Features")) if row[0].isdigit()]
    assert all(len(row) == 10 for row in found), [row[0] for row in found if len(row) != 10]
    return [Row(int(r[0]), r[1], tuple(r[2:8]), r[8], r[9]) for r in found]


ROWS = feature_rows()


def listed(opening: str) -> list[int]:
    """Return the numbers of rows that a paragraph lists."""
    (paragraph,) = [part for part in TEXT.split("\n\n") if part.startswith(opening)]
    return [int(number) for number in re.findall(r"\d+", paragraph.split("rows ")[-1].split(".")[0])]


def test_every_feature_has_one_row() -> None:
    assert [row.number for row in ROWS] == list(range(1, FEATURES + 1))
    assert len({row.feature for row in ROWS}) == FEATURES
    assert {mark for row in ROWS for mark in row.marks} <= set("ypn-?")
    assert {row.here for row in ROWS} <= {"yes", "part", "no"}


@pytest.mark.parametrize("row", [row for row in ROWS if row.here == "yes"], ids=lambda row: str(row.number))
def test_every_yes_is_shown_by_code_or_a_test(row: Row) -> None:
    assert row.links
    assert all((PAGE.parent / target).exists() for _, target in row.links)


@pytest.mark.parametrize("row", [row for row in ROWS if row.here != "yes"], ids=lambda row: str(row.number))
def test_everything_else_has_its_reason(row: Row) -> None:
    reason = row.why.split("Missing: ")[1] if row.here == "part" else row.why
    assert len(reason.split()) >= 6 and "TODO" not in row.why


def test_the_words_of_a_link_to_a_test_are_the_name_of_the_test() -> None:
    named = [
        (words, target) for words, target in LINK.findall(TEXT) if re.match(r"\.\./tests/.*test_\w+\.py", target)
    ]
    assert len(named) > FEATURES
    lost = [
        (words, target)
        for words, target in named
        if "test_" + words.replace(" ", "_") not in names_of_tests((PAGE.parent / target).resolve())
    ]
    assert not lost


def test_links_have_no_line_numbers() -> None:
    assert not [target for _, target in LINK.findall(TEXT) if re.search(r"#L\d", target)]


def test_the_summary_counts_what_the_tables_say() -> None:
    stated = {row[0]: int(row[1]) for row in cells(TEXT.split("\n## ")[0]) if row[0] in ("yes", "part", "no")}
    assert stated == {word: sum(row.here == word for row in ROWS) for word in ("yes", "part", "no")}


def test_the_summary_lists_where_this_project_is_alone_and_where_others_are_ahead() -> None:
    alone = [row.number for row in ROWS if row.here == "yes" and not {"y", "p"} & set(row.marks)]
    behind = [row.number for row in ROWS if row.here != "yes" and "y" in row.marks]
    assert listed("**Here, and found in none of the six**") == alone
    assert listed("**The six are ahead**") == behind


def test_every_complaint_has_an_answer_that_is_shown_or_says_that_it_has_none() -> None:
    found = [row for row in cells(section("## What users of such nodes complain about")) if row[0].isdigit()]
    assert [int(row[0]) for row in found] == list(range(1, 15))
    for number, complaint, seen_in, answer, shown in found:
        shown_by_tests = [target for _, target in LINK.findall(shown) if target.startswith("../tests/")]
        assert complaint and seen_in and (shown_by_tests or answer.startswith("**not answered**")), number


def test_every_backend_has_a_row_with_tests() -> None:
    found = cells(section("### What this repository implements, and how far that was shown"))
    named = {row[0].split("`")[1]: row for row in found if row[0].startswith("`")}
    assert set(named) == {*backend_names(), "lseg"}
    assert all("../tests/" in row[-1] for row in named.values())


def printed(command: str) -> list[float]:
    """Return every number that a command has put into a page."""
    pages = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))]
    (block,) = [
        page.split(f"<!-- begin: {command} -->")[1].split(f"<!-- end: {command} -->")[0]
        for page in pages
        if f"<!-- begin: {command} -->" in page
    ]
    return [float(number) for number in re.findall(r"\d*\.?\d+", block)]


def test_our_figures_are_those_that_the_commands_printed() -> None:
    command = ""
    for row in cells(section("#### lsm-tiny on its own tests"))[2:]:
        command = row[4].strip("`") or command
        known = printed(command)
        for text, percent in re.findall(
            r"(\d*\.\d+|\d+(?= %))( %)?", f"{row[2]} {row[3]}".replace("8 classes", "")
        ):
            decimals = len(text.partition(".")[2]) + (2 if percent else 0)
            value = float(text) / (100 if percent else 1)
            assert any(abs(value - number) <= 0.51 * 10**-decimals for number in known), (command, text)


@pytest.mark.parametrize("name", ["lsm", "noposplat", "pixelsplat", "dust3r", "mast3r"])
def test_our_times_are_those_of_the_benchmark(name: str) -> None:
    performance = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    block = performance.split("<!-- begin: lsm bench backends -->")[1]
    (measured,) = [row for row in cells(block) if row[0] == name][:1]
    (ours,) = [row for row in cells(section("### Time")) if row[0].lower() == name]
    assert ours[2].startswith(f"{float(measured[5]) / 1000:.2f} s at 256x256")
