"""Words on a saved map: on each keyframe from its stored features, and as things in space. No forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_core.backends.base import Backend
from lsm_core.errors import UnsupportedError
from lsm_core.mapping.clouds import PointCloud, cloud_from_view
from lsm_core.mapping.saved_map import CameraMap, MapKeyframe, SavedMap
from lsm_core.mapping.scale import ScaleState
from lsm_core.query.instance_map import InstanceMap
from lsm_core.query.instances import Instance
from lsm_core.query.prediction_query import query_prediction
from lsm_core.query.text_check import check_texts
from lsm_core.types import QueryResult


@dataclass(frozen=True, eq=False)
class Sighting:
    """What one keyframe answers."""

    camera: str
    keyframe: MapKeyframe
    found: QueryResult


@dataclass(frozen=True, eq=False)
class Thing:
    """Something in space, in the frame of a camera's map.

    Attributes:
        camera: whose map.
        instance: in metres where `metric`, else in the map's unit.
        metric: whether the map knew metres when it was saved.
    """

    camera: str
    instance: Instance
    metric: bool


@dataclass(frozen=True, eq=False)
class MapAnswer:
    """The answer to a set of texts.

    Attributes:
        texts: as asked.
        presence: per text the largest over the keyframes: is it anywhere in the map?
        sightings: per keyframe with features, oldest first.
        things: by text, best first.
    """

    texts: tuple[str, ...]
    presence: list[float]
    sightings: list[Sighting]
    things: list[Thing]


def query_map(backend: Backend, saved: SavedMap, texts: Sequence[str], threshold: float | None = None) -> MapAnswer:
    """Find texts in a saved map.

    Args:
        backend: that made its features.
        saved: from `lsm_core.mapping.read_map`.
        texts: see `check_texts`.
        threshold: smallest score of a masked pixel, None for the default.

    Raises:
        UnsupportedError: the map has no language features, or this backend does not read them.
        QueryError: a text is malformed.
    """
    clean = check_texts(texts)
    if saved.text_space is None:
        raise UnsupportedError(
            f"The map of '{saved.backend}' has no language features.", "Save a map of a backend that has words."
        )
    saved.text_space.check(backend)
    sightings = [
        Sighting(
            camera.camera, keyframe, query_prediction(backend, keyframe.prediction, clean, thresholds=threshold)
        )
        for camera in saved.cameras
        for keyframe in camera.keyframes
        if keyframe.prediction.features is not None
    ]
    presence = [max((s.found.presence[t] for s in sightings), default=0.0) for t in range(len(clean))]
    things = [thing for camera in saved.cameras for thing in _things(camera, sightings)]
    things.sort(key=lambda thing: (thing.instance.label, -thing.instance.score))
    return MapAnswer(clean, presence, sightings, things)


def _things(camera: CameraMap, sightings: Sequence[Sighting]) -> list[Thing]:
    """Put together the things of a camera's keyframes that have a place in its map."""
    placed = {keyframe.id for keyframe in camera.placed if keyframe.in_map}
    found = InstanceMap()
    for sighting in sightings:
        if sighting.camera == camera.camera and sighting.keyframe.id in placed:
            found.add(sighting.keyframe.id, _labelled(sighting), sighting.found.texts)
    metric = camera.scale.state is ScaleState.METRIC
    things = found.things(camera.scale.metres_per_unit if metric else 1.0)
    return [Thing(camera.camera, instance, metric) for instance in things]


def _labelled(sighting: Sighting) -> PointCloud:
    labels = sighting.found.labels[0]
    stacked = np.stack(sighting.found.scores[0])
    best = np.take_along_axis(stacked, np.maximum(labels, 0)[None], 0)[0]
    return cloud_from_view(
        sighting.keyframe.prediction, 0, labels, np.where(labels >= 0, best, 0).astype(np.float32)
    )
