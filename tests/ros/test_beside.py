"""Work in a thread beside the caller's."""

from __future__ import annotations

import threading

import pytest
from lsm_perception.beside import Beside


def test_the_call_goes_on_while_the_caller_does_something_else() -> None:
    begun, release = threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        assert release.wait(20.0)
        return 7

    beside = Beside("test", work)
    assert begun.wait(20.0)
    release.set()
    assert beside.result() == 7
    assert beside.result() == 7


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    def work() -> int:
        raise ValueError("on purpose")

    beside = Beside("test", work)
    with pytest.raises(ValueError, match="on purpose"):
        beside.result()


def test_nothing_is_a_result_too() -> None:
    assert Beside("test", lambda: None).result() is None
