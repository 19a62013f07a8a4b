"""THIRD_PARTY.md credits every furniture model that the generator may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsm_core.data.attribution import BEGIN, END, LICENCES, attribution, main, section_of
from lsm_core.data.catalog import FurnitureEntry
from lsm_core.errors import FileFormatError

DOCUMENT = Path(__file__).resolve().parents[3] / "THIRD_PARTY.md"


def test_the_committed_attribution_is_what_the_catalogue_says(catalog: list[FurnitureEntry]) -> None:
    assert section_of(DOCUMENT.read_text(encoding="utf-8")) == attribution(catalog), (
        "run python -m lsm_core.data.attribution THIRD_PARTY.md"
    )


def test_every_creator_and_licence_is_named(catalog: list[FurnitureEntry]) -> None:
    text = attribution(catalog)
    for entry in catalog:
        if entry.label is not None:
            assert f"**{entry.creator}**" in text and LICENCES[entry.pack] in text
    assert "Reallusion" not in text


def test_a_document_without_markers_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("nothing here")
    with pytest.raises(FileFormatError, match="markers"):
        main([str(path)])
    assert path.read_text() == "nothing here"


def test_only_the_part_between_the_markers_is_replaced(tmp_path: Path, catalog: list[FurnitureEntry]) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nstale entry\n{END}\nafter\n")
    assert main([str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "stale entry" not in text
    assert section_of(text) == attribution(catalog)
