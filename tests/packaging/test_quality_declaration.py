"""The quality level that is claimed is the one that the declaration's own table allows."""

from __future__ import annotations

import re

from repository import ROOT

import lsm_core

PAGE = ROOT / "ros2_ws" / "src" / "lsm_perception" / "QUALITY_DECLARATION.md"
TEXT = PAGE.read_text(encoding="utf-8")
# The lowest level that requires each point: the chart of REP 2004, what it only recommends left out.
CHART = {
    "1.i": 3, "1.ii": 3, "1.iii": 2, "1.iv": 3, "1.v": 3, "1.vi": 2, "2.i": 3, "2.ii": 2, "2.iii": 1, "2.iv": 3,
    "2.v": 1, "3.i": 2, "3.ii": 1, "3.iii": 4, "3.iv": 4, "3.v": 2, "3.v.a": 3, "3.v.c": 3, "4.i": 2, "4.ii": 1,
    "4.iii.a": 2, "4.iii.b": 1, "4.iv.a": 1, "4.iv.b": 1, "4.v.a": 2, "4.v.b": 2, "5.i": 2, "5.iii": 2, "6.i": 3,
    "7.i": 2,
}  # fmt: skip


def rows() -> dict[str, tuple[int, bool]]:
    """Return of each point the lowest level that wants it, and whether it holds."""
    found = re.findall(r"^\| (\d\.[\w.]+) \|[^|]+\| (\d) \| (yes|no) \|", TEXT, re.MULTILINE)
    return {point: (int(wanted), holds == "yes") for point, wanted, holds in found}


def test_the_table_has_every_point_of_the_chart() -> None:
    assert {point: wanted for point, (wanted, _) in rows().items()} == CHART


def test_the_level_claimed_is_the_one_that_the_table_allows() -> None:
    (claimed,) = re.findall(r"claim \*\*Quality Level (\d)\*\*", TEXT)
    missing = [wanted for wanted, holds in rows().values() if not holds]
    assert int(claimed) == max(missing) + 1


def test_a_version_below_one_is_not_called_stable() -> None:
    assert rows()["1.ii"][1] == (int(lsm_core.__version__.split(".")[0]) >= 1)


def test_what_the_readme_does_is_said() -> None:
    assert rows()["3.v.a"][1] == ("QUALITY_DECLARATION.md" in (ROOT / "README.md").read_text(encoding="utf-8"))


def test_links_lead_to_files() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in target]
    assert len(targets) > 10 and all((PAGE.parent / target).exists() for target in targets)
