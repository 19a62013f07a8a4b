"""A rig's two images of one time: encoded, predicted, judged against the extrinsics, and with them in metres."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.mapping import check_frame
from lsm_core.types import Prediction
from lsm_perception.accounting import Drop
from lsm_perception.finite_check import NON_FINITE_FIX, non_finite_features
from lsm_perception.gate import FRAME_DROPS
from lsm_perception.pair_check import PairJudge, PairVerdict
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Candidate, Keyframe, Matrix
from lsm_perception.rig_images import SecondImages, Waiting
from lsm_perception.symptoms import Symptom, see

NOT_KEPT = 0  # id of the second camera's images: they serve one pair
Predict = Callable[[Keyframe, Keyframe, Matrix], Prediction]
Extrinsics = Callable[[str, str, int], Matrix | None]


@dataclass(frozen=True, eq=False)
class RigPair:
    """The second camera's image (view 0, the older) and the primary's keyframe (view 1) of one time.

    Attributes:
        second: the second camera's image, not kept.
        prediction: of both, in its own unit.
        verdict: on its pose, judged against the extrinsics.
        T_second_primary: [4, 4] by tf, metres.
    """

    second: Keyframe
    prediction: Prediction
    verdict: PairVerdict
    T_second_primary: Matrix

    @property
    def accepted(self) -> bool:
        """Whether the pose may be used."""
        return self.verdict.accepted

    @property
    def metres_per_unit(self) -> float:
        """Known over predicted baseline; NaN for a rejected pair."""
        predicted = float(np.linalg.norm(self.verdict.T_older_newer[:3, 3]))
        known = float(np.linalg.norm(self.T_second_primary[:3, 3]))
        return known / predicted if self.accepted and predicted > 0 and known > 0 else math.nan

    def depth_m(self) -> NDArray[np.float32]:
        """Return the primary's depth [h, w] in metres on the model grid; NaN everywhere for a rejected pair."""
        depth = self.prediction.depth(1).detach().cpu().float().numpy()
        return np.asarray(depth * self.metres_per_unit, np.float32)


class RigPairer:
    """Finds the partner of each keyframe of the primary; runs in the worker's thread.

    The second camera's image in work is settled by `settle`, once the primary's is decided.
    """

    def __init__(
        self,
        backend: Backend,
        images: SecondImages,
        extrinsics: Extrinsics,
        problem: Callable[[str], None],
        parameters: NodeParameters,
    ) -> None:
        self._backend = backend
        self._images = images
        self._extrinsics = extrinsics
        self._problem = problem
        self._in_work: Waiting | None = None
        self.configure(parameters)

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._frame_check = parameters.input.frame_check()
        self._max_sync_s = parameters.rig.max_sync_s
        self._judge = PairJudge(parameters)

    def pair(self, primary: Keyframe, predict: Predict) -> RigPair | None:
        """Return the pair of a keyframe with the second camera's image of its time.

        Returns:
            None, with the reason reported, when there is no such image, it is no good, or tf does not know the
            cameras' relative pose: the keyframe then stands alone.
        """
        self.settle(Drop.INTERNAL)
        taken = self._images.take(primary.stamp_ns)
        if taken.image is None:
            self._problem(see(self._missing(taken.offset_s, primary.camera), Symptom.RIG))
            return None
        self._in_work = taken.image
        image = taken.image.candidate.image
        T = self._extrinsics(image.frame_id, primary.frame_id, primary.stamp_ns)
        if T is None:
            self.settle(Drop.NO_EXTRINSICS)
            frames = f"from '{primary.frame_id}' to '{image.frame_id}'"
            line = f"tf has no transform {frames}: no rig pair. Fix: publish it."
            self._problem(see(line, Symptom.RIG))
            return None
        verdict = check_frame(image.preview(), None, self._frame_check)
        if not verdict.ok:
            self.settle(FRAME_DROPS.get(verdict.reason, Drop.BLANK))
            line = (
                f"Camera '{image.camera}': {verdict.reason} image, no rig pair. Fix: look at its lens and driver."
            )
            self._problem(see(line, Symptom.RIG))
            return None
        second = self._encode(taken.image.candidate)
        bad = None if second.encoded is None else non_finite_features(second.encoded)
        if bad is not None:
            self.settle(Drop.NON_FINITE)
            line = f"The model's answer to an image of '{image.camera}' is not finite: {bad}. {NON_FINITE_FIX}"
            self._problem(see(line, Symptom.MODEL_ERRORS))
            return None
        prediction = predict(second, primary, T)
        return RigPair(second, prediction, self._judge.judge(second, primary, prediction, T), T)

    def settle(self, reason: Drop | None) -> None:
        """Count the second camera's image as used (None) or dropped; nothing happens when it is settled."""
        waiting, self._in_work = self._in_work, None
        if waiting is None:
            return
        if reason is None:
            waiting.ticket.use()
        else:
            waiting.ticket.drop(reason)

    def _encode(self, candidate: Candidate) -> Keyframe:
        image, calibration = candidate.image, candidate.calibration
        encoded = self._backend.encode(calibration.undistort(image.decode()), calibration.K)
        return Keyframe(
            id=NOT_KEPT,
            stamp_ns=image.stamp_ns,
            camera=image.camera,
            frame_id=image.frame_id,
            segment=0,
            T_map_cam=None,
            prediction=None,
            view=0,
            encoded=encoded,
            calibration=calibration,
        )

    def _missing(self, offset_s: float, camera: str) -> str:
        nearest = "none has come" if math.isnan(offset_s) else f"the nearest is {offset_s * 1e3:+.0f} ms off"
        return (
            f"The second camera has no image within {self._max_sync_s * 1e3:.0f} ms of a keyframe of '{camera}' "
            f"({nearest}): check that both are triggered together, or raise rig.max_sync_s."
        )
