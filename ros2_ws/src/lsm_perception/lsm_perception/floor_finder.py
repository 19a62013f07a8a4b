"""Which pixels of a keyframe may be floor: by words where the backend has language, else the lower rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.mapping import single_view
from lsm_core.mapping.scale_samples import sample_at_grid
from lsm_core.types import Prediction

FLOOR = "floor"
RIVALS = ("wall", "ceiling", "table", "chair", "cabinet", "bed", "sofa", "door", "window")
LOWER_PART = 0.4  # of the image, without language


class FloorFinder:
    """Marks floor pixels on the model grid."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def floor(self, prediction: Prediction, view: int) -> NDArray[np.bool_]:
        """Return [h, w] True where a view may show the floor."""
        if not self._backend.has_language:
            height, width = prediction.confidence[view].shape
            rows = np.arange(height) >= (1 - LOWER_PART) * height
            return np.repeat(rows[:, None], width, axis=1)
        found = self._backend.query(single_view(prediction, view), [FLOOR, *RIVALS])
        return on_grid(found.labels[0] == 0, prediction, view)


def on_grid(mask: NDArray[np.bool_], prediction: Prediction, view: int) -> NDArray[np.bool_]:
    """Return a mask on the image's pixels [H, W] at the model grid's pixels [h, w]; False outside the image."""
    shape = tuple(prediction.confidence[view].shape)
    to_image = prediction.grid_to_image[view].detach().cpu().double().numpy()
    return np.asarray(sample_at_grid(mask.astype(np.float32), shape, to_image) > 0.5)
