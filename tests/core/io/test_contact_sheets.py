"""Sheets and their pictures: geometry of the drawing, colours, layout."""

from __future__ import annotations

import numpy as np
import pytest

from lsm_core.errors import InputError
from lsm_core.io.cloud_views import draw_cloud, draw_paths
from lsm_core.io.colormaps import NOTHING, color_confidence, color_depth, palette
from lsm_core.io.overlays import labels_of_masks, overlay_labels
from lsm_core.io.sheets import Panel, compose_sheet

RED, GREEN = np.array([255, 0, 0], np.uint8), np.array([0, 255, 0], np.uint8)


def plate(y: float, colour: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points of a level square at height y (y down)."""
    grid = np.stack(np.meshgrid(np.linspace(-half, half, 150), np.linspace(-half, half, 150)), -1).reshape(-1, 2)
    points = np.stack([grid[:, 0], np.full(len(grid), y), 0.9 * grid[:, 1] + 3], 1)
    return points, np.tile(colour, (len(points), 1))


def test_from_above_the_upper_thing_hides_the_lower_one() -> None:
    (low, low_rgb), (high, high_rgb) = plate(1.0, RED, 1.0), plate(-1.0, GREEN, 0.4)
    points, rgb = np.concatenate([low, high]), np.concatenate([low_rgb, high_rgb])
    image = draw_cloud(points, rgb, "top", (200, 200))
    assert image[100, 100, 1] > 100 and image[100, 100, 0] < 60  # green in the middle
    assert image[100, 45, 0] > 100 and image[100, 45, 1] < 60  # red around it


@pytest.mark.filterwarnings("error")
def test_a_path_goes_on_behind_places_that_are_not_finite() -> None:
    points, rgb = plate(1.0, GREEN, 1.0)
    path = np.array([[-1.0, 0, 2], [np.nan, 0, 3], [1.0, 0, 4]])
    straight, none = (
        draw_cloud(points, rgb, "top", (200, 200), path[[0, 2]]),
        draw_cloud(points, rgb, "top", (200, 200)),
    )
    assert np.array_equal(draw_cloud(points, rgb, "top", (200, 200), path), straight)
    assert np.array_equal(draw_cloud(points, rgb, "top", (200, 200), path[[1]]), none)
    assert np.array_equal(draw_paths([path], path), draw_paths([path[[0, 2]]], path[[0, 2]]))
    draw_cloud(points, rgb, "top", (200, 200), np.array([[0.0, 0, 1], [1e30, 0, 3]]))


def test_from_the_side_up_is_up() -> None:
    (low, low_rgb), (high, high_rgb) = plate(1.0, RED, 1.0), plate(-1.0, GREEN, 1.0)
    image = draw_cloud(np.concatenate([low, high]), np.concatenate([low_rgb, high_rgb]), "side", (200, 200)).astype(
        int
    )
    green = np.nonzero(image[..., 1] - image[..., 0] > 60)[0]
    red = np.nonzero(image[..., 0] - image[..., 1] > 60)[0]
    assert green.max() < red.min()


def test_empty_and_broken_clouds_give_an_empty_picture() -> None:
    empty = draw_cloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    broken = draw_cloud(np.full((5, 3), np.nan), np.zeros((5, 3), np.uint8))
    assert empty.shape == (480, 640, 3) and len(np.unique(empty.reshape(-1, 3), axis=0)) == 1
    np.testing.assert_array_equal(empty, broken)


def test_paths_end_where_they_should() -> None:
    path = np.array([[0, 0, 0], [0, 0, 1], [1.0, 0, 1]])  # forward, then right
    image = draw_paths([path], None, (200, 200)).astype(int)
    rows, columns = np.nonzero(image[..., 0] - image[..., 1] > 100)
    top, bottom = columns[rows < 60], columns[rows > 140]
    assert top.max() > 150 and bottom.max() < 60  # forward is up, right is right


def test_depth_colours_are_warm_near_and_cold_far_and_dark_without() -> None:
    depth = np.array([[1.0, 5.0, np.nan, 0.0]])
    near, far, *nothing = color_depth(depth, 1.0, 5.0)[0].astype(int)
    assert near[0] > near[2] and far[2] >= far[0]
    assert all(tuple(colour) == NOTHING for colour in nothing)
    assert tuple(color_confidence(np.array([[-1.0, 2.0]]))[0, 0]) == NOTHING


def test_palette_colours_differ() -> None:
    colours = palette(12).astype(int)
    distances = np.abs(colours[:, None] - colours[None]).sum(-1) + 1000 * np.eye(12)
    assert distances.min() > 30


def test_overlays_tint_where_the_label_is() -> None:
    image = np.full((20, 30, 3), 100, np.uint8)
    labels = np.full((20, 30), -1)
    labels[5:15, 5:15] = 1
    out = overlay_labels(np.asfortranarray(image), labels, 2).astype(int)
    expected = 0.45 * 100 + 0.55 * palette(2)[1]
    np.testing.assert_allclose(out[10, 10], expected, atol=2)
    assert np.ptp(out[2, 2]) == 0  # grey stays grey
    with pytest.raises(InputError):
        overlay_labels(image, labels[:10], 2)


def test_of_overlapping_masks_the_better_score_counts() -> None:
    masks = [np.array([[True, True, False]]), np.array([[True, False, False]])]
    scores = [np.array([[0.2, 0.2, 0.9]]), np.array([[0.7, 0.9, 0.9]])]
    np.testing.assert_array_equal(labels_of_masks(masks, scores), [[1, 0, -1]])


def test_panels_keep_their_aspect_and_fill_the_row() -> None:
    wide, tall = np.full((100, 300, 3), 10, np.uint8), np.full((300, 100, 3), 200, np.uint8)
    sheet = compose_sheet("T", "s", [[Panel(wide, "a"), Panel(tall, "b", "c", (((1, 2, 3), "chair"),))]], width=900)
    assert sheet.shape[1] == 900
    dark = np.nonzero((sheet == 10).all(-1))
    light = np.nonzero((sheet == 200).all(-1))
    assert np.ptp(dark[1]) / np.ptp(dark[0]) == pytest.approx(3, rel=0.05)
    assert np.ptp(light[0]) / np.ptp(light[1]) == pytest.approx(3, rel=0.05)
    assert np.ptp(light[0]) == pytest.approx(np.ptp(dark[0]), abs=6)


def test_a_sheet_without_panels_is_refused() -> None:
    with pytest.raises(InputError):
        compose_sheet("T", "", [[]])
