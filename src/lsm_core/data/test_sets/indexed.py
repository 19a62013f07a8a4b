"""Evaluation indices of pixelSplat and NoPoSplat: which frames of which scene are context and targets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lsm_core.data.formats import open_dataset
from lsm_core.data.formats.reading import read_json
from lsm_core.data.test_sets.samples import Choice, ChosenSamples
from lsm_core.errors import FileFormatError

Overlap = Literal["small", "medium", "large", "ignored"]
WORDS = {"large": 0.75}  # overlap written as a word; every other word, and none, counts as 0.25
OTHER_WORD = 0.25


def indexed_samples(root: Path, index: Path, views: int = 2) -> ChosenSamples:
    """Return the samples of an evaluation index, in its order; scenes that it leaves out (null) are left out.

    Args:
        root: chunks with the scenes (`test`, or the folder above it).
        index: the JSON: scene -> null or {context, target, overlap} (spec_noposplat and spec_pixelsplat section 8).
        views: context views; 3 adds the frame in the middle of the listed two, second in order.

    Raises:
        FileFormatError: the index has another form, or the data have none of its scenes.
    """
    listed = read_json(index)
    if not isinstance(listed, dict):
        raise FileFormatError(f"'{index}' is no map from scenes to frames.", "Pass a released evaluation index.")
    test = root / "test"
    dataset = open_dataset(test if test.is_dir() else root)
    known = set(dataset.scenes)
    choices = [_choice(scene, entry, index, views) for scene, entry in listed.items() if entry is not None]
    there = [c for c in choices if c.scene in known]
    if not there:
        raise FileFormatError(
            f"None of the {len(choices)} scenes of '{index}' is in '{root}' ({len(known)} scenes).",
            "Index and data must be of the same data set and split.",
        )
    return ChosenSamples(dataset, there, [c.scene for c in choices if c.scene not in known])


def overlap_tag(overlap: float) -> Overlap:
    """Return NoPoSplat's name of an overlap (below 0.05 is "medium", as in the reference)."""
    if 0.05 <= overlap <= 0.3:
        return "small"
    return "medium" if overlap <= 0.55 else "large" if overlap <= 0.8 else "ignored"


def _choice(scene: str, entry: Any, index: Path, views: int) -> Choice:
    """Return one entry, checked."""
    if not isinstance(entry, Mapping) or not all(_are_frames(entry.get(key)) for key in ("context", "target")):
        raise FileFormatError(
            f"Scene '{scene}' of '{index}' has no lists of frames 'context' and 'target'.", "Download it again."
        )
    context = tuple(entry["context"])
    if views == 3 and len(context) == 2:
        context = (context[0], (context[0] + context[1]) // 2, context[1])
    if len(context) != views:
        raise FileFormatError(
            f"Scene '{scene}' of '{index}' has {len(context)} context frames, not {views}.",
            "Ask for 2 or 3 views of a two-view index, else for as many as it lists.",
        )
    written = entry.get("overlap")
    overlap = float(written) if isinstance(written, int | float) else WORDS.get(str(written), OTHER_WORD)
    return Choice(scene, context, tuple(entry["target"]), overlap)


def _are_frames(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(v, int) and v >= 0 for v in value)
