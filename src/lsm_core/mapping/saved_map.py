"""What a saved map holds: keyframes with their geometry and features, points, scale, path and standing words."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lsm_core.backends.text_space import TextSpace
from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.encoded_pictures import check_picture_size
from lsm_core.mapping.clouds import PointCloud
from lsm_core.mapping.scale import ScaleEstimate
from lsm_core.mapping.trajectory import TrajectoryArrays
from lsm_core.types import Prediction

THUMBNAIL = 512  # longest side, pixels
QUALITY = 85
MOST_PIXELS = 4 * THUMBNAIL**2  # of a thumbnail in a file, whoever wrote it


@dataclass(frozen=True, eq=False)
class Lens:
    """Calibration of a keyframe's image as it came.

    Attributes:
        width, height: pixels.
        K: [3, 3] float64, None when unknown.
        distortion: [N] float64 OpenCV coefficients, None when unknown.
    """

    width: int
    height: int
    K: NDArray[np.float64] | None = None
    distortion: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class MapKeyframe:
    """One keyframe.

    Attributes:
        id: as it was said on ~/keyframes; answers queries by id.
        stamp_ns: of its image.
        frame_id: optical frame of its image.
        segment: chain segment, 0 for one without a place.
        T_map_cam: [4, 4] float64 in the segment's map and unit, None without a place.
        prediction: of this one view (view 0), in the segment's map frame and unit, on the CPU, with language
            features where the backend has them.
        lens: of its image as it came; the prediction is of the undistorted image.
        thumbnail: JPEG of the undistorted image, at most `THUMBNAIL` pixels on its longest side.
        in_map: whether its points belong into the map's cloud.
    """

    id: int
    stamp_ns: int
    frame_id: str
    segment: int
    T_map_cam: NDArray[np.float64] | None
    prediction: Prediction
    lens: Lens
    thumbnail: bytes
    in_map: bool = True

    def picture(self) -> NDArray[np.uint8]:
        """Return the thumbnail, [H, W, 3] uint8 RGB.

        Raises:
            InputError: it is no JPEG, or far larger than a thumbnail.
        """
        try:
            check_picture_size(self.thumbnail, f"The thumbnail of keyframe {self.id}", MOST_PIXELS)
            with Image.open(io.BytesIO(self.thumbnail), formats=("JPEG",)) as opened:
                return np.array(opened.convert("RGB"), np.uint8)
        except (FileFormatError, OSError, ValueError, SyntaxError) as error:
            raise InputError(
                f"The thumbnail of keyframe {self.id} is damaged: {error}.", "Save the map again."
            ) from error


@dataclass(frozen=True, eq=False)
class CameraMap:
    """The map of one camera.

    Attributes:
        camera: its name, "" for the only one.
        segment: the segment that `points` and `path` are of.
        keyframes: oldest first; those of other segments, or of none, serve words only.
        points: voxel union of the segment's newest keyframes, in its map frame and unit, with labels.
        scale: metres per unit of that segment, as it was known.
        path: poses of the segment's keyframes.
    """

    camera: str
    segment: int
    keyframes: tuple[MapKeyframe, ...]
    points: PointCloud
    scale: ScaleEstimate
    path: TrajectoryArrays

    @property
    def placed(self) -> tuple[MapKeyframe, ...]:
        """The keyframes that have a place in `points`' frame."""
        return tuple(k for k in self.keyframes if k.T_map_cam is not None and k.segment == self.segment)


@dataclass(frozen=True, eq=False)
class SavedMap:
    """Everything `~/load_map` and `lsm query MAP` need.

    Attributes:
        cameras: one map each.
        backend: name of the one that made it.
        text_space: what reads the language features, None without them.
        texts: standing queries; a label of the points is an index into them.
        thresholds: per text; -1 for the backend's own rule.
    """

    cameras: tuple[CameraMap, ...]
    backend: str
    text_space: TextSpace | None
    texts: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    @property
    def keyframes(self) -> tuple[MapKeyframe, ...]:
        """All keyframes, by camera."""
        return tuple(keyframe for camera in self.cameras for keyframe in camera.keyframes)


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """Return an image [H, W, 3] uint8 RGB as a small JPEG."""
    height, width = image.shape[:2]
    factor = THUMBNAIL / max(height, width)
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
