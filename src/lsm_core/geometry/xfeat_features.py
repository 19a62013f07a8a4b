"""Points of images and their matches by XFeat, as its authors match sparsely: corners, mutual best descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.geometry.features import Matches
from lsm_core.nn.xfeat import STRIDE, XFeat

MIN_HEAT = 0.05
PEAK_WINDOW = 5


@dataclass(frozen=True, eq=False)
class XFeatPoints:
    """Points of one image.

    Attributes:
        points: [N, 2] float64 pixels (x, y) of the image given, the best first.
        descriptors: [N, 64] unit norm.
    """

    points: NDArray[np.float64]
    descriptors: Tensor


def find_xfeat(network: XFeat, image: NDArray[np.uint8], max_points: int = 4096) -> XFeatPoints:
    """Find and describe points of an image [H, W, 3] uint8 RGB.

    The picture is brought to multiples of 32 first. A point counts if it is the largest of its 5x5 pixels; its
    score is corner times reliability.
    """
    device = next(network.parameters()).device
    height, width = (side // STRIDE * STRIDE for side in image.shape[:2])
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        maps = network(F.interpolate(pixels, (height, width), mode="bilinear", align_corners=False))
        heat = maps.heat()
        at = _peaks(heat)
        score = heat[0, at[:, 1], at[:, 0]] * _sample(maps.reliability, at, (height, width), "bilinear")[:, 0]
        best = score.argsort(descending=True, stable=True)[:max_points]
        at = at[best[score[best] > 0]]
        dense = F.normalize(maps.descriptors, dim=1)
        descriptors = F.normalize(_sample(dense, at, (height, width), "bicubic"), dim=1)
    ratio = np.array([image.shape[1] / width, image.shape[0] / height])
    points = (at.cpu().double().numpy() + 0.5) * ratio - 0.5
    return XFeatPoints(points, descriptors)


def match_xfeat(first: XFeatPoints, second: XFeatPoints) -> Matches:
    """Return the points of two images that are each other's best by cosine."""
    if not len(first.points) or not len(second.points):
        return Matches(np.zeros((0, 2)), np.zeros((0, 2)))
    alike = first.descriptors @ second.descriptors.T
    forward, backward = alike.argmax(1), alike.argmax(0)
    own = torch.arange(len(forward), device=forward.device)
    mutual = (backward[forward] == own).cpu().numpy()
    return Matches(first.points[mutual], second.points[forward.cpu().numpy()[mutual]])


def _peaks(heat: Tensor) -> Tensor:
    """Return [N, 2] (x, y) of the pixels of [1, H, W] that are largest around and hot enough."""
    largest = F.max_pool2d(heat[:, None], PEAK_WINDOW, 1, PEAK_WINDOW // 2)[:, 0]
    return ((heat == largest) & (heat > MIN_HEAT))[0].nonzero().flip(-1)


def _sample(maps: Tensor, at: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Return [N, C] of maps [1, C, h, w] at pixels [N, 2] of (H, W).

    Pixels are placed as the release does it, so that the outermost ones lie on the border of the map: up to half a
    pixel from where they are, but what the descriptors were trained with.
    """
    height, width = size
    grid = 2 * at.to(maps) / maps.new_tensor([width - 1, height - 1]) - 1
    return F.grid_sample(maps, grid[None, :, None], mode=mode, align_corners=False)[0, :, :, 0].T
