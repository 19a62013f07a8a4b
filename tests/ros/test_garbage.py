"""What stays for good is left out of collections, and comes back into them before it is given up."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from lsm_perception import garbage


class Loop:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_full_collection_visits_only_what_came_after_the_freeze() -> None:
    kept = [Loop() for _ in range(1000)]
    garbage.freeze()
    assert gc.get_freeze_count() > len(kept)
    assert len(gc.get_objects()) < 1000


def test_garbage_that_comes_later_is_still_collected() -> None:
    garbage.freeze()
    gone = weakref.ref(Loop())
    gc.collect()
    assert gone() is None


def test_after_a_thaw_what_was_frozen_can_be_freed() -> None:
    loop = Loop()
    gone = weakref.ref(loop)
    garbage.freeze()
    del loop
    gc.collect()
    assert gone() is not None
    garbage.thaw()
    gc.collect()
    assert gone() is None


def test_each_freeze_collects_what_the_one_before_had_kept() -> None:
    loop = Loop()
    gone = weakref.ref(loop)
    garbage.freeze()
    del loop
    garbage.freeze()
    assert gone() is None
