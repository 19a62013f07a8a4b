"""The contract between readers of data and what uses them: what does not fit is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lsm_core.data.views import PosedView, ViewSample
from lsm_core.errors import InputError


def some_view() -> PosedView:
    K = np.array([[30, 0, 15.5], [0, 30, 11.5], [0, 0, 1]], np.float32)
    return PosedView(np.zeros((24, 32, 3), np.uint8), K, np.eye(4), np.ones((24, 32), np.float32), name="000017")


def test_size_is_height_then_width() -> None:
    assert some_view().size == (24, 32)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"image": np.zeros((24, 32, 3), np.float32)}, "image"),
        ({"K": np.diag([0, 30, 1]).astype(np.float32)}, "intrinsics"),
        ({"T_world_cam": np.diag([2.0, 2.0, 2.0, 1.0])}, "pose"),
        ({"T_world_cam": np.diag([1.0, 1.0, -1.0, 1.0])}, "pose"),
        ({"T_world_cam": np.full((4, 4), np.nan)}, "pose"),
        ({"depth": np.ones((12, 16), np.float32)}, "depth"),
        ({"label": np.ones((24, 32), np.uint8)}, "label"),
        ({"mask": np.ones((24, 32), np.float32)}, "mask"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_name_of_field_and_view(change: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=rf"The {word}s? of view '000017'"):
        replace(some_view(), **change)  # type: ignore[arg-type]


def test_sample_needs_a_context_view() -> None:
    with pytest.raises(InputError, match="scene 'attic'"):
        ViewSample("attic", ())
