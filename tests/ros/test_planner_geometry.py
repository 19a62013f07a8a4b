"""The arithmetic of the planner examples: pixels to ground cells, boxes to places, agreement, and what is void."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.calibration import Calibration
from lsm_perception.conversions import stamp_from_ns
from lsm_perception.examples.approach import Box, place_before, places_around
from lsm_perception.examples.free_ground import free_ground
from lsm_perception.examples.goal_from_detection import goal_message
from lsm_perception.examples.ground_mask import GroundMask, GroundMaskConfig, shifted, widened
from lsm_perception.examples.label_table import LabelTable
from lsm_perception.examples.labelled_points import MAX_PIXELS, LabelledPixels
from lsm_perception.examples.mask_message import CLOSED, UNSAID, Mask, same_cells
from lsm_perception.examples.same_stamp import SameStamp
from lsm_perception.examples.scale_gate import ScaleGate
from lsm_perception.examples.sightings import Agreement, Sighting
from lsm_perception_msgs.msg import Scale
from nav_msgs.msg import OccupancyGrid

from lsm_core.errors import InputError

SECOND = 1_000_000_000
ONE_LOOK = GroundMaskConfig(resolution_m=0.1, size_m=4.0, points=1, looks=1)


def box_at(x: float, y: float, yaw: float = 0.0, size: tuple[float, float, float] = (1.0, 0.4, 0.8)) -> Box:
    T = np.eye(4)
    T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    T[:3, 3] = (x, y, 0.4)
    return Box(T, size)


def spots(*places: tuple[float, float, float]) -> np.ndarray:
    return np.array(places, np.float64).reshape(-1, 3)


def marked_middles(ground: GroundMask) -> set[tuple[float, float]]:
    rows, columns = np.nonzero(ground.marked)
    (x, y), side = ground.origin, ground.resolution_m
    return {
        (round(x + (c + 0.5) * side, 3), round(y + (r + 0.5) * side, 3)) for r, c in zip(rows, columns, strict=True)
    }


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


# ------------------------------------------------------------------------------------------ pixels to points


def test_each_label_gets_the_point_its_pixel_shows_through_a_distorting_lens() -> None:
    K = np.array([[300.0, 0, 161.0], [0, 305.0, 118.0], [0, 0, 1]])
    distortion = np.array([-0.25, 0.08, 0.001, -0.002, 0.0])
    K_depth = np.array([[150.0, 0, 70.0], [0, 152.5, 50.0], [0, 0, 1]])  # half the size, cropped
    height, width = 110, 145
    lookup = LabelledPixels(Calibration(320, 240, K, distortion), K_depth, (height, width))
    row, column = np.mgrid[:height, :width]
    depth = (2.0 + 0.01 * column + 0.005 * row).astype(np.float32)
    labels = np.arange(320 * 240, dtype=np.int64).reshape(240, 320)  # each pixel tells which it is
    points, which = lookup.points(labels, depth, max_depth_m=10.0)
    assert len(points) > 20_000
    seen, _ = cv2.projectPoints(points.astype(np.float64), np.zeros(3), np.zeros(3), K, distortion)
    truth = np.stack([which % 320, which // 320], -1)
    assert np.abs(seen.reshape(-1, 2) - truth).max() < 0.02
    where = points[:, :2] / points[:, 2:] * [150.0, 152.5] + [70.0, 50.0]
    expected = 2.0 + 0.01 * np.rint(where[:, 0]) + 0.005 * np.rint(where[:, 1])
    assert np.abs(points[:, 2] - expected).max() < 0.011  # the nearest pixel of the depth image


def test_pixels_without_depth_or_too_far_give_no_point() -> None:
    K = np.array([[20.0, 0, 9.5], [0, 20.0, 9.5], [0, 0, 1]])
    lookup = LabelledPixels(Calibration(20, 20, K, np.zeros(5)), K, (20, 20))
    depth = np.full((20, 20), 2.0, np.float32)
    depth[:5], depth[5:10] = np.nan, 9.0
    points, labels = lookup.points(np.repeat(np.arange(20, dtype=np.uint8)[:, None], 20, 1), depth, 5.0)
    assert len(points) == 200 and labels.min() == 10 and (points[:, 2] == 2.0).all()


def test_of_large_images_not_every_pixel_is_looked_at() -> None:
    K = np.array([[2000.0, 0, 2000], [0, 2000.0, 1500], [0, 0, 1]])
    lookup = LabelledPixels(Calibration(4000, 3000, K), K / 10, (300, 400))
    points, _ = lookup.points(np.zeros((3000, 4000), np.uint8), np.ones((300, 400), np.float32), 5.0)
    assert MAX_PIXELS / 2 < len(points) <= MAX_PIXELS * 1.02


# ------------------------------------------------------------------------------------------ the ground


def test_a_cell_is_marked_where_the_word_stands_and_not_beside_it() -> None:
    ground = GroundMask(ONE_LOOK)
    ground.look(spots((1.05, 0.55, 0.3), (-0.25, 0.15, 0.0)), np.array([True, False]), (0.0, 0.0), 1)
    assert marked_middles(ground) == {(1.05, 0.55)}


def test_several_images_must_agree_and_several_must_take_it_back() -> None:
    ground = GroundMask(GroundMaskConfig(resolution_m=0.1, size_m=4.0, points=1, looks=2))
    thing, floor = (spots((1.05, 0.55, 0.3)), np.array([True])), (spots((1.05, 0.55, 0.0)), np.array([False]))
    seen = []
    for look in (thing, thing, floor, floor, thing, thing, thing, thing, floor, floor, floor, floor):
        ground.look(*look, (0.0, 0.0), 1)
        seen.append(bool(ground.marked.any()))
    assert seen == [False, True, True, False, False, True, True, True, True, True, True, False]


def test_a_table_above_a_rug_does_not_take_the_rug_back() -> None:
    ground = GroundMask(ONE_LOOK)
    ground.look(spots((1.05, 0.55, 0.0)), np.array([True]), (0.0, 0.0), 1)
    for _ in range(5):
        ground.look(spots((1.05, 0.55, 0.75)), np.array([False]), (0.0, 0.0), 1)
    assert marked_middles(ground) == {(1.05, 0.55)}


def test_what_hangs_above_the_robot_is_no_concern() -> None:
    ground = GroundMask(ONE_LOOK)
    ground.look(spots((1.05, 0.55, 2.3), (0.55, 0.55, -0.4)), np.array([True, True]), (0.0, 0.0), 1)
    assert not ground.marked.any()


def test_a_window_follows_the_camera_keeps_what_stays_inside_and_never_grows() -> None:
    ground = GroundMask(ONE_LOOK)
    ground.look(spots((1.05, 0.55, 0.1), (-1.55, 0.05, 0.1)), np.array([True, True]), (0.0, 0.0), 1)
    nothing = spots(), np.zeros(0, np.bool_)
    for step in range(1, 15):
        ground.look(*nothing, (0.1 * step, 0.0), 1)
    assert marked_middles(ground) == {(1.05, 0.55)}
    assert ground.marked.shape == (40, 40)
    ground.look(*nothing, (100.0, -50.0), 1)
    assert not ground.marked.any() and ground.marked.shape == (40, 40)
    assert abs(ground.origin[0] + 2.0 - 100.0) < 0.5 and abs(ground.origin[1] + 2.0 + 50.0) < 0.5


def test_cells_that_are_not_seen_again_are_forgotten_where_that_is_wanted() -> None:
    ground = GroundMask(GroundMaskConfig(resolution_m=0.1, size_m=4.0, points=1, looks=1, memory_s=3.0))
    ground.look(spots((1.05, 0.55, 0.3)), np.array([True]), (0.0, 0.0), 10 * SECOND)
    ground.look(spots(), np.zeros(0, np.bool_), (0.0, 0.0), 13 * SECOND)
    assert ground.marked.any()
    ground.look(spots(), np.zeros(0, np.bool_), (0.0, 0.0), 13 * SECOND + 1)
    assert not ground.marked.any()


@settings(max_examples=60, deadline=None)
@given(st.integers(-12, 12), st.integers(-12, 12), st.integers(0, 2**31))
def test_moving_a_window_keeps_each_cell_at_its_place(dx: int, dy: int, seed: int) -> None:
    cells = np.random.default_rng(seed).integers(1, 99, (8, 8))
    moved = shifted(cells, (dx, dy))
    for row in range(8):
        for column in range(8):
            inside = 0 <= row + dy < 8 and 0 <= column + dx < 8
            assert moved[row, column] == (cells[row + dy, column + dx] if inside else 0)


def test_a_margin_is_a_disc() -> None:
    cells = np.zeros((11, 11), np.bool_)
    cells[5, 5] = True
    rows, columns = np.nonzero(widened(cells, 3))
    distance = np.hypot(rows - 5, columns - 5)
    assert distance.max() <= 3.2 and len(rows) > 24 and np.array_equal(widened(cells, 0), cells)


def test_a_mask_message_has_its_cells_where_the_ground_has_them() -> None:
    ground = GroundMask(ONE_LOOK)
    ground.look(spots((1.05, -0.55, 0.3)), np.array([True]), (0.0, 0.0), 1)
    message = Mask("keepout_mask", ("rug",), CLOSED, UNSAID, ground).message("odom", 1_700_000_000_000_000_007, 0.0)
    assert message.header.stamp == stamp_from_ns(1_700_000_000_000_000_007) and message.header.frame_id == "odom"
    cells = np.asarray(message.data, np.int8).reshape(message.info.height, message.info.width)
    ((row, column),) = np.argwhere(cells == CLOSED)
    origin, side = message.info.origin.position, message.info.resolution
    assert origin.x + (column + 0.5) * side == pytest.approx(1.05, abs=1e-6)
    assert origin.y + (row + 0.5) * side == pytest.approx(-0.55, abs=1e-6)
    assert (cells == UNSAID).sum() == cells.size - 1
    again = Mask("keepout_mask", ("rug",), CLOSED, UNSAID, ground).message("odom", 1_700_000_001_000_000_000, 0.0)
    assert same_cells(message, again) and not same_cells(None, again)


# ------------------------------------------------------------------------------------------ places


@settings(max_examples=80, deadline=None)
@given(
    st.floats(-5, 5), st.floats(-5, 5), st.floats(-math.pi, math.pi), st.floats(-math.pi, math.pi), st.floats(0, 2)
)
def test_a_place_is_at_its_distance_from_the_outline_and_looks_at_the_middle(
    x: float, y: float, yaw: float, side: float, standoff: float
) -> None:
    box = box_at(x, y, yaw)
    place = place_before(box, side, standoff)
    towards = np.array([math.cos(place.yaw), math.sin(place.yaw)])
    to_middle = np.array([x - place.x, y - place.y])
    assert towards @ to_middle == pytest.approx(np.linalg.norm(to_middle), abs=1e-9)
    corners = np.array([(sx, sy) for sx in (-0.5, 0.5) for sy in (-0.2, 0.2)])
    turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
    nearest = ((corners @ turn.T + [x, y] - [place.x, place.y]) @ towards).min()
    assert nearest == pytest.approx(standoff, abs=1e-9)  # no corner is nearer along the line of sight


def test_the_robots_side_comes_first_and_all_sides_are_tried_once() -> None:
    box = box_at(3.0, 1.0)
    places = list(places_around(box, (0.0, 1.0), 0.5))
    assert places[0].x == pytest.approx(2.0) and places[0].y == pytest.approx(1.0)
    assert places[0].yaw == pytest.approx(0.0)
    sides = [math.degrees(math.atan2(p.y - 1.0, p.x - 3.0)) % 360 for p in places]
    assert len(places) == 24 and sorted(round(s) % 360 for s in sides) == list(range(0, 360, 15))
    turns = [abs(math.remainder(s - 180.0, 360.0)) for s in sides]
    assert turns == sorted(turns, key=lambda t: round(t))


def test_a_goal_is_planar_and_has_the_images_stamp() -> None:
    place = place_before(box_at(1.0, 2.0), math.radians(30.0), 0.5)
    goal = goal_message(place, "map", 1_700_000_000_123_456_789)
    turn = goal.pose.orientation
    assert goal.header.stamp == stamp_from_ns(1_700_000_000_123_456_789) and goal.header.frame_id == "map"
    assert (turn.x, turn.y, goal.pose.position.z) == (0.0, 0.0, 0.0)
    assert math.remainder(2 * math.atan2(turn.z, turn.w) - math.radians(210.0), 2 * math.pi) == pytest.approx(0.0)


def test_ground_is_free_where_the_costmap_says_so_and_nowhere_else() -> None:
    message = OccupancyGrid(data=[0, 30, 99, 100, -1, 0])
    message.header.frame_id = "map"
    message.info.width, message.info.height, message.info.resolution = 3, 2, 0.5
    message.info.origin.position.x = -1.0
    ground = free_ground(message)
    middles = [(-0.75, 0.25), (-0.25, 0.25), (0.25, 0.25), (-0.75, 0.75), (-0.25, 0.75), (0.25, 0.75)]
    assert [ground.allows(x, y, 50) for x, y in middles] == [True, True, False, False, False, True]
    assert (
        not ground.allows(0.25, 0.25, 98) and not ground.allows(5.0, 5.0, 98) and not ground.allows(-1.1, 0.1, 98)
    )
    with pytest.raises(InputError, match="do not fit"):
        free_ground(OccupancyGrid(data=[0, 1]))


# ------------------------------------------------------------------------------------------ agreement


def sighting(x: float, number: str = "1", word: str = "chair", score: float = 0.5) -> Sighting:
    return Sighting(number, word, score, box_at(x, 0.0))


def test_a_thing_counts_when_enough_messages_in_a_row_agree() -> None:
    agreement = Agreement(3, 0.3)
    assert agreement.see([sighting(1.0)], 1) is None
    assert agreement.see([sighting(1.1)], 2) is None
    found = agreement.see([sighting(1.05)], 3)
    assert found is not None and found.box.middle[0] == 1.05
    assert agreement.see([sighting(1.0)], 3) is None  # the same image again
    assert agreement.see([], 4) is None
    assert agreement.see([sighting(1.0)], 5) is None  # from the beginning


def test_a_thing_that_jumps_does_not_count_until_it_stays() -> None:
    agreement = Agreement(3, 0.3)
    answers = [agreement.see([sighting(x)], i) for i, x in enumerate((1.0, 1.0, 3.0, 3.0, 3.0))]
    assert [a is not None for a in answers] == [False, False, False, False, True]


def test_the_thing_followed_is_kept_though_another_scores_better() -> None:
    agreement = Agreement(2, 0.3)
    agreement.see([sighting(1.0, "1", score=0.6), sighting(4.0, "2", score=0.5)], 1)
    found = agreement.see([sighting(1.0, "1", score=0.4), sighting(4.0, "2", score=0.9)], 2)
    assert found is not None and found.number == "1"


def test_things_without_a_number_are_the_same_where_they_stay() -> None:
    agreement = Agreement(2, 0.3)
    agreement.see([sighting(1.0, "")], 1)
    found = agreement.see([sighting(4.0, ""), sighting(1.1, "")], 2)
    assert found is not None and found.box.middle[0] == 1.1


# ------------------------------------------------------------------------------------------ what is void


def scale(state: int, epoch: int, stamp_ns: int = 0) -> Scale:
    message = Scale(state=state, epoch=epoch)
    message.header.stamp = stamp_from_ns(stamp_ns)
    return message


def test_only_a_metric_scale_lets_results_through() -> None:
    gate = ScaleGate(Clock())
    assert "nothing was heard" in (gate.complaint(5) or "")
    assert not gate.hear(scale(Scale.UNKNOWN, 0)) and "UNKNOWN" in (gate.complaint(5) or "")
    assert not gate.hear(scale(Scale.METRIC, 1, 5)) and gate.complaint(5) is None
    assert not gate.hear(scale(Scale.DEGRADED, 1, 6)) and "DEGRADED" in (gate.complaint(7) or "")


def test_a_new_epoch_voids_what_came_before_also_what_is_on_its_way() -> None:
    clock = Clock()
    gate = ScaleGate(clock)
    gate.hear(scale(Scale.METRIC, 1, 5 * SECOND))
    assert gate.hear(scale(Scale.METRIC, 2, 9 * SECOND))
    assert "epoch 2" in (gate.complaint(9 * SECOND) or "") and gate.complaint(9 * SECOND + 1) is None
    clock.s = 2.0  # time has jumped back meanwhile: stamps are small again, and of the new epoch
    assert gate.complaint(3 * SECOND) is None


def test_labels_of_before_a_change_of_words_are_not_read() -> None:
    clock = Clock()
    table = LabelTable(clock)
    assert not table.usable(1)
    table.hear({0: "Floor", 1: "rug", 255: "unlabelled"}, 0)
    assert table.labels(["floor"]) == {0} and table.usable(1) and table.usable(2)
    table.hear({0: "rug", 1: "chair", 255: "unlabelled"}, 10)
    assert table.labels(["rug", "lamp"]) == {0} and table.unknown(["rug", "lamp"]) == ("lamp",)
    # 9 and 10 were published before the change, 11 was in work meanwhile.
    assert [table.usable(stamp) for stamp in (9, 10, 11, 12)] == [False, False, False, True]
    table.hear({0: "rug", 1: "chair", 255: "unlabelled"}, 20)  # the same words again change nothing
    assert table.usable(13)
    table.hear({0: "sofa"}, 20)
    clock.s = 5.0  # nothing of before is on its way any more, and time may have jumped back
    assert [table.usable(stamp) for stamp in (3, 4)] == [False, True]


def test_messages_of_one_stamp_come_together_whatever_their_order() -> None:
    sets = SameStamp(("a", "b"), kept=3)
    assert sets.put("a", 1, "a1") is None and sets.put("b", 2, "b2") is None
    assert sets.put("a", 2, "a2") == {"a": "a2", "b": "b2"}
    assert sets.put("b", 1, "b1") is None  # given up with the newer one
    for stamp in range(10, 10_000):
        sets.put("a", stamp, "a")
    held: dict[int, Any] = sets._sets
    assert len(held) == 3
