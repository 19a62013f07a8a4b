"""The motion between two keyframes by matched image features, found beside the model and not after it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import GeometryError
from lsm_core.geometry.features import Features, Matches, find_features, match_found
from lsm_core.geometry.two_view import relative_pose_from_matches
from lsm_core.mapping import TwoViewCheck, small_gray, small_intrinsics
from lsm_core.types import Prediction
from lsm_perception.beside import Beside
from lsm_perception.products import Keyframe

WIDTH = 480
KEPT = 6  # keyframes whose features are kept: the partner, the newest, and a rig's second camera
Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Seen:
    """One keyframe's image and what was found on its reduced grey version [h, w]."""

    image: Image
    gray: Image
    features: Features


@dataclass(frozen=True, eq=False)
class _Found:
    """What two images alone give: matches, and where both cameras are calibrated (`posed`) the check."""

    matches: Matches
    posed: bool
    check: TwoViewCheck | None


class TwoViewChecker:
    """Finds and matches the features of keyframes; each keyframe is looked at once.

    Matching needs the images only, and the pose their intrinsics. Where a calibration gives these, everything can
    go on in a thread while the model predicts (`prepare`); otherwise the prediction's are used, in `check`. Safe to
    call from several threads. The result does not depend on whether `prepare` was called.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[int, _Seen] = OrderedDict()
        self._prepared: tuple[Keyframe, Keyframe, Beside[_Found]] | None = None

    def prepare(self, older: Keyframe, newer: Keyframe) -> None:
        """Begin, in a thread, what needs no prediction."""
        if older.encoded is None or newer.encoded is None:
            return
        prepared = (older, newer, Beside("lsm_features", lambda: self._find(older, newer)))
        with self._lock:
            self._prepared = prepared

    def check(self, older: Keyframe, newer: Keyframe, prediction: Prediction) -> TwoViewCheck | None:
        """Return the motion that matched features show, or None when there are too few of them.

        Args:
            older, newer: views 0 and 1 of the prediction.
            prediction: of both; only its intrinsics are used, and only of a camera without a calibration.
        """
        if older.encoded is None or newer.encoded is None:
            return None
        with self._lock:
            prepared, self._prepared = self._prepared, None
        if prepared is not None and same_images(prepared[0], older) and same_images(prepared[1], newer):
            found = prepared[2].result()
        else:
            found = self._find(older, newer)
        if found.posed:
            return found.check
        views = ((older, 0), (newer, 1))
        K0, K1 = (
            prediction.grid_to_image[view].double() @ prediction.intrinsics[view].double()
            if keyframe.encoded is None or keyframe.encoded.intrinsics is None
            else keyframe.encoded.intrinsics
            for keyframe, view in views
        )
        return self._pose(older, newer, found.matches, K0, K1)

    def _find(self, older: Keyframe, newer: Keyframe) -> _Found:
        matches = match_found(self._look(older).features, self._look(newer).features)
        assert older.encoded is not None and newer.encoded is not None
        K0, K1 = older.encoded.intrinsics, newer.encoded.intrinsics
        if K0 is None or K1 is None:
            return _Found(matches, False, None)
        return _Found(matches, True, self._pose(older, newer, matches, K0, K1))

    def _pose(
        self, older: Keyframe, newer: Keyframe, matches: Matches, K0: Tensor, K1: Tensor
    ) -> TwoViewCheck | None:
        """Return the motion that explains matches on the reduced images; K0, K1 [3, 3] of the full ones."""
        small = [
            small_intrinsics(K.detach().cpu().double().numpy(), seen.image.shape[:2], seen.gray)
            for K, seen in ((K0, self._look(older)), (K1, self._look(newer)))
        ]
        try:
            pose = relative_pose_from_matches(matches, small[0], small[1])
        except GeometryError:
            return None
        return TwoViewCheck(
            pose.R_cam0_cam1.double().numpy(),
            pose.inlier_count,
            pose.direction_cam0_cam1.double().numpy(),
            pose.parallax_deg,
        )

    def _look(self, keyframe: Keyframe) -> _Seen:
        """Return the features of a keyframe's image, found once."""
        assert keyframe.encoded is not None
        image = keyframe.encoded.image
        with self._lock:
            known = self._seen.get(keyframe.id)
        if known is not None and known.image is image:
            return known
        gray = small_gray(image, WIDTH)
        seen = _Seen(image, gray, find_features(gray))
        with self._lock:
            self._seen[keyframe.id] = seen
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        return seen


def same_images(one: Keyframe, other: Keyframe) -> bool:
    """Whether two records are of one keyframe; what else is known of it may have changed between them."""
    return one.encoded is other.encoded
