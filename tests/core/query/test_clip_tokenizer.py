"""CLIP's tokenizer: known ids, cleaning, limits, and a missing package."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsm_core.errors import DependencyError, QueryError
from lsm_core.query import clip_tokenizer
from lsm_core.query.clip_tokenizer import CONTEXT, END, START, cleaned, find_merges, tokenize


def ids(text: str) -> list[int]:
    row = tokenize([text])[0].tolist()
    return row[1 : row.index(END)]


def test_words_have_the_ids_of_the_released_vocabulary() -> None:
    assert ids("a photo of a cat") == [320, 1125, 539, 320, 2368]


def test_start_and_end_enclose_the_text_and_zeros_fill_the_rest() -> None:
    row = tokenize(["a cat"])[0]
    assert row[0] == START and row[3] == END and int(row.argmax()) == 3
    assert len(row) == CONTEXT and not row[4:].any()


@pytest.mark.parametrize(
    ("written", "plain"), [("A  CAT\n", "a cat"), ("&amp;lt;", "<"), ("\u00e2\u0080\u0094", "\u2014"), ("  ", "")]
)
def test_texts_are_cleaned_before_they_are_split(written: str, plain: str) -> None:
    assert cleaned(written) == plain and ids(written) == ids(plain)


def test_unknown_words_fall_apart_and_numbers_into_digits() -> None:
    assert len(ids("2026")) == 4
    assert len(ids("qzxv")) > 1
    assert len(ids("\U0001f600\U0001fae8")) >= 2  # bytes, never an unknown token


def test_a_text_that_is_too_long_is_refused() -> None:
    assert int((tokenize(["cat " * 75])[0] != 0).sum()) == CONTEXT
    with pytest.raises(QueryError, match="76 tokens"):
        tokenize(["cat " * 76])


def test_the_absence_of_the_package_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_tokenizer.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="clip-anytorch"):
        find_merges()


def test_another_file_in_its_place_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / clip_tokenizer.FILE).write_bytes(b"not the merges")

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(clip_tokenizer.importlib.util, "find_spec", lambda name: Spec())
    with pytest.raises(DependencyError, match="not the one CLIP uses"):
        find_merges()
