"""Rendered rooms with held-out furniture: exact depth, pose and labels for both views of a pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lsm_core.data.classes import CLASSES
from lsm_core.data.shards import FrameShard, list_shards, load_shard
from lsm_core.errors import FileFormatError
from lsm_core.evaluation.pairs import EvalPair, EvalView, evenly_spaced
from lsm_core.geometry.se3 import relative

ROOM_TEXTS = CLASSES[1:]  # class 0 is unlabelled


def load_room_pairs(folder: Path, limit: int | None = None) -> list[EvalPair]:
    """Load pairs from all shards of a folder, evenly spread.

    Args:
        folder: holds shard_*.npz, as the generator writes them.
        limit: at most this many pairs.

    Raises:
        FileFormatError: there is no shard, or one is damaged.
    """
    paths = list_shards(folder)
    if not paths:
        raise FileFormatError(
            f"There is no shard in {folder}.", "Generate rooms first (docs/training_data.md) and pass --data DIR."
        )
    pairs: list[EvalPair] = []
    for number, path in enumerate(paths):
        share = None if limit is None else limit // len(paths) + (number < limit % len(paths))
        if share != 0:
            shard = load_shard(path)
            pairs += [_pair(shard, path.stem, k) for k in evenly_spaced(range(len(shard.pairs)), share)]
    return pairs


def _pair(shard: FrameShard, shard_name: str, k: int) -> EvalPair:
    """Return pair k of a shard."""
    i, j = (int(f) for f in shard.pairs[k])
    poses = torch.from_numpy(shard.T_world_cam[[i, j]]).double()
    views = (_view(shard, shard_name, i), _view(shard, shard_name, j))
    return EvalPair(views, relative(poses[0], poses[1]), float(shard.overlap[k]))


def _view(shard: FrameShard, shard_name: str, frame: int) -> EvalView:
    """Return one frame of a shard."""
    return EvalView(
        name=f"{shard_name}/{frame}",
        image=np.ascontiguousarray(shard.rgb[frame]),
        K=torch.from_numpy(shard.K[frame].copy()),
        depth=torch.from_numpy(shard.depth[frame].astype(np.float32)),
        labels=np.ascontiguousarray(shard.label[frame]),
    )
