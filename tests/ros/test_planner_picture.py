"""The picture for planners: what is drawn lies where it is, and the whole chain marks the sample room's rug."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.examples.approach import Box, Place
from lsm_perception.examples.ground_mask import GroundMask, GroundMaskConfig
from lsm_perception.examples.mask_message import CLOSED, UNSAID, Mask
from lsm_perception.examples.top_view import CLOSED as RED
from lsm_perception.examples.top_view import GOAL, PAPER, WAY, TopView, outline

SCALE = 50.0
GREY = 120


def room() -> TopView:
    """A grey floor, x from 0 to 4 m and y from 0 to 3 m, a point each 2 cm, and a red ceiling above it."""
    x, y = (v.ravel() for v in np.meshgrid(np.arange(0, 4, 0.02), np.arange(0, 3, 0.02)))
    floor = np.stack([x, y, np.zeros(len(x))], -1)
    ceiling = floor + np.array([0, 0, 2.5])
    points = np.concatenate([floor, ceiling]).astype(np.float32)
    rgb = np.repeat(np.array([[GREY] * 3, [255, 0, 0]], np.uint8), len(x), axis=0)
    return TopView(points, rgb)


def colour_at(view: TopView, x: float, y: float) -> tuple[int, ...]:
    """Return the colour at a place, the room's corner being 0.3 m from the picture's."""
    picture = view.draw(SCALE)
    column = round((x + 0.3) * SCALE)
    row = picture.shape[0] - 1 - round((y + 0.3) * SCALE)
    return tuple(int(v) for v in picture[row, column])


def test_the_floor_is_seen_and_the_ceiling_is_not() -> None:
    assert colour_at(room(), 1.51, 1.53) == (GREY,) * 3
    assert colour_at(room(), -0.2, 1.53) == PAPER


def test_a_mask_lies_over_its_cells() -> None:
    ground = GroundMask(GroundMaskConfig(resolution_m=0.25, size_m=8.0, points=1, looks=1))
    ground.look(np.array([[2.6, 1.1, 0.0]]), np.array([True]), (2.0, 1.5), 1)
    view = room()
    view.keepout = Mask("keepout_mask", ("rug",), CLOSED, UNSAID, ground).message("map", 1, 0.0)
    inside = colour_at(view, 2.62, 1.12)
    assert inside == tuple(round(0.45 * GREY + 0.55 * c) for c in RED)
    assert all(colour_at(view, 2.62 + dx, 1.12 + dy) == (GREY,) * 3 for dx, dy in ((0.3, 0), (-0.3, 0), (0, 0.3)))


def test_way_box_and_goal_are_drawn_in_their_places() -> None:
    view = room()
    view.way = [(0.5, 0.5), (3.5, 0.5)]
    view.goal = Place(1.0, 2.0, 0.0)
    assert colour_at(view, 2.0, 0.5) == WAY
    picture = view.draw(SCALE)
    rows, columns = np.nonzero((picture == GOAL).all(axis=-1))
    x = columns / SCALE - 0.3
    y = (picture.shape[0] - 1 - rows) / SCALE - 0.3
    assert 0.75 < x.min() < 0.85 and 1.4 < x.max() < 1.6  # a circle of 0.2 m, an arrow of 0.5 m along x
    assert abs(y.mean() - 2.0) < 0.05


def test_the_outline_of_a_tilted_box_holds_all_of_its_corners() -> None:
    a = math.radians(30)
    T = np.eye(4)
    T[:3, :3] = [[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]]
    corners = outline(Box(T, (1.0, 0.5, 0.4)))
    reach = 0.5 * math.cos(a) + 0.2 * math.sin(a)
    assert np.allclose(np.abs(corners).max(axis=0), [reach, 0.25], atol=1e-6)


@pytest.mark.slow
def test_the_rug_of_the_sample_room_is_marked(tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    command = [sys.executable, "-m", "lsm_perception.examples.picture", "-o", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(r"(\d+) % of them on the rug, (\d+) % of the rug covered", done.stdout)
    assert found is not None and int(found[1]) >= 50 and int(found[2]) >= 50, done.stdout
    assert "goal_pose: x" in done.stdout and file.stat().st_size > 20_000
