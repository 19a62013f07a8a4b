"""Precision and recall of presence are counted as they are defined, and printed by a command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lsm_core.cli.main import main
from lsm_core.evaluation.nyu import DECIDABLE
from lsm_core.evaluation.pairs import EvalView
from lsm_core.evaluation.presence import Answer, area_under_curve, name_table, precision_recall, truth_of


def test_truth_leaves_out_what_is_hardly_in_view() -> None:
    labels = np.full((100, 100), DECIDABLE["wall"], np.uint8)
    labels[:, :10] = 0  # unlabelled
    labels[:10, 10:60] = DECIDABLE["chair"]
    labels[50, 50:70] = DECIDABLE["sofa"]  # 20 of 9000 pixels
    labels[60:80, 60:80] = 6  # "furniture" decides nothing
    truth = truth_of(EvalView("x", np.zeros((100, 100, 3), np.uint8), None, labels=labels))
    assert truth["wall"] and truth["chair"] and not truth["table"] and "sofa" not in truth
    assert set(truth) == set(DECIDABLE) - {"sofa"}


def test_precision_recall_and_area() -> None:
    answers = [
        Answer("chair", 0.9, True),
        Answer("chair", 0.6, False),
        Answer("bed", 0.5, True),
        Answer("bed", 0.4, True),
    ]
    precision, recall = precision_recall(answers)
    assert precision == pytest.approx(2 / 3) and recall == pytest.approx(2 / 3)
    assert area_under_curve(answers) == pytest.approx(1 / 3)
    assert area_under_curve([Answer("a", 0.5, True), Answer("a", 0.5, False)]) == 0.5
    assert math.isnan(precision_recall([])[0]) and math.isnan(area_under_curve(answers[:1]))
    rows = {str(row[0]): row[1:] for row in name_table(answers).rows}
    assert rows["chair"] == [1, 1, 1, 1] and rows["bed"] == [2, 1, 0, 0] and rows["tv"] == [0, 0, 0, 0]


@pytest.mark.shared
def test_the_command_prints_figures_better_than_chance(
    shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "presence", "--shared", str(shared_dir), "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = document["tables"][0]["rows"]
    assert [row[0] for row in rows] == ["all in one call", "each alone", "another word, alone"]
    assert all(row[1] == rows[0][1] > 50 and row[5] > 0.7 for row in rows)
    assert document["figures"]["recall"] > 0.8
