"""ROS 2 bags: a robot's own recordings, with poses from odometry or tf, and depth where it was recorded."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.association import associate
from lsm_core.data.formats.depth_registration import register_depth
from lsm_core.data.formats.lens import Lens
from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.data.views import PosedView
from lsm_core.errors import FileFormatError
from lsm_core.io.bags import Calibration, Frame, open_bag
from lsm_core.io.trajectories import Trajectory
from lsm_core.io.transforms import TransformTree

MOST_APART_S = 0.02  # between a picture and its depth image
STORAGE = (".mcap", ".db3")


class RosBags(Dataset):
    """A bag (folder with metadata.yaml, .mcap or .db3), or a folder of bags; each bag is a scene."""

    format: ClassVar[str] = "ros2-bag"
    layout: ClassVar[str] = (
        "a bag, or a folder of bags: images, camera_info, odometry or tf, depth (16UC1 mm, 32FC1 m)"
    )

    @classmethod
    def recognises(cls, root: Path) -> bool:
        return bool(find_bags(root))

    @property
    def scenes(self) -> tuple[str, ...]:
        return tuple(find_bags(self.root))

    def _open(self, name: str) -> Scene:
        return BagScene(name, find_bags(self.root)[name])


def find_bags(root: Path) -> dict[str, Path]:
    """Return bag name -> what to open: the path itself where it is a bag, else the bags directly in it."""
    if root.suffix in STORAGE and root.is_file():
        return {root.stem: root}
    if (root / "metadata.yaml").is_file():
        return {root.resolve().name: root}
    if not root.is_dir():
        return {}
    inside = (p for p in sorted(root.iterdir()) if (p / "metadata.yaml").is_file() or p.suffix in STORAGE)
    return {p.stem if p.suffix in STORAGE else p.name: p for p in inside}


class BagScene(Scene):
    """One bag, held open. Making it reads the stamps, the calibration and the poses, no picture.

    Poses are T_odom_camera, metres, interpolated to the picture's stamp. Depth is the image nearest in time within
    20 ms, moved into the picture's camera where it was taken by another one.

    Args:
        name: of the scene.
        path: the bag.
        topic: of the images; None for the one with most.

    Raises:
        FileFormatError: no bag, no images, no calibration, no odometry or tf that reaches the camera.
    """

    def __init__(self, name: str, path: Path, topic: str | None = None) -> None:
        self.name, self.path = name, path
        stack = ExitStack()
        weakref.finalize(self, stack.close)
        self._bag = bag = stack.enter_context(open_bag(path))
        self.topic = bag.image_topic(topic)
        self._stamps = bag.stamps(self.topic)
        if not self._stamps:
            raise FileFormatError(f"'{path}' has no image on {self.topic}.", "Record the camera's topic.")
        self.frames = tuple(f"{stamp // 10**9}.{stamp % 10**9:09d}" for stamp, _ in self._stamps)
        self.depth_topic = bag.depth_topic(self.topic)
        self.has_depth = self.depth_topic is not None

    @cached_property
    def calibration(self) -> Calibration:
        """The colour camera."""
        found = self._bag.calibration(self.topic)
        if found is None:
            infos = ", ".join(self._bag.topics_of("sensor_msgs/msg/CameraInfo")) or "none"
            raise FileFormatError(
                f"'{self.path}' has no calibration for {self.topic} (CameraInfo topics: {infos}).",
                "Record camera_info beside the image topic, from a calibrated camera.",
            )
        return found

    @cached_property
    def trajectory(self) -> Trajectory:
        """T_odom_camera over time."""
        frame = self._first_frame.frame_id
        found = self._bag.camera_trajectory(frame)
        if found is None:
            raise FileFormatError(
                f"'{self.path}' has neither odometry nor tf that reaches the camera's frame '{frame}'.",
                "Record /odom (or /tf) and /tf_static.",
            )
        return found

    def pose(self, index: int) -> NDArray[np.float64]:
        T = self.trajectory.at(self._stamps[index][0])
        if T is None:
            raise FileFormatError(
                f"'{self.path}' has no pose of '{self._first_frame.frame_id}' at {self.frames[index]} s.",
                "Odometry or tf must cover the picture's time without gaps over 0.5 s.",
            )
        return T

    def problem(self, index: int) -> str | None:
        if self.has_depth and index not in self._depth_of:
            return (
                f"'{self.path}' has no depth image within {MOST_APART_S * 1000:.0f} ms of {self.frames[index]} s."
            )
        return super().problem(index)

    def view(self, index: int) -> PosedView:
        frame = self._frame(index)
        if frame.K is None:
            c, (height, width) = self.calibration, frame.image.shape[:2]
            raise FileFormatError(
                f"Pictures on {self.topic} of '{self.path}' have {width}x{height} pixels, its calibration "
                f"{c.width}x{c.height}.",
                "Record the camera_info that belongs to this image topic.",
            )
        depth = self._depth(index, frame) if index in self._depth_of else None
        name = f"{self.name}/{self.frames[index]}"
        return PosedView(frame.rectified().image, frame.K.astype(np.float32), self.pose(index), depth, name=name)

    @cached_property
    def _first_frame(self) -> Frame:
        return self._frame(0)

    def _frame(self, index: int) -> Frame:
        """Decode one picture."""
        stamp, received = self._stamps[index]
        _ = self.calibration  # says clearly what is missing
        for frame in self._bag.frames(self.topic, (stamp,), received, received + 1):
            return frame
        raise FileFormatError(f"Picture {self.frames[index]} of '{self.path}' cannot be found.", "Reindex the bag.")

    @cached_property
    def _depth_stamps(self) -> list[tuple[int, int]]:
        return [] if self.depth_topic is None else self._bag.stamps(self.depth_topic)

    @cached_property
    def _depth_of(self) -> dict[int, int]:
        """Picture -> receive time of its depth image."""
        own, other = (np.array([s for s, _ in stamps], np.int64) for stamps in (self._stamps, self._depth_stamps))
        return {i: self._depth_stamps[j][1] for i, j in associate(own, other, round(MOST_APART_S * 1e9))}

    def _depth(self, index: int, frame: Frame) -> NDArray[np.float32]:
        """Return depth on the straightened picture's pixels."""
        assert self.depth_topic is not None and frame.K is not None
        depth, depth_frame = self._bag.depth_image(self.depth_topic, self._depth_of[index])
        colour, camera = self.calibration, self._bag.calibration(self.depth_topic)
        same_place = depth_frame == frame.frame_id and depth.shape == frame.image.shape[:2]
        if same_place and (camera is None or np.allclose(camera.K, colour.K, atol=0.5)):
            return depth if colour.is_rectified else np.asarray(_lens(colour).straighten(depth, smooth=False))
        T = np.eye(4) if depth_frame == frame.frame_id else self._extrinsics(frame.frame_id, depth_frame)
        if camera is None or T is None or depth.shape != (camera.height, camera.width):
            raise FileFormatError(
                f"Depth on {self.depth_topic} of '{self.path}' is of another camera ('{depth_frame}'), whose "
                "calibration or place is not in the bag.",
                "Record the depth camera's camera_info and /tf_static, or a depth topic aligned to colour.",
            )
        straight = depth if camera.is_rectified else np.asarray(_lens(camera).straighten(depth, smooth=False))
        return register_depth(straight, camera.K, T, frame.K, (frame.image.shape[0], frame.image.shape[1]))

    def _extrinsics(self, colour_frame: str, depth_frame: str) -> NDArray[np.float64] | None:
        """Return T_colour_depth, or None where the transforms do not join them."""
        return self._transforms.lookup(colour_frame, depth_frame, self._stamps[0][0])

    @cached_property
    def _transforms(self) -> TransformTree:
        return self._bag.transforms()


def _lens(camera: Calibration) -> Lens:
    return Lens(camera.K, camera.distortion, (camera.width, camera.height), camera.model)
