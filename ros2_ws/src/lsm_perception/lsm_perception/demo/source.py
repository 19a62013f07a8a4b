"""What the demo must know of a recording: topics, frames, time covered, and the true camera path."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from lsm_core.io import Frame, Trajectory, open_bag
from lsm_core.io.bags import COMPRESSED, ODOMETRY
from lsm_perception.demo.errors import DemoError


@dataclass(frozen=True)
class Source:
    """One recording.

    Attributes:
        path: of the bag.
        image_topic: as recorded.
        compressed: whether its images are CompressedImage.
        info_topic: CameraInfo beside it, or None.
        odom_topic, odom_frame: odometry in it, or None.
        optical_frame: of the images.
        images: number of them in the part that is played.
        start_ns, end_ns: stamps of the first image and of the end of the part that is played.
        truth: T_odom_optical over time by the recording's own odometry or tf, or None.
    """

    path: Path
    image_topic: str
    compressed: bool
    info_topic: str | None
    odom_topic: str | None
    odom_frame: str | None
    optical_frame: str
    images: int
    start_ns: int
    end_ns: int
    truth: Trajectory | None

    @property
    def seconds(self) -> float:
        """Length of the part that is played."""
        return (self.end_ns - self.start_ns) / 1e9

    def bringup_words(self) -> list[str]:
        """Return the bring-up arguments that make the node listen to this recording.

        Raises:
            DemoError: the compressed topic has no name that image_transport would give it.
        """
        topic = self.image_topic
        if self.compressed:
            if not topic.endswith("/compressed"):
                raise DemoError(f"The compressed topic {topic} does not end in /compressed. Remap it in the bag.")
            topic = topic.removesuffix("/compressed")
        words = [f"image_topic:={topic}", f"image_transport:={'compressed' if self.compressed else 'raw'}"]
        words += [f"camera_info_topic:={self.info_topic}"] if self.info_topic else []
        words += [f"odom_topic:={self.odom_topic}"] if self.odom_topic else []
        words += [f"odom_frame:={self.odom_frame}"] if self.odom_frame else []
        return words

    def topics_without_odometry(self) -> list[str]:
        """Return the topics to play when the node shall not know how the robot moves."""
        return [self.image_topic, "/tf_static", *([self.info_topic] if self.info_topic else [])]

    def frames_at(self, stamps_ns: Container[int]) -> dict[int, Frame]:
        """Return the images with these stamps."""
        with open_bag(self.path) as bag:
            return {frame.stamp_ns: frame for frame in bag.frames(self.image_topic, stamps_ns)}


def read_source(path: Path, image_topic: str | None, max_seconds: float) -> Source:
    """Look into a bag.

    Raises:
        FileFormatError: it is missing, damaged, or has no images.
        DemoError: the image topic is empty.
    """
    with open_bag(path) as bag:
        topic = bag.image_topic(image_topic)
        first = next(bag.frames(topic), None)
        if first is None:
            raise DemoError(f"{path} has no image on {topic}.")
        odom_topics = bag.topics_of(ODOMETRY)
        odom_frame = bag.odometry(odom_topics[0])[1] if odom_topics else None
        truth = bag.camera_trajectory(first.frame_id)
        if truth is not None and odom_frame is None:
            odom_frame = bag.transforms().path_to_root(first.frame_id)[-1]
        count, seconds = bag.frame_count(topic), bag.duration_s
        if 0 < max_seconds < seconds:
            count, seconds = round(count * max_seconds / seconds), max_seconds
        return Source(
            path=path,
            image_topic=topic,
            compressed=bag.topics[topic] == COMPRESSED,
            info_topic=bag.camera_info_topic(topic),
            odom_topic=odom_topics[0] if odom_topics else None,
            odom_frame=odom_frame,
            optical_frame=first.frame_id,
            images=count,
            start_ns=first.stamp_ns,
            end_ns=first.stamp_ns + int(seconds * 1e9),
            truth=truth,
        )
