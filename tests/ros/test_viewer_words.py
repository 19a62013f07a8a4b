"""What the viewer takes for one thing, the node takes for one thing: masks and words stay in step."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.viewer.requests import words_in

from lsm_core.query import split_each, split_texts


@pytest.mark.parametrize(
    "line",
    [
        "chair, table; sofa",
        'chair, "a red, round table" ; sofa',
        "12\" screen, the dog's bowl",
        '"12" monitor, lamp',
        "椅子、桌子，灯；床",
        "chair,, chair\ntable;",
    ],
)
def test_words_are_those_that_the_node_finds(line: str) -> None:
    words = words_in(line)
    assert all(len(parts) == 1 for parts in split_each(words))
    assert split_texts(words) == split_texts(line)


def test_an_odd_quote_keeps_them_in_step() -> None:
    for line in ("'a, b', c", '"a, b', 'a "b, c" d', "\u201ca, b\u201d"):
        assert all(len(parts) == 1 for parts in split_each(words_in(line)))
