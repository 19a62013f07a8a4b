"""What the viewer draws of boxes: the answer's in the words' colours, and the detections only without one."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")
pytest.importorskip("viser", reason="viser is not installed: pip install -e '.[viewer]'")

from lsm_perception.conversions.semantics import palette
from lsm_perception.viewer import scene as layers
from lsm_perception.viewer import stage as stage_module
from lsm_perception.viewer.records import Answer, Box, Boxes, Cloud, Path, Source
from lsm_perception.viewer.scene import Scene
from lsm_perception.viewer.stage import BOX_COLOUR, Stage

SOURCE = Source("camera", 5)


class Drawn:
    """A stand-in for viser's scene that knows the boxes which are in it."""

    def __init__(self) -> None:
        self.boxes: dict[str, tuple[int, ...]] = {}
        self.server = MagicMock()
        self.server.scene.add_frame.side_effect = lambda *_, **__: MagicMock(visible=True)
        self.server.scene.add_box.side_effect = self._add

    def _add(self, name: str, colour: tuple[int, ...], size: Any, **_: Any) -> Any:
        self.boxes[name] = colour
        handle = MagicMock()
        handle.remove.side_effect = lambda: self.boxes.pop(name)
        return handle


def boxes(*names: str) -> Boxes:
    return Boxes(SOURCE, tuple(Box(name, 0.9, np.ones(3), np.eye(4), "") for name in names))


def answer() -> Answer:
    empty = Cloud(SOURCE, np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.uint16))
    zeros, two = (0.0, 0.0), ("chair", "table")
    return Answer(two, 1, 5, zeros, zeros, (0, 0), np.full((4, 4), 255, np.uint8), empty, boxes("table", "chair"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> tuple[Scene, Stage, Drawn]:
    monkeypatch.setattr(stage_module, "PERIODS_S", dict.fromkeys(stage_module.PERIODS_S, 0.0))
    found, drawn = Scene(), Drawn()
    stage = Stage(drawn.server, found, MagicMock())
    found.put_path(Path("lsm_map", {5: np.eye(4)}))
    found.put(layers.BOXES, boxes("wall", "chair"))
    stage.update()
    return found, stage, drawn


def test_detections_make_room_for_an_answer_and_come_back(shown: tuple[Scene, Stage, Drawn]) -> None:
    found, stage, drawn = shown
    assert drawn.boxes == {"/boxes/box_0": BOX_COLOUR, "/boxes/box_1": BOX_COLOUR}
    found.put(layers.ANSWER, answer())
    for _ in range(2):
        stage.update()
    chair, table = (tuple(int(c) for c in colour) for colour in palette(2))
    assert drawn.boxes == {"/answer/box_0": table, "/answer/box_1": chair}
    found.put(layers.ANSWER, None)
    for _ in range(2):
        stage.update()
    assert sorted(drawn.boxes) == ["/boxes/box_0", "/boxes/box_1"]


def test_a_hidden_answer_leaves_the_detections(shown: tuple[Scene, Stage, Drawn]) -> None:
    found, stage, drawn = shown
    stage.show(layers.ANSWER, False)
    found.put(layers.ANSWER, answer())
    for _ in range(2):
        stage.update()
    assert sorted(drawn.boxes) == ["/boxes/box_0", "/boxes/box_1"]
