"""The node's frames: fixed names, a prefix, and which tree is in force."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameTree:
    """Names of one tree: map -> keyframe (older camera of the last pair) -> camera (newer one)."""

    map: str
    keyframe: str
    camera: str


@dataclass(frozen=True)
class FrameNames:
    """All frames of one camera.

    Attributes:
        unscaled: the tree in the segment's own unit; never connected to the robot's.
        metric: the tree in metres; under `odom` when attached.
        odom: the robot's odometry frame.
    """

    unscaled: FrameTree
    metric: FrameTree
    odom: str

    def tree(self, metric: bool) -> FrameTree:
        """Return the tree in force."""
        return self.metric if metric else self.unscaled


def frame_names(prefix: str, camera: str, odom_frame: str) -> FrameNames:
    """Return the frame names of a camera.

    Args:
        prefix: parameter frame_prefix, for example "robot1/".
        camera: "" for the only camera; the name of one of several goes in front of `lsm_`.
        odom_frame: the robot's, used as it is.
    """
    head = f"{prefix}{camera}_" if camera else prefix
    metric = FrameTree(f"{head}lsm_map", f"{head}lsm_keyframe", f"{head}lsm_camera")
    unscaled = FrameTree(*(f"{name}_unscaled" for name in (metric.map, metric.keyframe, metric.camera)))
    return FrameNames(unscaled, metric, odom_frame)
