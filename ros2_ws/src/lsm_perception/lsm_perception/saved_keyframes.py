"""The node's keyframes as a saved map has them, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping import CameraMap, Lens, MapKeyframe, PointCloud, thumbnail
from lsm_perception.calibration import Calibration
from lsm_perception.map_state import MapContents
from lsm_perception.products import Keyframe


def camera_map(camera: str, contents: MapContents, points: PointCloud) -> CameraMap:
    """Return the map of a camera as it is saved."""
    keyframes = tuple(saved_keyframe(k) for k in contents.keyframes)
    return CameraMap(camera, contents.segment, keyframes, points, contents.scale, contents.path)


def map_contents(saved: CameraMap, camera: str) -> MapContents:
    """Return a saved map as a camera takes it; a keyframe of another segment has no place in it."""
    keyframes = tuple(loaded_keyframe(k, camera, k in saved.placed) for k in saved.keyframes)
    return MapContents(saved.scale, saved.segment, keyframes, saved.path)


def saved_keyframe(keyframe: Keyframe) -> MapKeyframe:
    """Return what is saved of a keyframe."""
    assert keyframe.prediction is not None
    lens = keyframe.calibration
    return MapKeyframe(
        keyframe.id,
        keyframe.stamp_ns,
        keyframe.frame_id,
        keyframe.segment,
        keyframe.T_map_cam,
        keyframe.prediction,
        Lens(lens.width, lens.height, lens.K, lens.distortion),
        keyframe.thumbnail or thumbnail(picture(keyframe)),
        keyframe.in_map,
    )


def picture(keyframe: Keyframe) -> NDArray[np.uint8]:
    """Return the undistorted image of a keyframe, or what the model's grid has of it."""
    if keyframe.encoded is not None:
        return keyframe.encoded.image
    assert keyframe.prediction is not None
    return keyframe.prediction.colors[0]


def loaded_keyframe(saved: MapKeyframe, camera: str, placed: bool) -> Keyframe:
    """Return a saved keyframe as the node keeps it: without the features that a next pair would need."""
    lens = saved.lens
    found = Keyframe(
        id=saved.id,
        stamp_ns=saved.stamp_ns,
        camera=camera,
        frame_id=saved.frame_id,
        segment=saved.segment,
        T_map_cam=saved.T_map_cam,
        prediction=saved.prediction,
        view=0,
        calibration=Calibration(lens.width, lens.height, lens.K, lens.distortion),
        in_map=saved.in_map,
        thumbnail=saved.thumbnail,
    )
    return found if placed else replace(found, T_map_cam=None, segment=0)
