"""Where a rig is in the map when it stands where a keyframe was made; and the report on a pair of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from lsm_core.mapping import SampleConfig, ScaleSample
from lsm_core.types import Sim3
from lsm_perception.products import Keyframe, Matrix, PairReport, PlacedPair
from lsm_perception.rig_pair import RigPair
from lsm_perception.scale_sampling import confidence_map, depth_map, rig_sample
from lsm_perception.units import scaled_pose


@dataclass(frozen=True, eq=False)
class SecondLook:
    """A rig's pair placed where an older keyframe is.

    Attributes:
        sample: metres per segment unit, from the depths of the two.
        T_second_primary: [4, 4], segment units.
        scale: segment units per unit of the rig's pair.
        placed: the rig's pair in the map.
    """

    sample: ScaleSample
    T_second_primary: Matrix
    scale: float
    placed: PlacedPair


def second_look(anchor: Keyframe, rig: RigPair, stamp_ns: int, config: SampleConfig) -> SecondLook | None:
    """Place an accepted pair so that its primary camera is where the anchor is.

    Args:
        anchor: a keyframe in the map.
        rig: the pair.
        stamp_ns: of its images.
        config: limits on the comparison of depths.

    Returns:
        None when the depths of the two disagree: it is not the same view.
    """
    assert anchor.prediction is not None and anchor.T_map_cam is not None
    depth, confidence = depth_map(anchor.prediction, anchor.view), confidence_map(anchor.prediction, anchor.view)
    found = rig_sample(rig, depth, confidence, stamp_ns, config)
    if found.sample is None:
        return None
    scale = rig.metres_per_unit / found.sample.metres_per_unit  # segment units per unit of the rig's pair
    T_second_primary = scaled_pose(rig.verdict.T_older_newer, scale)
    T = torch.from_numpy(anchor.T_map_cam @ np.linalg.inv(T_second_primary))
    placed = PlacedPair(rig.prediction, Sim3(scale, T[:3, :3], T[:3, 3]))
    return SecondLook(found.sample, T_second_primary, scale, placed)


def rig_report(rig: RigPair | None, newer: Keyframe, metres_per_unit: float) -> PairReport | None:
    """Return the report on a rig's pair that nothing is placed by.

    Args:
        rig: the pair, None without.
        newer: the primary's keyframe.
        metres_per_unit: of the segment; NaN while unknown, then the report is in the pair's own unit.
    """
    if rig is None:
        return None
    factor = rig.metres_per_unit / metres_per_unit
    known = math.isfinite(factor)
    scale = factor if known else 1.0
    T = scaled_pose(rig.verdict.T_older_newer, scale)
    return rig.verdict.report(rig.second, newer, T, scale, known, newer.segment if rig.accepted else 0)
