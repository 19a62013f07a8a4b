"""Language features to scores for one set of texts, wherever the features come from."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.backends.base import NO_LANGUAGE_FIX, Backend
from lsm_core.backends.semantic_source import SemanticSource
from lsm_core.errors import UnsupportedError
from lsm_core.query.feature_scores import LinearDecoder, cosines, cosines_decoded, probe_linear
from lsm_core.query.text_check import check_texts
from lsm_core.query.text_to_mask import QueryConfig, text_scores
from lsm_core.query.vocabulary import Vocabulary, adoption, embed_vocabulary, kinship
from lsm_core.types import RenderResult


@dataclass(frozen=True)
class _Semantics:
    """What queries need of a backend, computed once: its decoder (None if not affine) and its vocabulary."""

    decoder: LinearDecoder | None
    vocabulary: Vocabulary


Model = Backend | SemanticSource
_semantics: weakref.WeakKeyDictionary[Model, _Semantics] = weakref.WeakKeyDictionary()


class TextScorer:
    """Scores features [..., D] for one set of texts.

    Args:
        backend: that made the features, or the semantic source.
        texts: checked here, see `check_texts`.
        width: D.
        config: calibration.

    Raises:
        QueryError: a text is malformed.
        UnsupportedError: the backend has no language features.
    """

    def __init__(self, backend: Model, texts: Sequence[str], width: int, config: QueryConfig) -> None:
        check_language(backend)
        self.texts = check_texts(texts)
        self._backend, self._config = backend, config
        semantics = _semantics_of(backend, width)
        asked = backend.encode_texts(list(self.texts)).float().cpu()
        self._decoder = semantics.decoder
        self._directions = torch.cat([asked, semantics.vocabulary.names])
        self._adopted = adoption(semantics.vocabulary, asked)
        self._kinship = kinship(semantics.vocabulary, asked, self._adopted)
        self._logit_scale = float(getattr(backend, "text_logit_scale", config.logit_scale))

    @torch.inference_mode()
    def __call__(self, features: Tensor) -> Tensor:
        """Score features [..., D] as [..., T] float32 on the CPU."""
        flat = features.detach().flatten(0, -2).float()
        if self._decoder is not None:
            similarity = cosines(flat, self._directions, self._decoder)
        else:
            similarity = cosines_decoded(flat, self._directions, self._backend)
        scores = text_scores(similarity, self._adopted, self._kinship, self._logit_scale)
        return torch.nan_to_num(scores, nan=0.0).cpu().unflatten(0, features.shape[:-1])

    def rendered(self, seen: RenderResult) -> Tensor:
        """Score a picture of features as [h, w, T]; pixels covered by less than `min_alpha` score 0.

        The sum of the blended features is divided by alpha before it is decoded. With e = W f + b, blending weights
        w and alpha = sum w, sum of w (W f + b) = alpha (W (sum of w f) / alpha + b): decoding the mean is decoding
        every Gaussian and blending what comes out, up to a factor that the cosine does not see.
        """
        assert seen.features is not None
        alpha = seen.alpha.detach().float()
        scores = self(seen.features / alpha.clamp(min=1e-6)[..., None])
        return scores * (alpha.cpu() >= self._config.min_alpha)[..., None]


def check_language(backend: Model) -> None:
    """Raise UnsupportedError for a backend without language features."""
    if not backend.has_language:
        raise UnsupportedError(
            f"Backend '{backend.name}' has no language features, so it cannot answer text queries.",
            NO_LANGUAGE_FIX,
        )


def _semantics_of(backend: Model, width: int) -> _Semantics:
    found = _semantics.get(backend)
    if found is None:
        found = _Semantics(probe_linear(backend, width), embed_vocabulary(backend))
        _semantics[backend] = found
    return found
