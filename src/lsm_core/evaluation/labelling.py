"""Label maps from a backend's language features: the text with the highest cosine, per grid pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.backends.base import NO_LANGUAGE_FIX, Backend
from lsm_core.backends.semantic_source import nearest_features
from lsm_core.errors import UnsupportedError
from lsm_core.types import Prediction


def label_grid(backend: Backend, prediction: Prediction, view: int, texts: Sequence[str]) -> NDArray[np.int64]:
    """Return [h, w] the index of the text that fits each grid pixel best.

    Raises:
        UnsupportedError: the prediction carries no language features.
    """
    if prediction.features is None:
        raise UnsupportedError(
            f"Backend '{backend.name}' gives no language features, so its labels cannot be measured.",
            NO_LANGUAGE_FIX,
        )
    with torch.inference_mode():
        embedded = torch.nn.functional.normalize(backend.decode_features(prediction.features[view]).float(), dim=-1)
        scores = embedded @ backend.encode_texts(texts).to(embedded).T
    labels = scores.argmax(-1).cpu()
    if prediction.feature_to_image is not None:
        row, column = nearest_features(prediction, view)
        labels = labels[row, column]
    return np.asarray(labels.numpy(), dtype=np.int64)
