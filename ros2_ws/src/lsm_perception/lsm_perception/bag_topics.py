"""Which arguments of bring-up fit a bag: `python -m lsm_perception.bag_topics BAG` prints them, one a line.

The program is for bring-up with `bag:=`, whose own Python may lack what reads bags; a person may run it too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsm_core.errors import FileFormatError, LsmError
from lsm_core.io import open_bag
from lsm_core.io.bags import COMPRESSED, ODOMETRY, Bag


@dataclass(frozen=True)
class BagTopics:
    """Where a bag has what the node hears.

    Attributes:
        image_topic: as recorded.
        compressed: whether its images are CompressedImage.
        info_topic: CameraInfo beside it, or None.
        odom_topic, odom_frame: odometry in it, or None.
    """

    image_topic: str
    compressed: bool
    info_topic: str | None
    odom_topic: str | None
    odom_frame: str | None

    def bringup_words(self) -> list[str]:
        """Return the bring-up arguments that make the node listen to this bag.

        Raises:
            FileFormatError: the compressed topic has no name that image_transport would give it.
        """
        topic = self.image_topic
        if self.compressed:
            if not topic.endswith("/compressed"):
                raise FileFormatError(
                    f"The compressed topic {topic} does not end in /compressed.", "Remap it in the bag."
                )
            topic = topic.removesuffix("/compressed")
        words = [f"image_topic:={topic}", f"image_transport:={'compressed' if self.compressed else 'raw'}"]
        words += [f"camera_info_topic:={self.info_topic}"] if self.info_topic else []
        words += [f"odom_topic:={self.odom_topic}"] if self.odom_topic else []
        words += [f"odom_frame:={self.odom_frame}"] if self.odom_frame else []
        return words


def topics_in(bag: Bag, image_topic: str | None = None) -> BagTopics:
    """Find them: the image topic asked for, raw or compressed, else the one with most images.

    Raises:
        FileFormatError: the bag has no images, or not those asked for.
    """
    if image_topic is not None and image_topic not in bag.topics:
        compressed = f"{image_topic}/compressed"
        image_topic = compressed if compressed in bag.topics else image_topic
    topic = bag.image_topic(image_topic)
    odometry = bag.topics_of(ODOMETRY)
    first = next(bag.messages(odometry[:1]), None)
    return BagTopics(
        image_topic=topic,
        compressed=bag.topics[topic] == COMPRESSED,
        info_topic=bag.camera_info_topic(topic),
        odom_topic=None if first is None else first[0],
        odom_frame=None if first is None else first[2].header.frame_id,
    )


def main(words: Sequence[str] | None = None) -> int:
    """Print the arguments; return 0, or 1 with one line that says what is wrong with the bag."""
    parser = argparse.ArgumentParser(
        prog="python -m lsm_perception.bag_topics", description="Print the arguments of bring-up that fit a bag."
    )
    parser.add_argument("bag", type=Path, help="bag folder or file (mcap or sqlite3)")
    parser.add_argument("--image-topic", metavar="TOPIC", help="default: the one with most images")
    given = parser.parse_args(words)
    try:
        with open_bag(given.bag.expanduser()) as bag:  # no shell does it within bag:=~/...
            print("\n".join(topics_in(bag, given.image_topic).bringup_words()))
    except LsmError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
