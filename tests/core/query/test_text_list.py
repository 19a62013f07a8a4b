"""Lines that name several things are split as a user would expect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsm_core.errors import QueryError
from lsm_core.query import quote_text, split_each, split_texts


@pytest.mark.parametrize(
    ("line", "things"),
    [
        ("the sofa", ("the sofa",)),
        ("chair, table; sofa", ("chair", "table", "sofa")),
        ("chair, table; a red sofa\nlamp,,chair;", ("chair", "table", "a red sofa", "lamp")),
        ('chair, "a red, round table"; sofa', ("chair", "a red, round table", "sofa")),
        ("'salt; pepper' , cup", ("salt; pepper", "cup")),
        ("\u201ca, b\u201d; \u201ec, d\u201c, \u00abe, f\u00bb", ("a, b", "c, d", "e, f")),
        ('12" screen, chair', ('12" screen', "chair")),
        ('"12" monitor, chair', ('"12" monitor', "chair")),
        ("the dog's bowl, cat's bed", ("the dog's bowl", "cat's bed")),
        ('"chair, table', ('"chair', "table")),
        ('"", chair', ("chair",)),
        ("椅子、桌子；床", ("椅子", "桌子", "床")),
        ("كرسي، طاولة", ("كرسي", "طاولة")),
        ("chair, \uff23hair", ("chair",)),
    ],
)  # fmt: skip
def test_a_line_is_split_into_things(line: str, things: tuple[str, ...]) -> None:
    assert split_texts(line) == things


def test_several_lines_keep_their_order_and_which_part_is_whose() -> None:
    assert split_texts(["chair, table", '"a, b"', "sofa"]) == ("chair", "table", "a, b", "sofa")
    assert split_each(["chair, table", "sofa"]) == [["chair", "table"], ["sofa"]]


@pytest.mark.parametrize("text", ["chair", "a red, round table", "salt; pepper", '12" screen', "the dog's bowl"])
def test_a_quoted_text_is_one_thing_again(text: str) -> None:
    assert split_texts(quote_text(text)) == (text,)


MANY = "; ".join(str(i) for i in range(65))


@pytest.mark.parametrize("lines", [" , ; ", "", ["chair", ","], ["chair, sofa", "Sofa"], MANY])
def test_nothing_and_twice_the_same_and_too_much_are_refused(lines: str | list[str]) -> None:
    with pytest.raises(QueryError):
        split_texts(lines)


@given(st.text(alphabet=st.sampled_from(list("ab \"',;\n\u201c\u201d\u0000")), max_size=60))
def test_any_line_gives_clean_things_or_a_typed_error(line: str) -> None:
    try:
        things = split_texts(line)
    except QueryError:
        return
    assert things and all(thing.strip() for thing in things)
    plain = [thing for thing in things if not set(thing) & set(",;\"'\u201c\u201d")]
    assert all(split_texts(thing) == (thing,) for thing in plain)
