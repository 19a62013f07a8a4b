"""`lsm query MAP ...`: a table, a picture, JSON; what is no map or of another model is an error."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lsm_runner import Lsm
from PIL import Image

from lsm_core.backends import registry
from lsm_core.backends.base import Backend
from lsm_core.mapping import write_map

sys.path.insert(0, str(Path(__file__).parents[1]))

from mapping.example_map import WordBackend, example_map


def load(device: torch.device, weights: Path | None) -> Backend:
    return WordBackend()


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(registry._MODULES, "words", __name__)
    path = tmp_path / "room.lsmmap"
    write_map(path, example_map())
    return path


def test_a_table_and_a_picture(lsm: Lsm, saved: Path, tmp_path: Path) -> None:
    code, text, errors = lsm("query", saved, "chair, lamp", "piano", "-o", tmp_path / "found.png")
    assert code == 0, errors
    rows = {words[0]: words[1:4] for words in (line.split() for line in text.splitlines()) if words}
    assert rows["chair"] == ["1.00", "1", "1"] and rows["lamp"] == ["1.00", "1", "0"]
    assert rows["piano"][1:] == ["0", "0"]
    picture = np.array(Image.open(tmp_path / "found.png"))
    assert picture.shape[2] == 3 and picture.std() > 20


def test_json_tells_keyframes_and_things(lsm: Lsm, saved: Path, tmp_path: Path) -> None:
    code, text, _ = lsm("query", saved, "chair", "-o", tmp_path / "o", "--json")
    answer = json.loads(text)
    assert code == 0 and answer["backend"] == "words" and answer["files"] == [str(tmp_path / "o" / "found.png")]
    (found,) = answer["found"]
    assert [k["id"] for k in found["keyframes"]] == [11] and found["things"][0]["unit"] == "m"


def test_no_map_and_another_model_are_errors(lsm: Lsm, saved: Path, tmp_path: Path) -> None:
    code, _, errors = lsm("query", tmp_path / "none.lsmmap", "chair")
    assert code == 1 and "no file" in errors
    code, _, errors = lsm("query", saved, "chair", "-b", "wall", "-o", tmp_path / "o")
    assert code == 1 and "unsupported" in errors and not (tmp_path / "o").exists()
    code, _, errors = lsm("query", saved)
    assert code == 2 and "TEXT" in errors
