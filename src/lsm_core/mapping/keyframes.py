"""Which frames become keyframes: by parallax, overlap and age, from tracked corners."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        max_overlap: a keyframe by parallax must also have left this much of the reference's view.
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

    min_parallax_deg: float = 2.0
    max_overlap: float = 0.97
    target_overlap: float = 0.75
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
    """

    action: KeyframeAction
    reason: KeyframeReason
    stamp_ns: int
    overlap: float
    parallax_deg: float
    blur: float
    tracks: int


class KeyframeSelector:
    """Follow corners from the last keyframe through the stream and say when the next one is due.

    Use: `decision = selector.consider(gray, stamp_ns, K)` for every good frame, in order; when the caller does use
    a frame that was to be kept or refreshed, `selector.accept(decision.stamp_ns)`. A frame that was not accepted
    changes nothing: the next ones are still compared with the old reference, so a busy worker loses no parallax.
    Single-threaded. A few milliseconds per frame.
    """

    def __init__(self, config: KeyframeConfig | None = None) -> None:
        raise NotImplementedError

    @property
    def reference_stamp_ns(self) -> int | None:
        """Stamp of the last accepted keyframe (not of a refresh), None before the first."""
        raise NotImplementedError

    def consider(self, gray: NDArray[np.uint8], stamp_ns: int, K: NDArray[Any] | None = None) -> KeyframeDecision:
        """Track into a frame and decide.

        Args:
            gray: [h, w] uint8 from `small_gray`; another size than before resets the selector.
            stamp_ns: the image's stamp.
            K: [3, 3] in pixels of `gray` (`small_intrinsics`), None assumes a field of view.
        """
        raise NotImplementedError

    def accept(self, stamp_ns: int | None = None) -> None:
        """Take the frame with this stamp as used: a kept one becomes the reference, a refresh restarts the age.

        Args:
            stamp_ns: one of the last few frames whose decision was KEEP or REFRESH; None for the latest of them.

        Raises:
            InputError: there is no such frame.
        """
        raise NotImplementedError

    def request_capture(self) -> None:
        """Keep the next frame whatever it shows (service ~/capture); stays pending until one is accepted."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget reference, tracks and requests: the next frame is a first one."""
        raise NotImplementedError
