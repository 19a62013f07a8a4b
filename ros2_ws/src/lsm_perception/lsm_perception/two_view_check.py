"""The rotation between two keyframes by matched image features, found beside the model and not after it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import GeometryError
from lsm_core.geometry.features import Features, Matches, find_features, match_found
from lsm_core.geometry.two_view import relative_pose_from_matches
from lsm_core.mapping import TwoViewCheck, small_gray, small_intrinsics
from lsm_core.types import Prediction
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


class TwoViewChecker:
    """Finds and matches the features of keyframes; each keyframe is looked at once.

    Matching needs the images only, so it can go on in a thread while the model predicts (`prepare`); the pose needs
    the intrinsics of the prediction too, and is found in `check`, which waits for the matches. Safe to call from
    several threads. The result does not depend on whether `prepare` was called.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[int, _Seen] = OrderedDict()
        self._matching: _Matching | None = None

    def prepare(self, older: Keyframe, newer: Keyframe) -> None:
        """Begin to match two keyframes in a thread."""
        if older.encoded is None or newer.encoded is None:
            return
        matching = _Matching(self, older, newer)
        with self._lock:
            self._matching = matching
        matching.start()

    def check(self, older: Keyframe, newer: Keyframe, prediction: Prediction) -> TwoViewCheck | None:
        """Return the rotation of matched features, or None when there are too few of them.

        Args:
            older, newer: views 0 and 1 of the prediction.
            prediction: of both; only its intrinsics are used.
        """
        if older.encoded is None or newer.encoded is None:
            return None
        with self._lock:
            matching, self._matching = self._matching, None
        if matching is not None and matching.of(older, newer):
            matches = matching.result()
        else:
            matches = self.match(older, newer)
        K0, K1 = (self._intrinsics(k, prediction, view) for view, k in enumerate((older, newer)))
        try:
            found = relative_pose_from_matches(matches, K0, K1)
        except GeometryError:
            return None
        return TwoViewCheck(found.R_cam0_cam1.double().numpy(), found.inlier_count)

    def match(self, older: Keyframe, newer: Keyframe) -> Matches:
        """Return the matches of two keyframes on their reduced images."""
        return match_found(self._look(older).features, self._look(newer).features)

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

    def _intrinsics(self, keyframe: Keyframe, prediction: Prediction, view: int) -> NDArray[np.float64]:
        """Return [3, 3] intrinsics on the reduced image."""
        seen = self._look(keyframe)
        K = prediction.grid_to_image[view].double() @ prediction.intrinsics[view].double()
        return small_intrinsics(K.cpu().numpy(), (seen.image.shape[0], seen.image.shape[1]), seen.gray)


class _Matching(threading.Thread):
    """Matches two keyframes once; what it raises is raised by `result`."""

    def __init__(self, checker: TwoViewChecker, older: Keyframe, newer: Keyframe) -> None:
        super().__init__(name="lsm_features", daemon=True)
        self._checker = checker
        self._pair = (older, newer)
        self._matches: Matches | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Match; called by the thread."""
        try:
            self._matches = self._checker.match(*self._pair)
        except BaseException as error:
            self._error = error

    def of(self, older: Keyframe, newer: Keyframe) -> bool:
        """Whether these are the keyframes it matches."""
        asked = zip(self._pair, (older, newer), strict=True)
        return all(mine.encoded is other.encoded for mine, other in asked)

    def result(self) -> Matches:
        """Wait for the matches."""
        self.join()
        if self._error is not None:
            raise self._error
        assert self._matches is not None
        return self._matches
