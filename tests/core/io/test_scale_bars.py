"""Bars beside pictures say what their colours mean."""

from __future__ import annotations

import numpy as np
import pytest

from lsm_core.io.colormaps import palette
from lsm_core.io.scale_bars import DepthScale, bar_width, legend_bar, score_bar


def ramp_column(bar: np.ndarray) -> np.ndarray:
    """Return the colours [rows, 3] of a bar's ramp and text-free column."""
    return bar[:, round(0.2 * bar.shape[1])].astype(int)


@pytest.mark.parametrize(("nearest", "farthest"), [(0.7, 5.5), (2.0, 2.3), (12.0, 900.0), (0.01, 0.08)])
def test_the_colour_at_a_tick_is_the_colour_of_its_depth(nearest: float, farthest: float) -> None:
    scale = DepthScale(nearest, farthest, metric=True)
    column = ramp_column(scale.bar(360))
    ticks = scale.ticks(360)
    assert len(ticks) >= 2
    for tick in ticks:
        pixel = scale.color(np.array([[tick.value]]))[0, 0].astype(int)
        near_rows = column[max(tick.row - 1, 0) : tick.row + 2]
        assert np.abs(near_rows - pixel).max(1).min() <= 6


def test_a_picture_can_be_read_back_by_the_bar() -> None:
    scale = DepthScale(0.8, 6.0, metric=False)
    height = 480
    column, ticks = ramp_column(scale.bar(height)), scale.ticks(height)
    rows = np.array([tick.row for tick in ticks][::-1], float)
    inverse = np.array([1 / tick.value for tick in ticks][::-1])
    for depth in (0.9, 1.3, 2.2, 4.4):
        colour = scale.color(np.array([[depth]]))[0, 0].astype(int)
        row = int(np.abs(column - colour).sum(1).argmin())
        read = 1 / np.interp(row, rows, inverse)
        if ticks[-1].row < row < ticks[0].row:
            assert read == pytest.approx(depth, rel=0.03)


def test_metres_are_claimed_only_where_they_are_known() -> None:
    metric, relative = (DepthScale(1.0, 4.0, metric=known) for known in (True, False))
    assert all(tick.label.endswith(" m") for tick in metric.ticks(300))
    assert not any("m" in tick.label for tick in relative.ticks(300))
    assert (metric.bar(300) != relative.bar(300)).any()


@pytest.mark.parametrize("height", [24, 72, 361, 1080])
def test_bars_fit_pictures_of_any_height(height: int) -> None:
    for bar in (DepthScale(1.0, 9.0, True).bar(height), score_bar(height)):
        assert bar.shape == (height, bar_width(height), 3) and bar.shape[1] % 2 == 0


def test_a_legend_has_the_colours_of_the_masks() -> None:
    strip = legend_bar(["table", "chair"], 400, 300)
    colours = {tuple(c) for c in strip.reshape(-1, 3).tolist()}
    assert {tuple(c) for c in palette(2).tolist()} <= colours
