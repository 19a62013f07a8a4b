"""The gate of a rig's second camera: stamps in the callback, the frame itself only when a pair needs it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from lsm_core.mapping import KeyframeAction, KeyframeDecision, KeyframeReason
from lsm_perception.accounting import Drop
from lsm_perception.calibration import Calibration
from lsm_perception.gate import GateResult, TimeJumpedBack
from lsm_perception.parameters import NodeParameters
from lsm_perception.source_image import SourceImage
from lsm_perception.stamp_guard import StampGuard, StampVerdict


class SecondGate:
    """Checks the stamps of the second camera; its frames are checked only when one is taken for a pair."""

    def __init__(self, parameters: NodeParameters) -> None:
        self._lock = threading.Lock()
        self._stamps = StampGuard(parameters.input.jump_back_s)
        self._form: tuple[str, str, int, int] | None = None

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        with self._lock:
            self._stamps.back_s = parameters.input.jump_back_s

    def consider(self, image: SourceImage, calibration: Calibration) -> GateResult:
        """Judge one image by its stamp.

        Raises:
            TimeJumpedBack: the node must be reset first; then ask again.
        """
        with self._lock:
            verdict = self._stamps.judge(image.stamp_ns)
        if verdict is StampVerdict.JUMPED_BACK:
            raise TimeJumpedBack
        if verdict is StampVerdict.BAD:
            return GateResult(Drop.BAD_STAMP, Drop.BAD_STAMP.value)
        reason = KeyframeReason.REQUESTED  # the primary decides; this one only waits
        return GateResult(
            None,
            reason.value,
            KeyframeDecision(KeyframeAction.KEEP, reason, image.stamp_ns, math.nan, math.nan, math.nan, 0),
        )

    def changed_format(self, image: SourceImage) -> bool:
        """Whether frame_id, encoding or size differ from the images before; remembers the new ones."""
        with self._lock:
            before, self._form = self._form, image.form
            return before is not None and before != image.form

    def reset(self, clock_ns: Callable[[], int] | None = None) -> None:
        """Forget the stamps; after a jump of the clock the next one must fit that."""
        with self._lock:
            self._stamps.reset(clock_ns)
