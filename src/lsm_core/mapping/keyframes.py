"""Which frames become keyframes: by parallax, overlap and age, from tracked corners."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.mapping.corner_tracks import CornerTracks
from lsm_core.mapping.frame_check import sharpness
from lsm_core.mapping.view_motion import overlap, parallax_deg

KEPT_CANDIDATES = 64  # frames to be kept or refreshed that wait for `accept`: a slow model takes seconds
# Hysteresis: while the picture as a whole has not changed, corners that run out are noise and no loss of the view,
# and an estimate of motion must have been half-way there the frame before.
COARSE = (32, 24)
STILL_PX = 5.0  # median motion of the corners above which the view has changed, whatever the picture
STILL_GREY = 3.0  # mean difference of coarse pictures, brightness removed, below which nothing has changed


class KeyframeAction(StrEnum):
    """What to do with a frame."""

    KEEP = "keep"  # make it a keyframe and pair it with the one before
    REFRESH = "refresh"  # segment it anew; it is no partner for geometry, and the reference stays
    SKIP = "skip"  # leave it


class KeyframeReason(StrEnum):
    """Why; the words of lsm_perception_msgs/Keyframe plus more precise ones."""

    FIRST = "first"
    PARALLAX = "parallax"
    OVERLAP = "overlap"
    AGE = "age"
    REQUESTED = "requested"
    LOST = "lost"  # too few corners could be followed: the view changed abruptly
    BLUR = "blur"  # would be kept, but is much less sharp than the reference
    STATIC = "static"  # nothing moved
    SIMILAR = "similar"  # moved, not far enough
    TOO_SOON = "too_soon"  # less than min_interval_s after the last keyframe
    OUT_OF_ORDER = "out_of_order"  # stamp not newer than the frame before; reset() after a jump of time


@dataclass(frozen=True)
class KeyframeConfig:
    """Thresholds of the selection.

    Attributes:
        min_parallax_deg: median angle between rays, rotation removed, that makes a keyframe.
        max_overlap: a keyframe by parallax needs an overlap of at most this; 1 switches the condition off.
        target_overlap: at or below this overlap a frame becomes a keyframe whatever its parallax.
        hard_overlap: at or below it, blur and min_interval_s no longer hold it back.
        max_age_s: a reference older than this is refreshed (masks), or replaced if there is some parallax.
        min_interval_s: no two keyframes closer in time, except requested ones.
        min_relative_sharpness: sharpness relative to the reference's below which a keyframe waits.
        max_blur_wait_s: longest such wait.
        static_flow_px: median corner motion below which nothing has moved, reduced pixels.
        max_corners, min_tracks: corners looked for, and needed for an estimate.
        track_check_px: a corner tracked forth and back must return this close.
        assumed_fov_deg: horizontal field of view when no intrinsics are known.
    """

    min_parallax_deg: float = 3.0
    max_overlap: float = 1.0
    target_overlap: float = 0.65
    hard_overlap: float = 0.5
    max_age_s: float = 3.0
    min_interval_s: float = 0.1
    min_relative_sharpness: float = 0.6
    max_blur_wait_s: float = 0.5
    static_flow_px: float = 0.5
    max_corners: int = 200
    min_tracks: int = 20
    track_check_px: float = 1.0
    assumed_fov_deg: float = 65.0


@dataclass(frozen=True)
class KeyframeDecision:
    """What to do with one frame, and the figures behind it.

    Attributes:
        action: KEEP, REFRESH or SKIP.
        reason: one of KeyframeReason.
        stamp_ns: the frame's stamp, to give back to `accept`.
        overlap: share of the reference's view that is still in view, 0 to 1; NaN when unknown.
        parallax_deg: median angle between the rays of matched corners after removing rotation; NaN when unknown.
        blur: sharpness relative to the reference's, 1 as sharp; NaN without a reference.
        tracks: corners followed from the reference.
        flow_px: median motion of those corners in the image, pixels; NaN when unknown.
    """

    action: KeyframeAction
    reason: KeyframeReason
    stamp_ns: int
    overlap: float
    parallax_deg: float
    blur: float
    tracks: int
    flow_px: float = math.nan


@dataclass(frozen=True)
class _Candidate:
    """A frame that may become the reference: image [h, w], stamp, intrinsics, sharpness, decision."""

    gray: NDArray[np.uint8]
    stamp_ns: int
    K: NDArray[np.float64]
    sharpness: float
    action: KeyframeAction = KeyframeAction.SKIP
    requested: bool = False


@dataclass(frozen=True)
class _Motion:
    """How far the view has moved from the reference: tracks, overlap, parallax, whether the picture is the same."""

    tracks: int
    overlap: float
    parallax_deg: float
    still: bool


_UNMOVED = _Motion(0, 1.0, 0.0, True)


class KeyframeSelector:
    """Follow corners from the last keyframe through the stream and say when the next one is due.

    Use: `decision = selector.consider(gray, stamp_ns, K)` for every good frame, in order; when the caller does use
    a frame that was to be kept or refreshed, `selector.accept(decision.stamp_ns)`. A frame that was not accepted
    changes nothing: the next ones are still compared with the old reference, so a busy worker loses no parallax.
    Single-threaded. A few milliseconds per frame.
    """

    def __init__(self, config: KeyframeConfig | None = None) -> None:
        self._config = config or KeyframeConfig()
        self._reference: _Candidate | None = None
        self._tracks: CornerTracks | None = None
        self._candidates: OrderedDict[int, _Candidate] = OrderedDict()  # by stamp, not yet accepted
        self._recent: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=KEPT_CANDIDATES)  # stamp, image
        self._capture = False
        self._last_stamp_ns: int | None = None
        self._used_ns = 0  # stamp of the last accepted frame, refreshes included
        self._blurred_since_ns: int | None = None
        self._before = _UNMOVED  # the last good look at the present reference

    @property
    def reference_stamp_ns(self) -> int | None:
        """Stamp of the last accepted keyframe (not of a refresh), None before the first."""
        return None if self._reference is None else self._reference.stamp_ns

    def consider(
        self,
        gray: NDArray[np.uint8],
        stamp_ns: int,
        K: NDArray[Any] | None = None,
        detail: float | None = None,
    ) -> KeyframeDecision:
        """Track into a frame and decide.

        Args:
            gray: [h, w] uint8 from `small_gray`; another size than before resets the selector.
            stamp_ns: the image's stamp.
            K: [3, 3] in pixels of `gray` (`small_intrinsics`), None assumes a field of view.
            detail: `sharpness` of `gray` where it is known (`FrameVerdict.blur`).
        """
        if self._reference is not None and self._reference.gray.shape != gray.shape:
            self.reset()
        self.catch_up()
        if self._last_stamp_ns is not None and stamp_ns <= self._last_stamp_ns:
            skip, why = KeyframeAction.SKIP, KeyframeReason.OUT_OF_ORDER
            return KeyframeDecision(skip, why, stamp_ns, math.nan, math.nan, math.nan, 0)
        self._last_stamp_ns = stamp_ns
        self._recent.append((stamp_ns, gray))
        frame = _Candidate(gray, stamp_ns, self._intrinsics(gray, K), sharpness(gray) if detail is None else detail)
        decision = self._decide(frame)
        if decision.action is not KeyframeAction.SKIP:
            requested = decision.reason is KeyframeReason.REQUESTED
            self._candidates[stamp_ns] = replace(frame, action=decision.action, requested=requested)
            while len(self._candidates) > KEPT_CANDIDATES:
                self._candidates.popitem(last=False)
        return decision

    def accept(self, stamp_ns: int | None = None) -> None:
        """Take the frame with this stamp as used: a kept one becomes the reference, a refresh restarts the age.

        Args:
            stamp_ns: one of the last few frames whose decision was KEEP or REFRESH; None for the latest of them.

        Raises:
            InputError: there is no such frame.
        """
        if stamp_ns is None and self._candidates:
            stamp_ns = next(reversed(self._candidates))
        frame = self._candidates.pop(stamp_ns, None) if stamp_ns is not None else None
        if frame is None:
            raise InputError(f"No frame with stamp {stamp_ns} was to be kept lately.", "Accept it once.")
        self._used_ns = frame.stamp_ns
        self._blurred_since_ns = None
        for older in [stamp for stamp in self._candidates if stamp < frame.stamp_ns]:
            del self._candidates[older]
        self._capture = self._capture and not frame.requested and frame.action is not KeyframeAction.KEEP
        if frame.action is KeyframeAction.KEEP:
            self._reference, self._tracks = frame, None
            self._before = _UNMOVED

    def catch_up(self) -> None:
        """Find the corners of a new reference and follow them up to the latest frame.

        `consider` does it where nobody has; whoever accepts a frame in a hurry may call it when there is time.
        """
        if self._reference is None or self._tracks is not None:
            return
        tracks = CornerTracks(self._reference.gray, self._config.max_corners, self._config.track_check_px)
        # The stream may have gone on since: follow it image by image, a jump would lose the corners.
        for stamp, gray in self._recent:
            if stamp > self._reference.stamp_ns:
                tracks.advance(gray)
        self._tracks = tracks

    def request_capture(self) -> None:
        """Keep the next frame whatever it shows (service ~/capture); stays pending until one is accepted.

        A frame that has not moved from the reference is to be refreshed: it is no partner for geometry.
        """
        self._capture = True

    def reset(self) -> None:
        """Forget reference, tracks and requests: the next frame is a first one."""
        self._reference = None
        self._tracks = None
        self._candidates.clear()
        self._recent.clear()
        self._capture = False
        self._last_stamp_ns = None
        self._used_ns = 0
        self._blurred_since_ns = None
        self._before = _UNMOVED

    def _intrinsics(self, gray: NDArray[np.uint8], K: NDArray[Any] | None) -> NDArray[np.float64]:
        if K is not None:
            return np.asarray(K, dtype=np.float64)
        h, w = gray.shape
        f = 0.5 * w / math.tan(0.5 * math.radians(self._config.assumed_fov_deg))
        return np.array([[f, 0, 0.5 * (w - 1)], [0, f, 0.5 * (h - 1)], [0, 0, 1]])

    def _decide(self, frame: _Candidate) -> KeyframeDecision:
        if self._reference is None or self._tracks is None:
            keep, first = KeyframeAction.KEEP, KeyframeReason.FIRST
            return KeyframeDecision(keep, first, frame.stamp_ns, math.nan, math.nan, math.nan, 0)
        tracks = self._tracks
        tracks.advance(frame.gray)
        seen = overlap(tracks.reference, tracks.current, frame.gray.shape, tracks.survived)
        parallax = parallax_deg(tracks.reference, tracks.current, self._reference.K, frame.K)
        still = not tracks.flow_px >= STILL_PX and same_picture(self._reference.gray, frame.gray)
        now = _Motion(len(tracks.current), seen, parallax, still)
        blur = min(frame.sharpness / max(self._reference.sharpness, 1e-6), 1.0)
        action, reason = self._due(frame.stamp_ns, now, tracks)
        if action is KeyframeAction.KEEP and reason is not KeyframeReason.REQUESTED:
            action, reason = self._hold_back(frame.stamp_ns, reason, seen, blur)
        if now.tracks >= self._config.min_tracks:
            self._before = now
        return KeyframeDecision(action, reason, frame.stamp_ns, seen, parallax, blur, now.tracks, tracks.flow_px)

    def _due(self, stamp_ns: int, now: _Motion, tracks: CornerTracks) -> tuple[KeyframeAction, KeyframeReason]:
        """Say what the view's motion and the reference's age ask for."""
        limits = self._config
        if self._capture:
            return (
                KeyframeAction.KEEP if self._has_moved(now) else KeyframeAction.REFRESH
            ), KeyframeReason.REQUESTED
        if now.tracks < limits.min_tracks:
            return self._due_without_tracks(stamp_ns, now, tracks.started)
        if now.overlap <= limits.target_overlap and (
            not now.still or self._before.overlap <= 0.5 * (1 + limits.target_overlap)
        ):
            return KeyframeAction.KEEP, KeyframeReason.OVERLAP
        far = now.parallax_deg >= limits.min_parallax_deg and now.overlap <= limits.max_overlap
        if far and (not now.still or self._before.parallax_deg >= 0.5 * limits.min_parallax_deg):
            return KeyframeAction.KEEP, KeyframeReason.PARALLAX
        if stamp_ns - self._used_ns >= limits.max_age_s * 1e9:
            some = now.parallax_deg >= 0.5 * limits.min_parallax_deg
            return (KeyframeAction.KEEP if some else KeyframeAction.REFRESH), KeyframeReason.AGE
        static = tracks.flow_px < limits.static_flow_px
        return KeyframeAction.SKIP, KeyframeReason.STATIC if static else KeyframeReason.SIMILAR

    def _has_moved(self, now: _Motion) -> bool:
        """Whether a frame differs enough from the reference to make a pair with it."""
        limits = self._config
        if now.tracks < limits.min_tracks:
            return not now.still
        return now.parallax_deg >= 0.5 * limits.min_parallax_deg or now.overlap <= limits.target_overlap

    def _due_without_tracks(
        self, stamp_ns: int, now: _Motion, started: int
    ) -> tuple[KeyframeAction, KeyframeReason]:
        """Decide where corners cannot tell: without corners (bare wall) or any change only age replaces it."""
        if started >= self._config.min_tracks and not now.still:
            return KeyframeAction.KEEP, KeyframeReason.LOST
        old = stamp_ns - self._used_ns >= self._config.max_age_s * 1e9
        return (KeyframeAction.KEEP, KeyframeReason.AGE) if old else (KeyframeAction.SKIP, KeyframeReason.SIMILAR)

    def _hold_back(
        self, stamp_ns: int, reason: KeyframeReason, seen: float, blur: float
    ) -> tuple[KeyframeAction, KeyframeReason]:
        """Let a due keyframe wait for a better moment, unless the view is about to be lost."""
        limits = self._config
        urgent = seen <= limits.hard_overlap
        if not urgent and stamp_ns - self._used_ns < limits.min_interval_s * 1e9:
            return KeyframeAction.SKIP, KeyframeReason.TOO_SOON
        if blur >= limits.min_relative_sharpness:
            self._blurred_since_ns = None
        elif not urgent or reason is KeyframeReason.LOST:
            since = self._blurred_since_ns = self._blurred_since_ns or stamp_ns
            if stamp_ns - since < limits.max_blur_wait_s * 1e9:
                return KeyframeAction.SKIP, KeyframeReason.BLUR
        return KeyframeAction.KEEP, reason


def same_picture(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Whether two images [h, w] of one size show the same view, looked at so coarsely that noise does not count."""
    small = [cv2.resize(image, COARSE, interpolation=cv2.INTER_AREA).astype(np.float32) for image in (a, b)]
    difference = (small[0] - small[0].mean()) - (small[1] - small[1].mean())
    return float(np.abs(difference).mean()) < STILL_GREY
