"""What every data set is turned into: pairs of images with ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Item = TypeVar("Item")


@dataclass(frozen=True)
class EvalView:
    """One image with what is known about it.

    Attributes:
        name: for tables and pictures.
        image: [H, W, 3] uint8 RGB.
        K: [3, 3] float32 intrinsics, or None when unknown.
        depth: [H, W] float32 z-depth in metres, 0 = unknown; or None.
        labels: [H, W] uint8 class ids, 0 = unlabelled; or None.
    """

    name: str
    image: NDArray[np.uint8]
    K: Tensor | None
    depth: Tensor | None = None
    labels: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class EvalPair:
    """Two views and their true relative pose.

    Attributes:
        views: view 0 and view 1.
        T_cam0_cam1: [4, 4] float64 metres, maps points of camera 1 into camera 0.
        overlap: share of view 0 that view 1 sees, 0 to 1, as the data set defines it.
    """

    views: tuple[EvalView, EvalView]
    T_cam0_cam1: Tensor
    overlap: float

    @property
    def name(self) -> str:
        """Names of both views."""
        return f"{self.views[0].name}+{self.views[1].name}"


def evenly_spaced(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Return at most `limit` items, spread over the whole sequence; all of them for None."""
    if limit is None or limit >= len(items):
        return list(items)
    index = np.linspace(0, len(items) - 1, max(limit, 1)).round().astype(int)
    return [items[i] for i in index]
