"""Does `presence` say rightly whether a thing is in view? Precision and recall on labelled photographs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsm_core.backends.base import Backend
from lsm_core.data.classes import SYNONYMS
from lsm_core.evaluation.nyu import DECIDABLE, load_nyu13
from lsm_core.evaluation.pairs import EvalView
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.types import Prediction

IN_VIEW = 0.005  # share of the labelled pixels from which on a thing counts as in view
DECISION = 0.5
NAMES = tuple(DECIDABLE)
OTHER_WORDS = {name: words[1] for name, words in SYNONYMS.items() if name in DECIDABLE and len(words) > 1}


@dataclass(frozen=True)
class Answer:
    """One text on one photograph.

    Attributes:
        name: of the class.
        presence: answered.
        in_view: the truth.
    """

    name: str
    presence: float
    in_view: bool


def study_presence(backend: Backend, shared: Path) -> EvalReport:
    """Ask each photograph for things that are there and things that are not.

    Each photograph is given as both views of a pair. Texts are asked all in one call, each alone, and by another
    word ("couch" for the sofa). What covers less than 0.5 % of the labelled pixels, but more than none, is not
    counted.

    Raises:
        FileFormatError: the folder is absent or damaged.
        UnsupportedError: the backend has no language features.
    """
    ways: dict[str, list[Answer]] = {"all in one call": [], "each alone": [], "another word, alone": []}
    views = load_nyu13(shared)
    for view in views:
        prediction = backend.predict([view.image, view.image])
        decided = truth_of(view)
        together = backend.query(prediction, list(NAMES), views=[0]).presence
        for name, in_view in decided.items():
            ways["all in one call"].append(Answer(name, together[NAMES.index(name)], in_view))
            ways["each alone"].append(Answer(name, _alone(backend, prediction, name), in_view))
            if name in OTHER_WORDS:
                presence = _alone(backend, prediction, OTHER_WORDS[name])
                ways["another word, alone"].append(Answer(name, presence, in_view))
    tables = [presence_table(ways, len(views)), name_table(ways["all in one call"])]
    precision, recall = precision_recall(ways["all in one call"])
    figures = {"precision": precision, "recall": recall}
    return EvalReport("lsm eval presence", backend.name, tables, figures, provenance(backend.device))


def truth_of(view: EvalView) -> dict[str, bool]:
    """Return which things are in view (True) and which are not (False); those hardly in view are left out."""
    assert view.labels is not None
    labelled = max(int((view.labels > 0).sum()), 1)
    shares = {name: float((view.labels == label).sum()) / labelled for name, label in DECIDABLE.items()}
    return {name: share >= IN_VIEW for name, share in shares.items() if share == 0 or share >= IN_VIEW}


def precision_recall(answers: Sequence[Answer]) -> tuple[float, float]:
    """Return how many of the things said to be in view are, and how many of those in view are said to be."""
    said = [a for a in answers if a.presence >= DECISION]
    there = [a for a in answers if a.in_view]
    right = sum(a.in_view for a in said)
    return right / len(said) if said else math.nan, right / len(there) if there else math.nan


def area_under_curve(answers: Sequence[Answer]) -> float:
    """Return the probability that a thing in view has more presence than one that is not; a draw counts half."""
    seen = np.array([a.presence for a in answers if a.in_view])
    unseen = np.array([a.presence for a in answers if not a.in_view])
    if not len(seen) or not len(unseen):
        return math.nan
    return float(((seen[:, None] > unseen) + 0.5 * (seen[:, None] == unseen)).mean())


def presence_table(ways: dict[str, list[Answer]], images: int) -> Table:
    """Return one row per way of asking."""
    columns = [Column("asked"), Column("answers", "d"), Column("in view", "d"), Column("precision", ".2f"),
               Column("recall", ".2f"), Column("AUC", ".2f")]  # fmt: skip
    rows: list[list[Cell]] = [
        [name, len(answers), sum(a.in_view for a in answers), *precision_recall(answers), area_under_curve(answers)]
        for name, answers in ways.items()
    ]
    note = (
        f"{images} photographs, {len(NAMES)} things each. Said to be in view: presence at least {DECISION}. Is in "
        f"view: at least {100 * IN_VIEW:g} % of the labelled pixels; is not: none. AUC: how often a thing in view "
        "has more presence than one that is not."
    )
    return Table("Presence on NYUv2 photographs", columns, rows, note)


def name_table(answers: Sequence[Answer]) -> Table:
    """Return one row per thing: how often it was in view, rightly said to be, and wrongly."""
    columns = [Column("thing"), *(Column(name, "d") for name in ("in view", "found", "not in view", "claimed"))]
    rows: list[list[Cell]] = []
    for name in NAMES:
        own = [a for a in answers if a.name == name]
        seen, unseen = [a for a in own if a.in_view], [a for a in own if not a.in_view]
        found, claimed = (sum(a.presence >= DECISION for a in part) for part in (seen, unseen))
        rows.append([name, len(seen), found, len(unseen), claimed])
    return Table("The same by thing, all in one call", columns, rows)


def _alone(backend: Backend, prediction: Prediction, text: str) -> float:
    return float(backend.query(prediction, [text], views=[0]).presence[0])
