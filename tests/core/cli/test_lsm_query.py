"""`lsm query`: masks and the table of what is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from lsm_runner import Lsm
from PIL import Image

Pair = tuple[Path, Path]


def test_masks_are_written_at_the_image_size(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    code, text, _ = lsm("query", *pair, "chair", "table", "-o", tmp_path / "o", "-b", "wall")
    assert code == 0 and "chair" in text and "50.0 %" in text
    mask = np.array(Image.open(tmp_path / "o" / "mask_1_chair.png"))
    assert mask.shape == (60, 80) and mask[:, :40].min() == 255 and mask[:, 40:].max() == 0
    assert np.array(Image.open(tmp_path / "o" / "mask_0_table.png")).max() == 0
    assert (tmp_path / "o" / "overlay_0.png").is_file()


def test_json_has_presence_and_pixels(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    code, text, _ = lsm("query", *pair, "chair", "table", "-o", tmp_path / "o", "-b", "wall", "--json")
    found = json.loads(text)["found"]
    assert code == 0
    assert [f["presence"] for f in found] == [1.0, 0.0] and [f["pixels"] for f in found] == [[2400, 2400], [0, 0]]


def test_without_words_the_usage_is_shown(lsm: Lsm, pair: Pair) -> None:
    code, _, errors = lsm("query", *pair, "-b", "wall")
    assert code == 2 and "TEXT" in errors
