"""What the two cameras of a rig see in the synthetic room, standing still and walking."""

from __future__ import annotations

import numpy as np
from synthetic_world import View, look, render, stand, stereo, walk

BASELINE_M = 0.25
TRUE_EXTRINSICS = np.eye(4) + np.diag([BASELINE_M], 3)  # T_left_right


def standing(count: int) -> tuple[list[View], list[View]]:
    left = render(look(-1.0, 0.0, -1.5), 1_700_000_000_123_456_789)
    return stand(left, count, seed=1), stand(stereo([left], BASELINE_M)[0], count, seed=2)


def moving(count: int, late_ns: int = 0) -> tuple[list[View], list[View]]:
    left = walk(count)
    return left, stereo(left, BASELINE_M, late_ns)
