"""Labels that the starting weights themselves give, so that training on unlabelled pictures keeps their words."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.data.shards import FrameShard
from lsm_core.nn.tiny import TinyNet
from lsm_core.training.augment import View, fit
from lsm_core.training.batches import collate, frame_view

SURE = 0.6  # probability from which on a pixel is labelled
SIDE = 32  # px, the network's grid


class OwnLabeller:
    """Names the pixels of a shard with a network.

    Args:
        net: in evaluation mode.
        texts: [C, 384] embedding of each class's own name; row 0 (void) is not used.
    """

    def __init__(self, net: TinyNet, texts: Tensor) -> None:
        self.net, self.texts = net, texts

    def __call__(self, shard: FrameShard) -> NDArray[np.uint8]:
        """Return labels [F, H, W], 0 where the network is not sure; frames in no pair stay void."""
        labels = np.zeros_like(shard.label)
        partner: dict[int, int] = {}
        for i, j in shard.pairs.tolist():
            partner.setdefault(i, j)
            partner.setdefault(j, i)
        for first, second in partner.items():
            labels[first] = self._label(frame_view(shard, first), frame_view(shard, second))
        return labels

    @torch.no_grad()
    def _label(self, first: View, second: View) -> NDArray[np.uint8]:
        """Return the first view's labels [H, W]."""
        height, width = first.label.shape
        grid = (height // SIDE * SIDE, width // SIDE * SIDE)
        batch = collate([(fit(first, *grid), fit(second, *grid))], [True])
        views = self.net.encode(batch.image, batch.K, batch.known)
        matched = self.net.match(views)
        no_pose = torch.zeros(2, dtype=torch.bool)
        refined = self.net.refine(views, matched, batch.T_other_self, no_pose)
        scores = self.net.text_head.similarity(refined.features[0].permute(1, 2, 0), self.texts[1:])
        chance, label = (self.net.text_head.scale() * scores).softmax(-1).max(-1)
        sure = torch.where(chance >= SURE, label + 1, 0).numpy().astype(np.uint8)
        return _uncropped(sure, grid, (height, width))


def _uncropped(label: NDArray[np.uint8], grid: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Undo `fit`: scale from 1/4 of the grid to the picture, void where it was cut off."""
    height, width = size
    scale = max(grid[0] / height, grid[1] / width)
    covered = (min(width, round(grid[1] / scale)), min(height, round(grid[0] / scale)))
    inner = np.asarray(cv2.resize(label, covered, interpolation=cv2.INTER_NEAREST), np.uint8)
    out = np.zeros(size, np.uint8)
    left, top = (width - covered[0]) // 2, (height - covered[1]) // 2
    out[top : top + covered[1], left : left + covered[0]] = inner
    return out
