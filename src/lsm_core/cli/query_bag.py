"""`lsm query BAG TEXT...`: where in a recording are the things these words name, in pictures and in space?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends import Backend
from lsm_core.cli.bag_map import BagMapper, Labels, Segment
from lsm_core.cli.console import progress_bar
from lsm_core.errors import InputError
from lsm_core.io import Trajectory, open_bag
from lsm_core.query import Instance, InstanceConfig, InstanceMap
from lsm_core.types import Prediction

if TYPE_CHECKING:
    from lsm_core.io import Frame

PRESENT = 0.5
OBJECTS = InstanceConfig(min_points=30)  # of clouds that were thinned


@dataclass(frozen=True)
class Sighting:
    """One keyframe in which a text was looked for.

    Attributes:
        stamp_ns: of the image.
        presence: of the text there.
        pixels: of its mask.
        image: [H, W, 3] uint8 RGB, without lens distortion.
        mask: [H, W] bool.
    """

    stamp_ns: int
    presence: float
    pixels: int
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Thing:
    """An object in the map.

    Attributes:
        segment: number of the map segment, whose first camera is the frame.
        metric: whether it is in metres.
        text: what it was found by.
        instance: its place and box.
    """

    segment: int
    metric: bool
    text: str
    instance: Instance


class BagQuery:
    """Asks the same texts of every placed keyframe; remembers the best one per text."""

    def __init__(self, backend: Backend, texts: Sequence[str], threshold: float | None = None) -> None:
        self._backend = backend
        self._threshold = threshold
        self.texts = tuple(texts)
        self.best: list[Sighting | None] = [None] * len(self.texts)
        self.seen_in: list[int] = [0] * len(self.texts)
        self.keyframes = 0
        self.start_ns = 0

    def label(self, prediction: Prediction, view: int, stamp_ns: int, image: NDArray[np.uint8]) -> Labels:
        """Ask the texts of one view; returns each pixel's text and score."""
        found = self._backend.query(prediction, self.texts, thresholds=self._threshold, views=[view])
        self.keyframes += 1
        for index, presence in enumerate(found.presence):
            mask, best = found.masks[0][index], self.best[index]
            self.seen_in[index] += presence >= PRESENT
            rank = (presence, int(mask.sum()))
            if best is None or rank > (best.presence, best.pixels):
                self.best[index] = Sighting(stamp_ns, *rank, image, mask)
        labels = found.labels[0]
        scores = np.take_along_axis(np.stack(found.scores[0]), np.maximum(labels, 0)[None], 0)[0]
        return labels, np.where(labels >= 0, scores, 0).astype(np.float32)


@dataclass(frozen=True)
class BagOptions:
    """What of a bag is used.

    Attributes:
        topic: of the images, None for the one with most.
        max_seconds: stop after this much of it; 0 for all.
        odometry: whether to use it, for metres and upright boxes.
    """

    topic: str | None = None
    max_seconds: float = 0.0
    odometry: bool = True


def query_bag(
    path: Path, asked: BagQuery, backend: Backend, options: BagOptions, quiet: bool
) -> tuple[list[Segment], list[Thing]]:
    """Map a bag and ask of each keyframe what it shows.

    Returns:
        The map's segments with labelled points, the largest first, and the things in them.

    Raises:
        InputError: the bag has no images.
        FileFormatError: it cannot be read.
    """
    with open_bag(path) as bag:
        image_topic = bag.image_topic(options.topic)
        frames = bag.frames(image_topic)
        first: Frame | None = next(frames, None)
        if first is None:
            raise InputError(f"'{path}' has no images on {image_topic}.", "Record the topic, or name another.")
        asked.start_ns = first.stamp_ns
        odometry = bag.camera_trajectory(first.frame_id) if options.odometry else None
        mapper = BagMapper(backend, odometry, asked.label)
        with progress_bar(disable=quiet) as bar:
            task = bar.add_task("Looking", total=bag.frame_count(image_topic))
            mapper.add(first)
            for frame in frames:
                if options.max_seconds and frame.stamp_ns - first.stamp_ns > options.max_seconds * 1e9:
                    break
                mapper.add(frame)
                bar.update(task, advance=1)
    segments = mapper.segments()
    return segments, [thing for segment in segments for thing in things_of(segment, asked.texts, odometry)]


def things_of(segment: Segment, texts: Sequence[str], odometry: Trajectory | None) -> list[Thing]:
    """Return the objects of a segment; their boxes stand upright where odometry says what is up."""
    metric = segment.metres_per_unit is not None
    found = InstanceMap(OBJECTS)
    for number, view in enumerate(segment.views):
        found.add(number, view, texts)
    things = found.things(up=up_of(segment.trajectory, odometry))
    return [Thing(segment.number, metric, texts[instance.label], instance) for instance in things]


def up_of(trajectory: Trajectory, odometry: Trajectory | None) -> NDArray[np.float64] | None:
    """Return the direction away from the ground (z of odometry) in a segment's frame, None when unknown."""
    T_odom_cam = None if odometry is None else odometry.at(int(trajectory.stamps_ns[0]))
    if T_odom_cam is None:
        return None
    up_cam = T_odom_cam[:3, :3].T @ np.array([0.0, 0.0, 1.0])
    return np.asarray(trajectory.poses[0][:3, :3] @ up_cam, np.float64)


def thing_record(thing: Thing) -> dict[str, Any]:
    """Return an object as it stands in objects.json."""
    instance = thing.instance
    return {
        "text": thing.text,
        "score": instance.score,
        "points": instance.points,
        "segment": thing.segment,
        "unit": "metre" if thing.metric else "relative",
        "centroid": instance.centroid.tolist(),
        "size": instance.size.tolist(),
        "T_map_box": instance.T_frame_box.tolist(),
    }
