"""Words on a saved map: found where they are, without a forward pass, in metres where the map knew them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from mapping.example_map import WordBackend, example_map

from lsm_core.errors import QueryError, UnsupportedError
from lsm_core.mapping import SavedMap, ScaleState, read_map, write_map
from lsm_core.query.map_query import query_map


@pytest.fixture
def saved(tmp_path: Path) -> SavedMap:
    """The example after a round through a file: keyframe 3 shows a lamp (no place), 11 a chair, 12 a table."""
    write_map(tmp_path / "m.lsmmap", example_map())
    return read_map(tmp_path / "m.lsmmap")


def test_each_word_is_found_on_the_keyframe_that_shows_it(saved: SavedMap) -> None:
    backend = WordBackend()
    answer = query_map(backend, saved, ["chair", "table", "lamp"])
    assert backend.forward_passes == 0 and [s.keyframe.id for s in answer.sightings] == [3, 11, 12]
    assert min(answer.presence) > 0.9
    for sighting, word in zip(answer.sightings, (2, 0, 1), strict=True):
        assert int(np.argmax(sighting.found.presence)) == word
        mask = sighting.found.masks[0][word]
        assert mask.shape == (96, 128) and mask[:, :63].all() and not mask[:, 66:].any()


def test_things_are_where_they_stand_in_metres_and_only_of_keyframes_with_a_place(saved: SavedMap) -> None:
    answer = query_map(WordBackend(), saved, ["chair", "lamp"])
    assert [t.instance.label for t in answer.things] == [0]  # the lamp's keyframe has no place
    thing = answer.things[0]
    assert thing.metric and thing.camera == "front"
    # keyframe 11 stands at x = 1.1; the wall's left half, 2 units ahead, in units of 1.75 m
    assert thing.instance.centroid[2] == pytest.approx(2 * 1.75, rel=0.01)
    assert 1.75 * (1.1 - 32 / 28) < thing.instance.centroid[0] < 1.75 * 1.1
    scale = replace(saved.cameras[0].scale, state=ScaleState.DEGRADED)
    unscaled = replace(saved, cameras=(replace(saved.cameras[0], scale=scale),))
    other = query_map(WordBackend(), unscaled, ["chair"]).things[0]
    assert not other.metric and other.instance.centroid[2] == pytest.approx(2, rel=0.01)


def test_the_wrong_model_and_no_words_are_refused(saved: SavedMap) -> None:
    with pytest.raises(UnsupportedError, match="another way"):
        query_map(WordBackend(gain=3), saved, ["chair"])
    with pytest.raises(UnsupportedError, match="no language features"):
        query_map(WordBackend(), replace(saved, text_space=None), ["chair"])
    with pytest.raises(QueryError):
        query_map(WordBackend(), saved, ["?!"])
