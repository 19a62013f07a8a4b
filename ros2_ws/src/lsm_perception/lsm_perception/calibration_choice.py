"""Which calibration an image gets: that of camera_info where it fits, else none, and why."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sensor_msgs.msg import CameraInfo

from lsm_perception.calibration import Calibration
from lsm_perception.conversions.camera_info import calibration_from_info
from lsm_perception.conversions.errors import BadMessageError, UnusableInfoError
from lsm_perception.source_image import SourceImage
from lsm_perception.symptoms import Symptom, see

CALIBRATED = "calibrated"
IMAGE_ONLY = "image-only"
REFUSED = "refused"


class CalibrationChoice:
    """Keeps the newest camera_info of one camera and reads it when an image needs it."""

    def __init__(
        self, problem: Callable[[str], None], changed: Callable[[str], None], rectified: bool = False
    ) -> None:
        """Start without calibration.

        Args:
            problem: told why a camera_info is not used.
            changed: told that images from now on do not fit those before.
            rectified: images are rectified already: P counts, K and the distortion do not.
        """
        self._problem = problem
        self._changed = changed
        self._rectified = rectified
        self._lock = threading.Lock()
        self._info: CameraInfo | None = None
        self._known: Calibration | None = None
        self._known_of: CameraInfo | None = None
        self._state = f"{IMAGE_ONLY}: no image has come"

    @property
    def state(self) -> str:
        """What the newest image got: "calibrated", "image-only: why" or "refused: why"."""
        return self._state

    @property
    def calibrated(self) -> bool:
        """Whether the newest image has intrinsics."""
        return self._state == CALIBRATED

    @property
    def heard(self) -> bool:
        """Whether there has been a camera_info."""
        with self._lock:
            return self._info is not None

    def newest_k(self) -> list[float]:
        """Return K of the newest camera_info, row by row; empty without one."""
        with self._lock:
            return [] if self._info is None else [float(v) for v in self._info.k]

    def take(self, info: CameraInfo) -> None:
        """Keep the newest message."""
        with self._lock:
            self._info = info

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._info = self._known = self._known_of = None
            self._state = f"{IMAGE_ONLY}: no image has come"

    def of(self, image: SourceImage) -> Calibration:
        """Return the calibration of an image; without intrinsics where camera_info does not fit.

        Raises:
            BadMessageError: a lens model that cannot be undone here.
        """
        with self._lock:
            info, known = self._info, self._known
            same_size = known is not None and (known.width, known.height) == (image.width, image.height)
            if known is not None and same_size and self._known_of is info:
                return known
        found, state = self._read(info, image)
        if known is not None and known.same_as(found):
            # Drivers repeat camera_info with each image; the undistortion tables stay.
            found = known
        elif known is not None and same_size and not _one_grid(known, found):
            self._changed("camera_info has changed")
        with self._lock:
            self._known, self._known_of, self._state = found, info, state
        return found

    def _read(self, info: CameraInfo | None, image: SourceImage) -> tuple[Calibration, str]:
        """Return a calibration and the state it means."""
        size = (image.width, image.height)
        if info is None:
            return Calibration(*size), f"{IMAGE_ONLY}: no camera_info has come"
        try:
            if info.header.frame_id not in ("", image.frame_id):
                frames = f"camera_info is of frame '{info.header.frame_id}', the image of '{image.frame_id}'."
                fault = f"{frames} Fix: publish both under one frame_id."
            else:
                found = calibration_from_info(info, *size, self._rectified)
                if found is not None:
                    return found, CALIBRATED
                return Calibration(*size), f"{IMAGE_ONLY}: camera_info says uncalibrated (K[0] is 0)"
        except UnusableInfoError as error:
            fault = str(error)
        except BadMessageError as error:
            self._state = f"{REFUSED}: {error}"
            raise
        self._problem(see(f"{fault} The image is used without intrinsics.", Symptom.CAMERA_INFO))
        return Calibration(*size), f"{IMAGE_ONLY}: {fault}"


def _one_grid(before: Calibration, after: Calibration) -> bool:
    """Whether keyframes of both may form a pair: not two different lenses, nor a straight image and a bent one."""
    return (before.K is None or after.K is None) and before.distorted == after.distorted
