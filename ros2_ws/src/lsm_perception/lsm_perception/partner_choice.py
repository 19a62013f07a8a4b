"""Which keyframe the next one is paired with."""

from __future__ import annotations

import math

from lsm_perception.parameter_groups import KeyframeParameters
from lsm_perception.products import Keyframe


class PartnerChoice:
    """The last keyframe whose pose was accepted, so one bad image does not break the chain.

    After `keyframes.retries` more rejections, or when little of it can still be in view, it is given up.

    Attributes:
        keyframe: the partner, None where the next keyframe is a first one.
    """

    def __init__(self) -> None:
        self.choose(None)

    def choose(self, keyframe: Keyframe | None) -> None:
        """Take a keyframe for the partner from now on, or none."""
        self.keyframe = keyframe
        self._rejections = 0
        self._overlap = 1.0  # of the newest keyframe with it

    def reject(self, measured: float, step: float, limits: KeyframeParameters) -> bool:
        """Count a rejected pair with the partner, and return whether to give that up.

        Args:
            measured: overlap of the pair by its own matches; NaN or 0 when unknown.
            step: share of the keyframe before that is in view of the newer one; NaN when unknown.
            limits: in force.
        """
        self._rejections += 1
        if measured > 0:
            self._overlap = measured
            out_of_view = measured < limits.hard_overlap
        else:
            self._overlap *= step if math.isfinite(step) else limits.target_overlap
            out_of_view = self._overlap * limits.target_overlap < limits.hard_overlap
        return self._rejections > limits.retries or out_of_view

    def fail(self, limits: KeyframeParameters) -> None:
        """Count a pair that the model could not answer; after as many the partner itself is not trusted."""
        self._rejections += 1
        if self._rejections > limits.retries:
            self.choose(None)
