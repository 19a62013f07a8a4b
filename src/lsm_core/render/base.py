"""The one protocol that every rasterizer fulfils, and the constants of 3D Gaussian Splatting they share."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from lsm_core.types import Camera, Gaussians, RenderResult

TILE = 16  # pixels; a Gaussian is drawn in every tile that its 3-sigma square touches
DILATION_PX2 = 0.3  # added to the diagonal of the 2D covariance, without compensating the opacity
ALPHA_MAX = 0.99
ALPHA_MIN = 1.0 / 255.0  # weaker contributions are skipped
TRANSMITTANCE_MIN = 1e-4  # a pixel ends before the Gaussian that would take it below this
FRUSTUM_MARGIN = 0.3  # the projection's Jacobian is evaluated at most this far outside the image, in half sizes


class Rasterizer(Protocol):
    """Draws Gaussians into a camera by sorted alpha blending (Kerbl et al. 2023, eq. 3)."""

    def __call__(
        self, gaussians: Gaussians, camera: Camera, background: Tensor, features: bool = False
    ) -> RenderResult:
        """Draw.

        Args:
            gaussians: in the frame that `camera.T_scene_cam` maps into.
            camera: what to see.
            background: [3] float32 RGB, seen where transmittance is left.
            features: also blend `gaussians.features`.

        Returns:
            rgb (not clamped from above), depth, alpha and features on the Gaussians' device.
        """
