"""Parallax corrects a bent depth, keeps units together, and leaves depth alone where there is none to see."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from parallax_room import bent, moved, see
from scipy.spatial.transform import Rotation

from lsm_core.backends.tiny_dense_matches import GridView
from lsm_core.backends.tiny_parallax import ParallaxDepth, ParallaxOptions, depth_from_parallax, grid_view
from lsm_core.backends.tiny_pose import PairPose
from lsm_core.backends.tiny_residuals import PoseOptions
from lsm_core.errors import GeometryError

UNIT_1 = 0.8  # view 1's depth comes in a unit of its own


def error(depth: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Mean relative error after the median is set to the truth's."""
    return float(np.mean(np.abs(depth / np.median(depth) * np.median(true) / true - 1)))


def predicted(view: GridView, unit: float = 1.0) -> GridView:
    return replace(view, depth=unit * bent(view.depth))


def about(T: NDArray[np.float64]) -> PairPose:
    """A pose a little off a true one."""
    near = T.copy()
    near[:3, :3] = Rotation.from_euler("xyz", [0.2, -0.2, 0.1], degrees=True).as_matrix() @ T[:3, :3]
    near[:3, 3] += np.array([-0.02, 0.02, 0.02]) * (np.linalg.norm(T[:3, 3]) > 0)
    return PairPose(near, 1 / UNIT_1, np.ones(7, bool), 7, 1.0, 7)


def correct(first: GridView, second: GridView, pose: PairPose) -> ParallaxDepth:
    return depth_from_parallax(first, second, pose, PoseOptions(), ParallaxOptions())


@pytest.fixture(scope="module")
def true() -> tuple[GridView, GridView]:
    return see(np.eye(4)), see(moved())


@pytest.fixture(scope="module")
def corrected(true: tuple[GridView, GridView]) -> ParallaxDepth:
    return correct(predicted(true[0]), predicted(true[1], UNIT_1), about(moved()))


def test_bent_depth_of_both_views_comes_right(true: tuple[GridView, GridView], corrected: ParallaxDepth) -> None:
    for view, shift in zip(true, corrected.log_shift, strict=True):
        before, after = error(bent(view.depth), view.depth), error(bent(view.depth) * np.exp(shift), view.depth)
        assert before > 0.07
        assert after < 0.35 * before


def test_translation_and_both_depths_stay_in_one_unit(
    true: tuple[GridView, GridView], corrected: ParallaxDepth
) -> None:
    unit = np.linalg.norm(corrected.pose.T_1_0[:3, 3]) / np.linalg.norm(moved()[:3, 3])
    depth_0 = bent(true[0].depth) * np.exp(corrected.log_shift[0])
    depth_1 = corrected.pose.scale_1 * UNIT_1 * bent(true[1].depth) * np.exp(corrected.log_shift[1])
    assert np.median(depth_0 / true[0].depth) == pytest.approx(unit, rel=0.02)
    assert np.median(depth_1 / true[1].depth) == pytest.approx(unit, rel=0.02)


def test_the_pose_is_nearer_the_truth_and_keeps_its_support(corrected: ParallaxDepth) -> None:
    def off(T: NDArray[np.float64]) -> tuple[float, float]:
        turn = np.degrees(Rotation.from_matrix(T[:3, :3] @ moved()[:3, :3].T).magnitude())
        a, b = T[:3, 3], moved()[:3, 3]
        return turn, np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))

    (turn, direction), (turn_0, direction_0) = off(corrected.pose.T_1_0), off(about(moved()).T_1_0)
    assert turn < 0.7 * turn_0 and direction < 0.5 * direction_0
    assert corrected.pose.inlier_count == 7


def test_without_parallax_depth_is_left_exactly_as_it_is() -> None:
    turned = moved(0.0, 0.0, 0.0)
    found = correct(predicted(see(np.eye(4))), predicted(see(turned), UNIT_1), about(turned))
    assert not found.log_shift.any() and not found.confidence.any()


def test_confidence_rises_only_where_parallax_measured_the_depth() -> None:
    T = moved()
    plain_wall = [see(pose, plain=(3,)) for pose in (np.eye(4), T)]  # the right wall shows nothing
    found = correct(predicted(plain_wall[0]), predicted(plain_wall[1], UNIT_1), about(T))
    picture = cv2.resize(plain_wall[0].grey, plain_wall[0].depth.shape[::-1], interpolation=cv2.INTER_AREA)
    blank = cv2.erode((picture == 128).astype(np.uint8), np.ones((13, 13))) > 0
    assert blank.sum() > 100
    assert found.confidence[0][blank].max() < 0.1 * np.median(found.confidence[0][~blank])


def test_what_moved_by_itself_bends_depth_little(true: tuple[GridView, GridView]) -> None:
    second = true[1].grey.copy()
    patch = np.s_[20:56, 30:78]
    second[patch] = np.roll(true[1].grey, 9, axis=0)[patch]  # slides across the epipolar lines
    first = predicted(true[0])
    found = correct(first, predicted(replace(true[1], grey=second), UNIT_1), about(moved()))
    assert error(first.depth * np.exp(found.log_shift[0]), true[0].depth) < 0.5 * error(first.depth, true[0].depth)


def test_views_of_different_places_are_refused(true: tuple[GridView, GridView]) -> None:
    elsewhere = replace(predicted(true[1]), grey=np.ascontiguousarray(true[1].grey[::-1, ::-1]))
    with pytest.raises(GeometryError, match="support"):
        correct(predicted(true[0]), elsewhere, about(moved()))


def test_a_pose_that_explains_only_part_of_the_image_is_refused(true: tuple[GridView, GridView]) -> None:
    second = true[1].grey.copy()
    second[:, 70:] = np.roll(true[1].grey, 11, axis=0)[:, 70:]  # most of the view slid across the epipolar lines
    with pytest.raises(GeometryError, match="support"):
        correct(predicted(true[0]), predicted(replace(true[1], grey=second), UNIT_1), about(moved()))


def test_images_without_texture_are_refused(true: tuple[GridView, GridView]) -> None:
    blank = [replace(predicted(view), grey=np.full_like(view.grey, 90)) for view in true]
    with pytest.raises(GeometryError, match="texture"):
        correct(blank[0], blank[1], about(moved()))


def test_the_same_views_give_the_same_depth(true: tuple[GridView, GridView], corrected: ParallaxDepth) -> None:
    again = correct(predicted(true[0]), predicted(true[1], UNIT_1), about(moved()))
    np.testing.assert_array_equal(again.log_shift, corrected.log_shift)


def test_an_image_of_any_size_lands_on_its_grid() -> None:
    wide = cv2.cvtColor(np.tile(np.arange(0, 240, dtype=np.uint8), (90, 3)), cv2.COLOR_GRAY2RGB)  # [90, 720]
    view = grid_view(wide[:, :400], np.eye(3), np.ones((96, 144)))
    assert view.grey.shape == (192, 288)
