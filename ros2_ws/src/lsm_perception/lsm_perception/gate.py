"""The gate every image passes in its callback: stamps, frame checks, keyframe selection. A few milliseconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.mapping import (
    KeyframeAction,
    KeyframeDecision,
    KeyframeReason,
    KeyframeSelector,
    check_frame,
    small_intrinsics,
)
from lsm_perception.accounting import Drop
from lsm_perception.beside import Beside
from lsm_perception.calibration import Calibration
from lsm_perception.parameters import NodeParameters
from lsm_perception.source_image import Gray, SourceImage
from lsm_perception.stamp_guard import StampGuard, StampVerdict
from lsm_perception.symptoms import Symptom, see

logger = logging.getLogger(__name__)

FRAME_DROPS = {"blank": Drop.BLANK, "saturated": Drop.SATURATED, "blurred": Drop.BLURRED, "frozen": Drop.FROZEN,
                "torn": Drop.TORN}  # fmt: skip
_SKIP_DROPS = {
    KeyframeReason.BLUR: Drop.BLUR,
    KeyframeReason.STATIC: Drop.STATIC,
    KeyframeReason.SIMILAR: Drop.SIMILAR,
    KeyframeReason.TOO_SOON: Drop.TOO_SOON,
    KeyframeReason.OUT_OF_ORDER: Drop.BAD_STAMP,
}


@dataclass(frozen=True)
class GateResult:
    """What the gate says of one image.

    Attributes:
        drop: why it is not wanted, None when it is a candidate keyframe.
        reason: the word for ~/keyframes.
        decision: of the keyframe selection, None when the image did not get that far.
        reference_ns: stamp of the keyframe it was compared with.
    """

    drop: Drop | None
    reason: str
    decision: KeyframeDecision | None = None
    reference_ns: int | None = None


class TimeJumpedBack(Exception):
    """Stamps are much older than the newest one: a bag looped or a clock was set. Reset, then ask again."""


class CameraGate:
    """Frame checks and keyframe selection of one camera; safe to call from several threads."""

    def __init__(self, parameters: NodeParameters) -> None:
        self._lock = threading.Lock()
        self._input = parameters.input
        self._selection = parameters.keyframes.selection()
        self._selector = KeyframeSelector(self._selection)
        self._stamps = StampGuard(parameters.input.jump_back_s)
        self._previous: Gray | None = None
        self._form: tuple[str, str, int, int] | None = None

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits; the selection starts anew when its thresholds changed."""
        with self._lock:
            self._input = parameters.input
            self._stamps.back_s = parameters.input.jump_back_s
            if parameters.keyframes.selection() != self._selection:
                self._selection = parameters.keyframes.selection()
                self._selector = KeyframeSelector(self._selection)

    def consider(self, image: SourceImage, calibration: Calibration) -> GateResult:
        """Judge one image.

        Raises:
            TimeJumpedBack: the node must be reset first; then ask again.
        """
        with self._lock:
            drop = self._check_stamp(image.stamp_ns)
            if drop is not None:
                return GateResult(drop, drop.value)
            gray = image.preview()
            verdict = check_frame(gray, self._previous, self._input.frame_check())
            self._previous = gray
            if not verdict.ok:
                drop = FRAME_DROPS.get(verdict.reason, Drop.BLANK)
                return GateResult(drop, verdict.reason)
            reference_ns = self._selector.reference_stamp_ns
            decision = self._selector.consider(gray, image.stamp_ns, _small_K(calibration, gray), verdict.blur)
            if decision.action is KeyframeAction.SKIP:
                return GateResult(
                    _SKIP_DROPS.get(decision.reason, Drop.SIMILAR), decision.reason.value, decision, reference_ns
                )
            return GateResult(None, decision.reason.value, decision, reference_ns)

    def changed_format(self, image: SourceImage) -> bool:
        """Whether frame_id, encoding or size differ from the images before; remembers the new ones."""
        with self._lock:
            before, self._form = self._form, image.form
            return before is not None and before != image.form

    def accept(self, decision: KeyframeDecision, reference_ns: int | None) -> bool:
        """Take a candidate as used: it becomes what later images are compared with.

        Returns:
            False when the decision holds no more: another keyframe was accepted or the gate was reset since.
        """
        with self._lock:
            if (
                self._selector.reference_stamp_ns != reference_ns
                and decision.reason is not KeyframeReason.REQUESTED
            ):
                return False
            try:
                self._selector.accept(decision.stamp_ns)
            except InputError:
                return False
        # Nobody waits for the corners of the new reference before the next image; the model may begin.
        Beside("lsm_corners", self._catch_up)
        return True

    def request_capture(self) -> None:
        """Let the next good image be a keyframe."""
        with self._lock:
            self._selector.request_capture()

    def reset(self, clock_ns: Callable[[], int] | None = None) -> None:
        """Forget everything; after a jump of the clock the next image's stamp must fit that."""
        with self._lock:
            self._selector.reset()
            self._stamps.reset(clock_ns)
            self._previous = None

    def _catch_up(self) -> None:
        with self._lock:
            self._selector.catch_up()

    def _check_stamp(self, stamp_ns: int) -> Drop | None:
        verdict = self._stamps.judge(stamp_ns)
        if verdict is StampVerdict.JUMPED_BACK:
            raise TimeJumpedBack
        if verdict is StampVerdict.JUMPED_AHEAD:
            logger.warning(see("The images' stamps jumped ahead; going on.", Symptom.CLOCK))
        return Drop.BAD_STAMP if verdict is StampVerdict.BAD else None


def _small_K(calibration: Calibration, gray: Gray) -> NDArray[np.float64] | None:
    if calibration.K is None:
        return None
    return small_intrinsics(calibration.K, (calibration.height, calibration.width), gray)
