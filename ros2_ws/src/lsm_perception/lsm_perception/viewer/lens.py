"""How wide a camera sees."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Lens:
    """Focal lengths and size of an image, pixels; about 60 degrees wide where the camera has not said."""

    fx: float = 554.0
    fy: float = 554.0
    width: int = 640
    height: int = 480

    @property
    def fov_y(self) -> float:
        """Vertical field of view, radians."""
        return 2 * math.atan(self.height / (2 * self.fy))

    @property
    def aspect(self) -> float:
        """Width over height, as seen."""
        return self.width * self.fy / (self.height * self.fx)


def lens_of_view(fov_y: float, aspect: float, height: int) -> Lens:
    """Return the lens of a browser's view (radians, width over height) for a picture of a height."""
    focal = height / (2 * math.tan(fov_y / 2))
    return Lens(focal, focal, max(1, round(height * aspect)), height)
