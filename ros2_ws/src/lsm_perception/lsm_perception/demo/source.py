"""What the demo must know of a recording: topics, frames, time covered, and the true camera path."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

from lsm_core.io import Frame, Trajectory, open_bag
from lsm_perception.bag_topics import BagTopics, topics_in
from lsm_perception.demo.errors import DemoError


@dataclass(frozen=True)
class Source:
    """One recording.

    Attributes:
        path: of the bag.
        topics: where it has what the node hears.
        optical_frame: of the images.
        images: number of them in the part that is played.
        start_ns, end_ns: stamps of the first image and of the end of the part that is played.
        truth: T_odom_optical over time by the recording's own odometry or tf, or None.
    """

    path: Path
    topics: BagTopics
    optical_frame: str
    images: int
    start_ns: int
    end_ns: int
    truth: Trajectory | None

    @property
    def seconds(self) -> float:
        """Length of the part that is played."""
        return (self.end_ns - self.start_ns) / 1e9

    def topics_without_odometry(self) -> list[str]:
        """Return the topics to play when the node shall not know how the robot moves."""
        info_topic = self.topics.info_topic
        return [self.topics.image_topic, "/tf_static", *([info_topic] if info_topic else [])]

    def frames_at(self, stamps_ns: Container[int]) -> dict[int, Frame]:
        """Return the images with these stamps."""
        with open_bag(self.path) as bag:
            return {frame.stamp_ns: frame for frame in bag.frames(self.topics.image_topic, stamps_ns)}


def read_source(path: Path, image_topic: str | None, max_seconds: float) -> Source:
    """Look into a bag.

    Raises:
        FileFormatError: it is missing, damaged, or has no images.
        DemoError: the image topic is empty.
    """
    with open_bag(path) as bag:
        topics = topics_in(bag, image_topic)
        topic = topics.image_topic
        first = next(bag.frames(topic), None)
        if first is None:
            raise DemoError(f"{path} has no image on {topic}.")
        truth = bag.camera_trajectory(first.frame_id)
        if truth is not None and topics.odom_frame is None:
            topics = replace(topics, odom_frame=bag.transforms().path_to_root(first.frame_id)[-1])
        count, seconds = bag.frame_count(topic), bag.duration_s
        if 0 < max_seconds < seconds:
            count, seconds = round(count * max_seconds / seconds), max_seconds
        return Source(
            path=path,
            topics=topics,
            optical_frame=first.frame_id,
            images=count,
            start_ns=first.stamp_ns,
            end_ns=first.stamp_ns + int(seconds * 1e9),
            truth=truth,
        )
