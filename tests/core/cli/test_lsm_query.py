"""`lsm query`: masks and the table of what is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from lsm_runner import Lsm
from PIL import Image

from lsm_core.data import sample_path
from lsm_core.io import read_point_cloud

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


def test_a_list_is_split_and_quotes_keep_commas(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    words = ["the sofa, chair; lamp", '"red, round table"']
    code, text, _ = lsm("query", *pair, *words, "-o", tmp_path / "o", "-b", "wall", "--json")
    assert code == 0
    assert [f["text"] for f in json.loads(text)["found"]] == ["the sofa", "chair", "lamp", "red, round table"]
    assert np.array(Image.open(tmp_path / "o" / "sheet.png")).shape[1] == 1600


def test_texts_that_cannot_be_asked_are_named(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    code, _, errors = lsm("query", *pair, "chair; Table", "table", "-o", tmp_path / "o", "-b", "wall")
    assert code == 1 and "twice" in errors and not (tmp_path / "o").exists()


def test_a_bag_is_asked_in_pictures_and_in_space(lsm: Lsm, tmp_path: Path) -> None:
    folder = tmp_path / "o"
    options = ("-o", folder, "-b", "wall", "--max-seconds", "4", "--no-odometry", "--json")
    code, text, _ = lsm("query", sample_path(), "sofa; chair", *options)
    summary = json.loads(text)
    assert code == 0 and summary["keyframes"] >= 3
    sofa, chair = summary["found"]
    assert (sofa["presence"], sofa["keyframes"], chair["keyframes"]) == (1.0, summary["keyframes"], 0)
    mask = np.array(Image.open(folder / "mask_sofa.png"))
    assert mask[:, : mask.shape[1] // 2].min() == 255 and mask[:, mask.shape[1] // 2 :].max() == 0
    cloud = read_point_cloud(folder / "map.ply")
    assert cloud.names == ("sofa", "chair") and set(np.unique(cloud.label)) == {-1, 0}
    things = json.loads((folder / "objects.json").read_text())["objects"]
    assert sofa["objects"] == len(things) >= 1 and {t["text"] for t in things} == {"sofa"}
    points = cloud.points[cloud.label == 0]
    boxed = np.zeros(len(points), bool)
    for thing in things:
        box = np.linalg.inv(np.array(thing["T_map_box"]))
        boxed |= (np.abs(points @ box[:3, :3].T + box[:3, 3]) <= np.array(thing["size"]) / 2 + 1e-6).all(1)
    assert boxed.mean() > 0.7
    assert np.array(Image.open(folder / "sheet.png")).shape[1] == 1600 and set(summary["files"]) <= {
        path.name for path in folder.iterdir()
    }


def test_a_bag_that_is_none_and_one_without_words(lsm: Lsm, tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"no bag")
    assert lsm("query", tmp_path / "x.mcap", "chair", "-b", "wall", "-o", tmp_path / "o")[0] == 1
    assert not (tmp_path / "o").exists()
    code, _, errors = lsm("query", sample_path(), "-b", "wall")
    assert code == 2 and "TEXT" in errors
    assert lsm("query", sample_path(), "chair", "-b", "mute-wall", "-o", tmp_path / "o")[0] == 1
