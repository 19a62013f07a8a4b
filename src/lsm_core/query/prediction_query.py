"""Find texts in the views of a prediction, or in the view of a free camera."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.backends.semantic_source import SemanticMap, SemanticSource
from lsm_core.errors import InputError, QueryError, UnsupportedError
from lsm_core.query.drawn_features import feature_camera, gaussian_feature_width, render_features
from lsm_core.query.scored_texts import ScoredGrid, ScoredTexts
from lsm_core.query.text_check import check_texts
from lsm_core.query.text_list import split_texts
from lsm_core.query.text_scorer import TextScorer, check_language
from lsm_core.query.text_to_mask import QueryConfig
from lsm_core.types import Camera, Gaussians, Prediction, QueryResult

UNLABELLED = 255


def query_prediction(
    backend: Backend,
    prediction: Prediction,
    texts: Sequence[str],
    camera: Camera | None = None,
    thresholds: float | Sequence[float] | None = None,
    views: Sequence[int] | None = None,
    config: QueryConfig | None = None,
) -> QueryResult:
    """Find texts in a prediction.

    Args:
        backend: whose features the prediction carries.
        prediction: with features (or with Gaussians that have them, for `camera`).
        texts: 1 to 64 texts, see `check_texts`; or one line with several, see `split_texts`.
        camera: a view of the prediction's scene to answer on instead of the input views; features are rendered.
        thresholds: smallest score of a masked pixel: one for all texts or one per text; None, NaN and values of -1
            or less mean the default of the configuration.
        views: which input views to answer on; None for all. The result has one entry per view asked for.
        config: thresholds and calibration; None for the defaults.

    Returns:
        Masks, scores and labels at the resolution of the images given (or of the camera), and presence.

    Raises:
        QueryError: texts or thresholds are malformed.
        UnsupportedError: the backend or the prediction has no language features.
    """
    return score_prediction(backend, prediction, texts, camera, thresholds, views, config).answer()


def score_prediction(
    backend: Backend,
    prediction: Prediction,
    texts: Sequence[str],
    camera: Camera | None = None,
    thresholds: float | Sequence[float] | None = None,
    views: Sequence[int] | None = None,
    config: QueryConfig | None = None,
) -> ScoredTexts:
    """Score texts on the features' own grid: the first step of `query_prediction`, arguments and errors alike."""
    limits = config or QueryConfig()
    clean = _things(texts)
    cuts = _thresholds(thresholds, len(clean), limits.threshold)
    score = TextScorer(backend, clean, _feature_width(backend, prediction, camera), limits)
    if camera is not None:
        assert prediction.gaussians is not None
        grids = [_score_camera(prediction.gaussians, camera, score, limits)]
    else:
        chosen = range(prediction.views) if views is None else views
        grids = [_score_view(prediction, view, score) for view in chosen]
    return ScoredTexts(clean, tuple(grids), tuple(cuts), limits)


def query_gaussians(
    backend: Backend,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    texts: Sequence[str],
    thresholds: float | Sequence[float] | None = None,
    config: QueryConfig | None = None,
) -> QueryResult:
    """Find texts in a scene of Gaussians, seen by any cameras: 64-d features are drawn, never 512-d maps.

    Args:
        backend: that made the features.
        gaussians: with language features.
        cameras: one or more; the result has one entry per camera, of the camera's size.
        texts, thresholds, config: see `query_prediction`.

    Raises:
        QueryError: texts or thresholds are malformed.
        UnsupportedError: the backend or the Gaussians have no language features, or of another width.
    """
    limits = config or QueryConfig()
    clean = _things(texts)
    cuts = _thresholds(thresholds, len(clean), limits.threshold)
    score = TextScorer(backend, clean, gaussian_feature_width(backend, gaussians), limits)
    grids = [_score_camera(gaussians, camera, score, limits) for camera in cameras]
    return ScoredTexts(clean, tuple(grids), tuple(cuts), limits).answer()


def query_maps(
    source: SemanticSource,
    maps: Sequence[SemanticMap],
    texts: Sequence[str],
    thresholds: float | Sequence[float] | None = None,
    config: QueryConfig | None = None,
) -> QueryResult:
    """Find texts in what a semantic source says of images; no geometry is needed.

    Args:
        source: that made the maps.
        maps: one or more; the result has one entry per map, at the resolution of its image.
        texts, thresholds, config: see `query_prediction`.

    Raises:
        QueryError: texts or thresholds are malformed.
        InputError: there is no map.
    """
    if not maps:
        raise InputError("There is no image to look at.", "Pass one or more.")
    limits = config or QueryConfig()
    clean = _things(texts)
    cuts = _thresholds(thresholds, len(clean), limits.threshold)
    score = TextScorer(source, clean, int(maps[0].features.shape[-1]), limits)
    grids = [
        ScoredGrid(score(m.features), m.grid_to_image.detach().to("cpu", torch.float64).numpy(), m.image_size)
        for m in maps
    ]
    return ScoredTexts(clean, tuple(grids), tuple(cuts), limits).answer()


def label_image(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Return labels [H, W] as uint8 for a mono8 image: the index of the text, 255 = unlabelled."""
    return np.where((labels >= 0) & (labels < UNLABELLED), labels, UNLABELLED).astype(np.uint8)


def _score_view(prediction: Prediction, view: int, score: TextScorer) -> ScoredGrid:
    assert prediction.features is not None
    features = prediction.features[view]
    if prediction.feature_to_image is not None:
        own = prediction.feature_to_image[view].detach().to("cpu", torch.float64).numpy()
        return ScoredGrid(score(features), own, prediction.image_sizes[view])
    affine = prediction.grid_to_image[view].detach().to("cpu", torch.float64).numpy()
    h, w = prediction.pointmaps[view].shape[:2]
    to_grid = _between_grids((int(features.shape[0]), int(features.shape[1])), (int(h), int(w)))
    return ScoredGrid(score(features), affine @ to_grid, prediction.image_sizes[view])


def _score_camera(gaussians: Gaussians, camera: Camera, score: TextScorer, config: QueryConfig) -> ScoredGrid:
    small = feature_camera(camera, config)
    scores = score.rendered(render_features(gaussians, small))
    to_full = _between_grids((small.height, small.width), (camera.height, camera.width))
    return ScoredGrid(scores, to_full, (camera.height, camera.width))


def _between_grids(source: tuple[int, int], target: tuple[int, int]) -> NDArray[np.float64]:
    """Return the affine between two samplings (height, width) of one area, pixel centres at integers."""
    sy, sx = target[0] / source[0], target[1] / source[1]
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])


def _things(texts: Sequence[str]) -> tuple[str, ...]:
    """Return what is asked for: a list's entries as they are, or the parts of one line."""
    return split_texts(texts) if isinstance(texts, str) else check_texts(texts)


def _feature_width(backend: Backend, prediction: Prediction, camera: Camera | None) -> int:
    """Return the width of the features to be asked, or say why there are none."""
    if camera is not None:
        return gaussian_feature_width(backend, prediction.gaussians)
    check_language(backend)
    if prediction.features is None:
        raise UnsupportedError("This prediction carries no language features.", "Predict with such a backend.")
    return int(prediction.features[0].shape[-1])


def _thresholds(given: float | Sequence[float] | None, count: int, default: float) -> list[float]:
    values = [given] if isinstance(given, int | float) else list(given or [])
    if len(values) not in (0, 1, count):
        raise QueryError(f"{len(values)} thresholds do not fit {count} texts.", "Give none, one, or one per text.")
    if any(value > 1 for value in values):
        raise QueryError("A threshold is above 1.", "Scores lie between 0 and 1.")
    full = (values * count if len(values) == 1 else values) or [math.nan] * count
    return [default if math.isnan(value) or value <= -1 else float(value) for value in full]
