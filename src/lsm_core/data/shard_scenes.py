"""The rendered training rooms (`lsm_core.data.generate`) as scenes: one per walk."""

from __future__ import annotations

import numpy as np

from lsm_core.data.shards import FrameShard
from lsm_core.data.views import PosedView
from lsm_core.types import Unit


class ShardWalk:
    """The frames of one walk in a shard.

    Args:
        shard: in memory.
        frames: their indices in it, in order.
    """

    unit: Unit = "metric"

    def __init__(self, shard: FrameShard, frames: list[int], name: str) -> None:
        self.shard, self.frames, self.name = shard, frames, name

    def __len__(self) -> int:
        return len(self.frames)

    def usable(self) -> list[int]:
        """Return all frames."""
        return list(range(len(self)))

    def view(self, index: int) -> PosedView:
        """Return a frame with depth and labels."""
        k = self.frames[index]
        return PosedView(
            self.shard.rgb[k],
            self.shard.K[k],
            self.shard.T_world_cam[k].astype(np.float64),
            self.shard.depth[k].astype(np.float32),
            self.shard.label[k].astype(np.int32),
            name=f"{self.name}/{k}",
        )


def shard_walks(shard: FrameShard, name: str) -> list[ShardWalk]:
    """Return the walks of a shard: frames that its pairs join."""
    walk = list(range(len(shard.rgb)))
    for i, j in shard.pairs:
        low, high = sorted((walk[i], walk[j]))
        walk = [low if w == high else w for w in walk]
    members: dict[int, list[int]] = {}
    for frame, w in enumerate(walk):
        members.setdefault(w, []).append(frame)
    return [ShardWalk(shard, frames, f"{name}/{w}") for w, frames in members.items() if len(frames) > 1]
