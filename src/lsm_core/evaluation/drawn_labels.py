"""Classes at the pixels of a view drawn from Gaussians, read as LSeg and LSM read theirs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from lsm_core.backends.base import NO_LANGUAGE_FIX, Backend
from lsm_core.errors import UnsupportedError
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians


def drawn_labels(backend: Backend, gaussians: Gaussians, camera: Camera, texts: Sequence[str]) -> NDArray[np.int64]:
    """Return [H, W] the index of the text with the highest cosine at each pixel.

    Features are drawn, reduced to half the size, decoded into the text space and compared there; the cosines are
    enlarged with the corners aligned (spec of LSM, sections 3 and 6).

    Raises:
        UnsupportedError: the backend or the Gaussians have no language features.
    """
    if gaussians.features is None or not backend.has_language:
        raise UnsupportedError(f"Backend '{backend.name}' gives no language features to draw.", NO_LANGUAGE_FIX)
    with torch.inference_mode():
        seen = render(gaussians, camera, features=True)
        assert seen.features is not None
        half = F.avg_pool2d(seen.features.permute(2, 0, 1)[None].float(), 2, ceil_mode=True)
        decoded = F.normalize(backend.decode_features(half[0].permute(1, 2, 0)).float(), dim=-1)
        cosines = (decoded @ backend.encode_texts(texts).to(decoded).T).permute(2, 0, 1)[None]
        size = (camera.height, camera.width)
        enlarged = F.interpolate(cosines, size, mode="bilinear", align_corners=True)[0]
    return np.asarray(enlarged.argmax(0).cpu().numpy(), np.int64)
