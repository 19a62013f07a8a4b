"""The standing queries: which words, and where they are in a keyframe."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.errors import QueryError
from lsm_core.query import ScoredTexts, check_texts, score_of_label, split_each
from lsm_core.query.text_check import MAX_TEXTS
from lsm_core.types import QueryResult
from lsm_perception.calibration import Calibration
from lsm_perception.products import Keyframe, NamedPoints, Segmentation


@dataclass(frozen=True)
class StandingQueries:
    """The words of ~/segmentation; the index of a text is its label.

    Attributes:
        texts: the words, at most 64.
        thresholds: per text the smallest score that counts; NaN for the backend's own rule.
    """

    texts: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()


def make_queries(
    texts: Sequence[str], thresholds: Sequence[float], default: float, max_texts: int = MAX_TEXTS
) -> StandingQueries:
    """Check words and thresholds.

    Args:
        texts: things, or lists of things ("chair, table; sofa", see `lsm_core.query.split_texts`); none turns
            segmentation off.
        thresholds: none, one for all, one per entry of `texts` (for all things of that entry), or one per thing;
            0 to 1, or -1 for the backend's own rule.
        default: the threshold where none is given; -1 for the backend's own rule.
        max_texts: the most things that may be named.

    Raises:
        QueryError: a text is empty, too long or malformed, there are too many, or thresholds do not fit.
    """
    if len(texts) > max_texts:
        raise _too_many(len(texts), max_texts)
    parts = split_each(list(texts))
    clean = check_texts([part for entry in parts for part in entry]) if texts else ()
    if len(clean) > max_texts:
        raise _too_many(len(clean), max_texts)
    if len(thresholds) not in (0, 1, len(parts), len(clean)):
        raise QueryError(
            f"{len(thresholds)} thresholds do not fit {len(clean)} texts.", "Give none, one, or one per text."
        )
    if not all(t == -1 or 0 <= t <= 1 for t in thresholds):
        raise QueryError("A threshold is outside 0 to 1.", "Scores lie between 0 and 1; -1 takes the default.")
    given = list(thresholds) or [default]
    if len(given) == 1:
        given = given * len(clean)
    elif len(given) != len(clean):
        given = [t for t, entry in zip(given, parts, strict=True) for _ in entry]
    return StandingQueries(tuple(clean), tuple(float(t) for t in given))


def _too_many(count: int, limit: int) -> QueryError:
    return QueryError(f"{count} texts are more than queries.max_texts = {limit}.", "Ask in several requests.")


class Segmenter:
    """Answers texts on keyframes, from the features kept with them; safe to call from several threads."""

    def __init__(self, backend: Backend, queries: StandingQueries) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._queries = queries

    @property
    def queries(self) -> StandingQueries:
        """The standing queries in force."""
        with self._lock:
            return self._queries

    @property
    def available(self) -> bool:
        """Whether the backend has language features."""
        return self._backend.has_language

    def set_queries(self, queries: StandingQueries) -> None:
        """Replace the standing queries from the next keyframe on."""
        with self._lock:
            self._queries = queries

    def name_points(self, keyframe: Keyframe) -> NamedPoints | None:
        """Answer the standing queries on a keyframe's points; None without queries, features or language."""
        queries = self.queries
        prediction = keyframe.prediction
        if not queries.texts or not self.available or prediction is None:
            return None
        scored = self._backend.score_texts(prediction, list(queries.texts), **threshold_options(queries))
        labels, scores = scored.at_points(prediction)
        return NamedPoints(queries.texts, labels, scores, lambda: on_pixels(scored, keyframe.calibration))

    def query(self, keyframe: Keyframe, queries: StandingQueries) -> QueryResult:
        """Answer texts on a keyframe, on the pixels of its undistorted image.

        Raises:
            UnsupportedError: the backend has no language features.
            QueryError: a text is malformed.
        """
        assert keyframe.prediction is not None
        return self._backend.query(keyframe.prediction, list(queries.texts), **threshold_options(queries))


def on_pixels(scored: ScoredTexts, calibration: Calibration) -> Segmentation:
    """Return what texts score in a view on the pixels of its source image."""
    found = scored.answer()
    return Segmentation(
        found.texts,
        calibration.to_source(found.labels[0], -1),
        calibration.to_source(best_scores(found), 0.0),
        tuple(float(p) for p in found.presence),
    )


def best_scores(found: QueryResult) -> NDArray[np.float32]:
    """Return [H, W] the score of each pixel's label in view 0, 0 without a label."""
    return score_of_label(found.scores[0], found.labels[0])


def threshold_options(queries: StandingQueries) -> dict[str, Any]:
    """Return the options of `Backend.query` for thresholds; none where the backend's own rule is wanted."""
    if not queries.thresholds or all(t <= -1 for t in queries.thresholds):
        return {}
    return {"thresholds": list(queries.thresholds)}
