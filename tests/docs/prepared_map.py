"""The map that the documents call room.lsmmap and kitchen.lsmmap: two of their pictures, as the node saves one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sample_pictures import Picture, sample_pictures

from lsm_core import load_backend
from lsm_core.backends.text_space import TextSpace
from lsm_core.mapping import (
    CameraMap,
    Lens,
    MapKeyframe,
    SavedMap,
    ScaleEstimate,
    ScaleSource,
    ScaleState,
    TrajectoryArrays,
    cloud_from_view,
    single_view,
    thumbnail,
    write_map,
)
from lsm_core.types import Prediction


def write_room_map(path: Path) -> None:
    """Write the map of one camera that saw two pictures."""
    backend = load_backend("lsm-tiny", "cpu")
    pictures = sample_pictures()[:2]
    prediction = backend.predict([p.image for p in pictures], generator=torch.Generator().manual_seed(0))
    keyframes = tuple(keyframe(prediction, view, picture) for view, picture in enumerate(pictures))
    stamps = np.array([k.stamp_ns for k in keyframes])
    places = np.stack([k.T_map_cam[:3, 3] for k in keyframes if k.T_map_cam is not None])
    path_of_camera = TrajectoryArrays(stamps, places, np.tile([1.0, 0, 0, 0], (2, 1)))
    unknown = ScaleEstimate(ScaleState.UNKNOWN, ScaleSource.NONE, float("nan"), float("nan"), 0, 0, 0)
    camera = CameraMap("", 1, keyframes, cloud_from_view(prediction, 0), unknown, path_of_camera)
    assert prediction.features is not None
    space = TextSpace.of(backend, int(prediction.features[0].shape[-1]))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_map(path, SavedMap((camera,), backend.name, space, ("chair",), (-1.0,)))


def keyframe(prediction: Prediction, view: int, picture: Picture) -> MapKeyframe:
    """Return one view of a prediction as a keyframe with a place."""
    height, width = picture.image.shape[:2]
    return MapKeyframe(
        view + 1,
        10**18 + view,
        "camera",
        1,
        prediction.poses[view].double().numpy(),
        single_view(prediction, view),
        Lens(width, height, picture.K),
        thumbnail(picture.image),
    )
