"""Keep the same number for the same thing from keyframe to keyframe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from lsm_core.query.instances import Instance

FORBIDDEN = 1e6  # cost of what cannot be one thing


@dataclass(frozen=True)
class TrackerConfig:
    """When two sightings are one thing.

    Attributes:
        max_distance: centroids further apart are different things, in the frame's unit, whatever their size.
        size_share: they may be apart by this share of the larger diagonal, if that is more than `min_distance`.
        min_distance: and by this much in any case.
        max_missed: updates without a sighting after which a thing is forgotten.
    """

    max_distance: float = 1.0
    size_share: float = 0.5
    min_distance: float = 0.15
    max_missed: int = 30


@dataclass
class _Track:
    """A known thing: its last sighting and the updates since."""

    instance: Instance
    text: str
    missed: int = 0


class InstanceTracker:
    """Matches things by text and distance; numbers start at 1 and are never given twice. Single-threaded.

    All updates must be in one fixed frame with one unit (lsm_map); call `clear` when that changes.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self._config = config or TrackerConfig()
        self._tracks: list[_Track] = []
        self._next_id = 1

    def update(self, instances: Sequence[Instance], texts: Sequence[str]) -> list[Instance]:
        """Give each thing its number.

        Args:
            instances: what one keyframe shows.
            texts: the texts that the labels index; a thing keeps its number when the texts are reordered.

        Returns:
            The same things in the same order with `id` set.
        """
        names = [texts[instance.label] for instance in instances]
        cost = np.array(
            [
                [self._cost(track, i, name) for i, name in zip(instances, names, strict=True)]
                for track in self._tracks
            ]
        ).reshape(len(self._tracks), len(instances))
        matched: dict[int, _Track] = {}
        for t, i in zip(*linear_sum_assignment(np.minimum(cost, FORBIDDEN)), strict=True):
            if cost[t, i] < FORBIDDEN:
                matched[int(i)] = self._tracks[t]
        for track in self._tracks:
            track.missed += 1
        out = [self._settle(inst, names[i], matched.get(i)) for i, inst in enumerate(instances)]
        self._tracks = [track for track in self._tracks if track.missed <= self._config.max_missed]
        return out

    def clear(self) -> None:
        """Forget all things (new frame or unit); numbers go on."""
        self._tracks.clear()

    def _cost(self, track: _Track, instance: Instance, text: str) -> float:
        """Return the distance in units of what is allowed, FORBIDDEN where it cannot be the same thing."""
        if track.text != text:
            return FORBIDDEN
        diagonal = max(float(np.linalg.norm(track.instance.size)), float(np.linalg.norm(instance.size)))
        allowed = min(max(self._config.size_share * diagonal, self._config.min_distance), self._config.max_distance)
        distance = float(np.linalg.norm(track.instance.centroid - instance.centroid))
        return distance / allowed if distance <= allowed else FORBIDDEN

    def _settle(self, instance: Instance, text: str, track: _Track | None) -> Instance:
        if track is None:
            track = _Track(instance, text)
            numbered = replace(instance, id=self._next_id)
            self._next_id += 1
            self._tracks.append(track)
        else:
            numbered = replace(instance, id=track.instance.id)
        track.instance, track.missed = numbered, 0
        return numbered
