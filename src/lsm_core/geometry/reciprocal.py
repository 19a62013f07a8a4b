"""Fast reciprocal matching of dense descriptors (MASt3R, Leroy et al. 2024, arXiv:2406.09756, section 3.3)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.geometry.features import Matches

STEP = 8  # pixels between the starting points
ROUNDS = 10
BLOCK = 2**25  # similarities held at once


@torch.no_grad()
def reciprocal_matches(first: Tensor, second: Tensor, step: int = STEP, rounds: int = ROUNDS) -> Matches:
    """Find pixels of two images that are each other's most similar.

    From a grid of starting pixels the search goes to the best pixel of the other image and back; where it ends at
    the same pixel the two are a match, elsewhere it goes on from there. Not all mutual best pairs are found, but
    all that are found are such pairs.

    Args:
        first, second: [H, W, D] descriptors of unit length; sizes may differ, D may not.
        step: pixels between starting points.
        rounds: there and back, at most.

    Returns:
        Each match once, in the order of the first image's pixels.

    Raises:
        InputError: the shapes do not agree.
    """
    if first.ndim != 3 or second.ndim != 3 or first.shape[2] != second.shape[2]:
        raise InputError(f"Descriptors must be [H, W, D], got {tuple(first.shape)} and {tuple(second.shape)}.")
    width0, width1 = first.shape[1], second.shape[1]
    rows = torch.arange(min(step // 2, first.shape[0] - 1), first.shape[0], step, device=first.device)
    columns = torch.arange(min(step // 2, width0 - 1), width0, step, device=first.device)
    here = (rows[:, None] * width0 + columns).flatten()
    a, b = first.flatten(0, 1), second.flatten(0, 1)
    pairs = []
    for _ in range(rounds):
        there = most_similar(a[here], b)
        back = most_similar(b[there], a)
        stays = back == here
        pairs.append(torch.stack((here[stays], there[stays]), 1))
        here = back[~stays].unique()
        if len(here) == 0:
            break
    found = torch.cat(pairs).unique(dim=0).cpu()
    return Matches(_pixels(found[:, 0], width0), _pixels(found[:, 1], width1))


def most_similar(queries: Tensor, candidates: Tensor) -> Tensor:
    """Return the index [M] of the candidate [N, D] with the largest inner product, for each query [M, D]."""
    size = max(1, BLOCK // len(candidates))
    parts = [(block @ candidates.T).argmax(1) for block in queries.split(size)]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64, device=queries.device)


def _pixels(index: Tensor, width: int) -> NDArray[np.float64]:
    """Return [N, 2] (x, y) of flat indices."""
    return torch.stack((index % width, index // width), 1).double().numpy()
