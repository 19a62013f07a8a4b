"""The Gaussians that one view of a prediction gave, kept small, and whole again when they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lsm_core.backends.semantic_source import nearest_features
from lsm_core.types import Gaussians, Prediction


def view_gaussians(prediction: Prediction, view: int) -> Gaussians | None:
    """Return the Gaussians of one view on the CPU, in the prediction's frame; None where it has none.

    Where each pixel of the views gave as many, in their order, only the view's own are kept, and without features:
    those are the pixels', which the prediction holds already (`drawn_gaussians` puts them back). Otherwise all
    are kept.
    """
    found = prediction.gaussians
    if found is None:
        return None
    each = prediction.gaussians_per_pixel()
    sizes = [each * int(p.shape[0] * p.shape[1]) for p in prediction.pointmaps]
    start = sum(sizes[:view])
    if each and start + sizes[view] <= len(found):  # a view without a pose may have given none
        found = found.select(slice(start, start + sizes[view]))
        if prediction.features is not None:
            found = replace(found, features=None)
    return _moved(found)


def drawn_gaussians(predictions: Sequence[Prediction]) -> Gaussians | None:
    """Join the Gaussians of kept views (`single_view`), with language features where all have them.

    Args:
        predictions: of one view each, all in one frame.

    Returns:
        In that frame, features float32; None without any.
    """
    parts = [_whole(p) for p in predictions if p.gaussians is not None and len(p.gaussians)]
    if not parts:
        return None
    degree = min(part.sh.shape[1] for part in parts)
    return Gaussians.concatenate([replace(part, sh=part.sh[:, :degree]) for part in parts])


def _whole(prediction: Prediction) -> Gaussians:
    """Return a kept view's Gaussians with the features of the pixels they came from."""
    gaussians = prediction.gaussians
    assert gaussians is not None
    h, w = (int(n) for n in prediction.pointmaps[0].shape[:2])
    if gaussians.features is not None:
        return replace(gaussians, features=gaussians.features.float())
    if prediction.features is None or len(gaussians) % (h * w):
        return gaussians
    features = _pixel_features(prediction, h, w).repeat_interleave(len(gaussians) // (h * w), 0)
    return replace(gaussians, features=features)


def _pixel_features(prediction: Prediction, h: int, w: int) -> Tensor:
    """Return [h * w, D] float32: the feature nearest to each pixel of view 0's model grid."""
    assert prediction.features is not None
    features = prediction.features[0].detach().cpu()
    if prediction.feature_to_image is not None:
        row, column = nearest_features(prediction, 0)
        return features[row.cpu(), column.cpu()].flatten(0, 1).float()
    rows, columns = features.shape[:2]
    row = ((torch.arange(h) + 0.5) * rows / h).long()
    column = ((torch.arange(w) + 0.5) * columns / w).long()
    return features[row][:, column].flatten(0, 1).float()


def _moved(gaussians: Gaussians) -> Gaussians:
    """Return Gaussians on the CPU that share no memory with others, so that nothing larger is kept alive."""

    def own(tensor: Tensor) -> Tensor:
        return tensor.detach().to("cpu", copy=True)

    features = None if gaussians.features is None else gaussians.features.detach().half().cpu()
    return Gaussians(
        own(gaussians.means),
        own(gaussians.quats),
        own(gaussians.scales),
        own(gaussians.opacities),
        own(gaussians.sh),
        features,
    )
