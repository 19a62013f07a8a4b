"""The one protocol that every rasterizer fulfils, and the constants of 3D Gaussian Splatting they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from torch import Tensor

from lsm_core.types import Camera, Gaussians, RenderResult

DILATION_PX2 = 0.3  # added to the diagonal of the 2D covariance, without compensating the opacity
ALPHA_MAX = 0.99
ALPHA_MIN = 1.0 / 255.0  # weaker contributions are skipped
TRANSMITTANCE_MIN = 1e-4  # a pixel ends before the Gaussian that would take it below this
FRUSTUM_MARGIN = 0.3  # the projection's Jacobian is evaluated at most this far outside the image, in half sizes
FAR_PX = 1e6  # boxes of Gaussians end here at the latest, so that they are whole numbers of pixels
RELEASED_TILE = 16  # pixels; see `Culling`
MEDIAN_TRANSMITTANCE = 0.5  # the median depth is that of the Gaussian that takes the transmittance to this


# Where a Gaussian is drawn. "exact": wherever its alpha is 1/255 or more. "released": only in tiles that the square
# of 3 standard deviations of its longer axis touches, as the rasterizers of 3D Gaussian Splatting's release do. An
# opaque one has alpha up to 0.011 beyond that, so images differ a little, and by where the tiles happen to lie.
Culling = Literal["exact", "released"]


class Rasterizer(Protocol):
    """Draws Gaussians into cameras by sorted alpha blending (Kerbl et al. 2023, eq. 3)."""

    def __call__(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        background: Tensor,
        features: bool = False,
        picks: bool = True,
    ) -> list[RenderResult]:
        """Draw.

        Args:
            gaussians: finite, in the frame that `camera.T_scene_cam` maps into; SH of degree 0 to 3.
            cameras: what to see; sizes may differ.
            background: [3] RGB, seen where transmittance is left.
            features: also blend `gaussians.features`.
            picks: also find the median depth and the strongest Gaussian of each pixel.

        Returns:
            One result per camera on the Gaussians' device; rgb is not clamped from above.
        """
