"""Words that stand for a class: a backend that knows them loses nothing, one that does not loses the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.words import WordStudy

TEXTS = ("wall", "sofa", "chair")
TRUE = np.array([[0, 1, 2], [0, 1, 2]])
SPACE = {"wall": 0, "sofa": 1, "couch": 1, "chair": 2}


class Features:
    """Carries one-hot features of the truth."""

    features = (torch.eye(4)[torch.from_numpy(TRUE)],)
    feature_to_image = None


class Listener:
    """Understands some words; all others mean nothing to it."""

    name = "listener"

    def decode_features(self, features: Tensor) -> Tensor:
        return features

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([torch.eye(4)[SPACE.get(text, 3)] for text in texts])


def studied() -> tuple[WordStudy, Confusion]:
    backend: Any = Listener()
    prediction: Any = Features()
    study, confusion = WordStudy(TEXTS, TEXTS), Confusion(TEXTS)
    confusion.add(TRUE, TRUE)
    study.add(backend, prediction, 0, TRUE)
    return study, confusion


def test_a_known_word_keeps_its_class_and_an_unknown_one_loses_it() -> None:
    study, confusion = studied()
    found = {word: by_word for word, _, by_word, _ in study.pairs(confusion)}
    assert found == {"couch": 1.0, "seat": 0.0, "armchair": 0.0}


def test_classes_that_do_not_occur_are_left_out_and_the_goal_is_the_share_of_the_names() -> None:
    study, confusion = studied()
    assert "carpet" not in {row[0] for row in study.pairs(confusion)}
    goal = study.goal(confusion)
    assert goal.measured == pytest.approx(1 / 3) and not goal.met
    assert len(study.table(confusion).rows) == 3
