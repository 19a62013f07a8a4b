"""Released test sets: which frames each protocol gives a model, and which it asks for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_layouts import (
    record,
    scannet1500_loftr,
    scannet1500_superglue,
    scannet_lsm_test,
    scannetpp_splatt3r,
    torch_chunks,
)

from lsm_core.data.test_sets import (
    Choice,
    indexed_samples,
    lsm_scannet_samples,
    overlap_tag,
    scannet1500_samples,
    splatt3r_samples,
)
from lsm_core.errors import FileFormatError


def test_lsm_tests_eight_of_thirty_frames_between_their_neighbours(tmp_path: Path) -> None:
    scannet_lsm_test(tmp_path, record(2))
    names = [f"{i:05d}" for i in range(30)]
    (tmp_path / "selected_seqs_test.json").write_text(json.dumps({"scene0686_01": names[::-1]}))
    choices = lsm_scannet_samples(tmp_path).choices
    assert [c.targets[0] for c in choices] == [1, 4, 9, 12, 17, 20, 25, 28]
    assert choices[0].context == (0, 2) and choices[-1].context == (27, 29)
    released = lsm_scannet_samples(tmp_path, "released").choices
    assert released[-1] == Choice("scene0686_01", (27, 28), (29,))


def test_lsm_neighbours_beyond_the_end_are_the_last_frame(tmp_path: Path) -> None:
    scannet_lsm_test(tmp_path, record(5))
    samples = lsm_scannet_samples(tmp_path)
    assert [c.context for c in samples.choices] == [(0, 2), (3, 4)]
    sample = samples[1]
    assert [v.name for v in sample.context] == ["scene0686_01/00060", "scene0686_01/00080"]
    assert sample.targets[0].label is not None and sample.unit == "metric"


def test_splatt3r_takes_every_tenth_sample_and_names_scenes_that_are_missing(tmp_path: Path) -> None:
    recording = record()
    scannetpp_splatt3r(tmp_path, recording)
    entries = [["aaaa000000", str(i % 5), 1, 2] for i in range(31)]
    entries[20][0] = "bbbb000000"
    (tmp_path / "test_set_0.9_0.9.json").write_text(json.dumps(entries))
    samples = splatt3r_samples(tmp_path, tmp_path / "test_set_0.9_0.9.json")
    assert [c.scene for c in samples.choices] == ["aaaa000000"] * 3 and samples.missing == ("bbbb000000",)
    sample = samples[0]
    baseline = sample.context[1].T_world_cam[:3, 3] - sample.context[0].T_world_cam[:3, 3]
    assert np.linalg.norm(baseline) == pytest.approx(0.2), "frame 1 is bad: good frame 1 is picture 2"


def test_an_index_gives_context_targets_and_overlap(tmp_path: Path) -> None:
    torch_chunks(tmp_path, record())
    entries = {
        "5aca87f95a9412c6": {"context": [0, 5], "target": [1, 3, 4], "overlap": 0.6},
        "gone": {"context": [0, 5], "target": [1]},
        "unusable": None,
    }
    (tmp_path / "index.json").write_text(json.dumps(entries))
    samples = indexed_samples(tmp_path, tmp_path / "index.json")
    assert len(samples) == 1 and samples.missing == ("gone",)
    sample = samples[0]
    assert (len(sample.context), len(sample.targets), sample.overlap, sample.unit) == (2, 3, 0.6, "relative")
    assert indexed_samples(tmp_path, tmp_path / "index.json", 3).choices[0].context == (0, 2, 5)


def test_overlaps_have_the_reference_names() -> None:
    tags = [overlap_tag(o) for o in (-1, 0.04, 0.05, 0.3, 0.31, 0.55, 0.56, 0.8, 0.81)]
    assert tags == ["medium", "medium", "small", "small", "medium", "medium", "large", "large", "ignored"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"context": [0, "5"], "target": [1]}, "no lists of frames"),
        ({"context": [0, 1, 2, 3], "target": [1]}, "4 context frames, not 2"),
    ],
)
def test_a_faulty_index_is_named(tmp_path: Path, entry: dict[str, object], message: str) -> None:
    torch_chunks(tmp_path, record(2))
    (tmp_path / "index.json").write_text(json.dumps({"5aca87f95a9412c6": entry}))
    with pytest.raises(FileFormatError, match=message):
        indexed_samples(tmp_path, tmp_path / "index.json")


def test_a_list_of_another_release_is_refused(tmp_path: Path) -> None:
    torch_chunks(tmp_path, record(2))
    entry = {"context": [0, 80], "target": [1], "overlap": "large"}
    (tmp_path / "index.json").write_text(json.dumps({"5aca87f95a9412c6": entry}))
    samples = indexed_samples(tmp_path, tmp_path / "index.json")
    assert samples.choices[0].overlap == 0.75
    with pytest.raises(FileFormatError, match="has 2 frames, but the list asks for frame 80"):
        _ = samples[0]


@pytest.mark.parametrize("write", [scannet1500_loftr, scannet1500_superglue])
def test_scannet_pairs_are_two_context_views(tmp_path: Path, write: object) -> None:
    recording = record(4, 640, 480)
    if write is scannet1500_superglue:
        recording = record(4)
    write(tmp_path, recording)  # type: ignore[operator]
    samples = scannet1500_samples(tmp_path)
    first, second = samples[0].context
    T = np.linalg.inv(first.T_world_cam) @ second.T_world_cam
    np.testing.assert_allclose(T[:3, 3], (0.3, 0, 0), atol=1e-6)
    assert samples[0].targets == ()
