"""Which section of docs/troubleshooting.md a complaint of the node belongs to; imports nothing of ROS or lsm_core.

The page is installed with the package, so the path that messages name is also one below
`$(ros2 pkg prefix --share lsm_perception)`.
"""

from __future__ import annotations

from enum import StrEnum

GUIDE = "docs/troubleshooting.md"


class Symptom(StrEnum):
    """A section of the page, by the anchor that its heading gets."""

    NOT_STARTING = "not-starting"
    CANNOT_CONFIGURE = "cannot-configure"
    PARAMETERS = "parameters"
    LIFECYCLE = "lifecycle"
    NO_IMAGES = "no-images"
    QOS = "qos"
    CLOCK = "clock"
    STALE_IMAGES = "stale-images"
    STARTING_ANEW = "starting-anew"
    IMAGE_FORMAT = "image-format"
    UNUSABLE_IMAGES = "unusable-images"
    LOST_IMAGES = "lost-images"
    CAMERA_INFO = "camera-info"
    NO_METRES = "no-metres"
    MASKS_AND_DEPTH = "masks-and-depth"
    RIG = "rig"
    MODEL_ERRORS = "model-errors"
    OUT_OF_MEMORY = "out-of-memory"
    DEVICE_LOST = "device-lost"
    INTERNAL_ERRORS = "internal-errors"
    VIEWER = "viewer"
    REPLAY = "replay"
    PLANNER = "planner"


def see(text: str, symptom: Symptom) -> str:
    """Return a complaint that ends with the place where its cures are.

    Args:
        text: what is wrong; may be a format of Python's logging.
        symptom: where the page treats it.
    """
    end = "" if text.endswith((".", "?")) else "."
    return f"{text}{end} See {GUIDE}#{symptom}"
