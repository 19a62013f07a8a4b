"""How DUSt3R's training data are cropped: about the principal point, then scaled and cut to the resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

PORTRAIT = 1.1  # height over width above which the resolution is turned
SQUARE = 0.9


@dataclass(frozen=True, eq=False)
class RgbdView:
    """An image [H, W, 3] uint8, its depth [H, W] float32 and intrinsics [3, 3] (pixel centres at integers)."""

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    K: NDArray[np.float32]

    @property
    def size(self) -> NDArray[np.int64]:
        """(width, height)."""
        return np.array(self.image.shape[1::-1])

    def cut(self, left: int, top: int, width: int, height: int) -> RgbdView:
        """Return a window."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        K = self.K.copy()
        K[:2, 2] -= (left, top)
        return RgbdView(self.image[rows, columns], self.depth[rows, columns], K)


def crop_resize(
    view: RgbdView, resolution: tuple[int, int], rng: np.random.Generator, aug_crop: int = 0
) -> RgbdView:
    """Bring a view to a resolution.

    Args:
        view: as read.
        resolution: (width, height) wanted for a landscape image; turned for a portrait one.
        rng: turns the resolution of nearly square images, and chooses how much larger the scaled image is.
        aug_crop: the scaled image is up to this many pixels larger than needed, minus one.
    """
    view = symmetric_about_principal_point(view)
    width, height = (int(v) for v in view.size)
    nearly_square = SQUARE < height / width < PORTRAIT and resolution[0] != resolution[1]
    if height > PORTRAIT * width or (nearly_square and rng.integers(2)):
        resolution = (resolution[1], resolution[0])
    wanted = np.array(resolution)
    if aug_crop > 1:
        wanted = wanted + rng.integers(0, aug_crop)
    view = scaled_to_cover(view, wanted)
    # The cut is half of what is too much, rounded as numpy does (halves to even), but taken from two float32
    # principal points: their rounding decides where it is a half.
    K = moved_origin(view.K, 1.0, view.size - np.array(resolution))
    left, top = (int(v) for v in np.round(view.K[:2, 2] - K[:2, 2]))
    return view.cut(left, top, *resolution)


def symmetric_about_principal_point(view: RgbdView) -> RgbdView:
    """Cut the largest window whose middle is the principal point, rounded to a pixel."""
    width, height = (int(v) for v in view.size)
    cx, cy = (int(v) for v in view.K[:2, 2].round())
    half_w, half_h = min(cx, width - cx), min(cy, height - cy)
    return view.cut(cx - half_w, cy - half_h, 2 * half_w, 2 * half_h)


def scaled_to_cover(view: RgbdView, wanted: NDArray[np.int64]) -> RgbdView:
    """Scale a view so that both sides reach (width, height); the image smoothly, depth by the nearest pixel."""
    scale = float(max(wanted / view.size)) + 1e-8
    width, height = (int(v) for v in np.floor(view.size * scale))
    method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    image = np.asarray(Image.fromarray(np.ascontiguousarray(view.image)).resize((width, height), method))
    depth = cv2.resize(view.depth, (width, height), interpolation=cv2.INTER_NEAREST)
    K = moved_origin(view.K, scale, view.size * scale - (width, height))
    return replace(view, image=image, depth=np.asarray(depth, np.float32), K=K)


def moved_origin(K: NDArray[np.float32], scale: float, margin: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return float32 intrinsics after scaling an image and cutting half of a margin (x, y) on each side.

    Pixels are scaled about their corners, so half a pixel is added before and taken off after. Each step is rounded
    to float32, as in the reference.
    """
    out = K.astype(np.float32)
    out[:2, 2] += 0.5
    out[:2] = (out[:2] * np.float64(scale)).astype(np.float32)
    out[:2, 2] = (out[:2, 2] - 0.5 * np.asarray(margin, np.float64)).astype(np.float32)
    out[:2, 2] -= 0.5
    return out
