"""Malformed texts are refused before anything is computed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsm_core.errors import QueryError
from lsm_core.query import check_texts


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["   \t "],
        ["?!"],
        ["chair", ""],
        ["x" * 257],
        ["chair\x00"],
        ["\x1b[31mred"],
        ["bad \ud800 surrogate"],
        [f"thing {i}" for i in range(65)],
        ["chair", "Chair "],
        [3],
        "chair",
    ],
)
def test_malformed_texts_are_refused(texts: list) -> None:
    with pytest.raises(QueryError):
        check_texts(texts)


def test_good_texts_are_tidied() -> None:
    assert check_texts(["  a  red\nchair ", "Tür", "椅子", "x" * 256]) == ("a red chair", "Tür", "椅子", "x" * 256)
    assert len(check_texts([f"thing {i}" for i in range(64)])) == 64


def test_unicode_is_brought_to_one_form() -> None:
    assert check_texts(["Tu\u0308r", "\uff23\uff28\uff21\uff29\uff32", "so\u200bfa\ufeff"]) == (
        "T\u00fcr",
        "CHAIR",
        "sofa",
    )
    assert check_texts(["\u202eriahc"]) == ("riahc",)  # no writing direction for others to be fooled by
    astronaut = "\U0001f469\u200d\U0001f680 chair"
    assert check_texts([astronaut]) == (astronaut,)  # what joins an emoji stays
    with pytest.raises(QueryError, match="twice"):
        check_texts(["T\u00fcr", "Tu\u0308r"])
    with pytest.raises(QueryError, match="empty"):
        check_texts(["\u200b"])
    with pytest.raises(QueryError, match="characters"):
        check_texts(["\ufdfa" * 30])  # one sign stands for 18 letters


@given(st.lists(st.text(max_size=300), max_size=70))
def test_any_input_gives_clean_texts_or_a_typed_error(texts: list[str]) -> None:
    try:
        clean = check_texts(texts)
    except QueryError:
        return
    assert len(clean) == len(texts) and all(text == " ".join(text.split()) and text for text in clean)
    assert check_texts(clean) == clean
