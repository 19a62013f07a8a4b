"""Language features of Gaussians, drawn for a camera."""

from __future__ import annotations

import torch

from lsm_core.backends.base import Backend
from lsm_core.errors import UnsupportedError
from lsm_core.query.text_scorer import check_language
from lsm_core.query.text_to_mask import QueryConfig
from lsm_core.types import Camera, Gaussians, RenderResult


def feature_camera(camera: Camera, config: QueryConfig) -> Camera:
    """Return the same view on the smaller grid on which features are drawn."""
    width = min(camera.width, config.render_width)
    return camera.resized(width, max(1, round(camera.height * width / camera.width)))


def render_features(gaussians: Gaussians, camera: Camera) -> RenderResult:
    """Draw Gaussians with their features (64 channels, not the text space's 512)."""
    from lsm_core.render import render  # numba is imported when something is first drawn

    return render(gaussians, camera, features=True)


def gaussian_feature_width(backend: Backend, gaussians: Gaussians | None) -> int:
    """Return the width D of the Gaussians' features, which the backend must be able to decode.

    Raises:
        UnsupportedError: the backend or the Gaussians have no language features, or of another width.
    """
    check_language(backend)
    if gaussians is None or gaussians.features is None:
        raise UnsupportedError(
            "There are no Gaussians with language features to look at from a free camera.",
            "Ask on the input views, or use a backend that gives such Gaussians (lsm-tiny, lsm).",
        )
    width = int(gaussians.features.shape[-1])
    try:
        with torch.inference_mode():
            backend.decode_features(gaussians.features[:1])
    except RuntimeError as error:
        raise UnsupportedError(
            f"The Gaussians' features have {width} channels, which '{backend.name}' did not make.",
            "Name the backend that made the scene.",
        ) from error
    return width
