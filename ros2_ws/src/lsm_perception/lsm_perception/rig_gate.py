"""The gate of a rig's second camera: stamps in the callback, the frame itself only when a pair needs it."""

from __future__ import annotations

import math
import threading

from lsm_core.mapping import KeyframeAction, KeyframeDecision, KeyframeReason
from lsm_perception.accounting import Drop
from lsm_perception.calibration import Calibration
from lsm_perception.gate import GateResult, TimeJumpedBack
from lsm_perception.parameters import NodeParameters
from lsm_perception.source_image import SourceImage


class SecondGate:
    """Checks the stamps of the second camera; its frames are checked only when one is taken for a pair."""

    def __init__(self, parameters: NodeParameters) -> None:
        self._lock = threading.Lock()
        self._jump_back_ns = parameters.input.jump_back_s * 1e9
        self._newest_ns: int | None = None
        self._shape: tuple[str, int, int] | None = None

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._jump_back_ns = parameters.input.jump_back_s * 1e9

    def consider(self, image: SourceImage, calibration: Calibration) -> GateResult:
        """Judge one image by its stamp.

        Raises:
            TimeJumpedBack: the node must be reset first; nothing was changed.
        """
        with self._lock:
            newest, stamp_ns = self._newest_ns, image.stamp_ns
            if stamp_ns > 0 and newest is not None and newest - stamp_ns >= self._jump_back_ns:
                raise TimeJumpedBack
            if stamp_ns <= 0 or (newest is not None and stamp_ns <= newest):
                return GateResult(Drop.BAD_STAMP, Drop.BAD_STAMP.value)
            self._newest_ns = stamp_ns
        reason = KeyframeReason.REQUESTED  # the primary decides; this one only waits
        return GateResult(
            None,
            reason.value,
            KeyframeDecision(KeyframeAction.KEEP, reason, stamp_ns, math.nan, math.nan, math.nan, 0),
        )

    def changed_format(self, image: SourceImage) -> bool:
        """Whether frame_id or size differ from the images before; remembers the new ones."""
        shape = (image.frame_id, image.width, image.height)
        with self._lock:
            before, self._shape = self._shape, shape
            return before is not None and before != shape

    def reset(self) -> None:
        """Forget the newest stamp."""
        with self._lock:
            self._newest_ns = None
