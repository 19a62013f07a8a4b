"""Command line: render the packaged sample sequence and write it as a ROS 2 bag (mcap).

``python -m lsm_core.data.sample_bag OUT``
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from lsm_core.data.catalog import read_catalog
from lsm_core.data.furniture import FurniturePool
from lsm_core.data.gl_renderer import Renderer
from lsm_core.data.sample_room import build_sample_room, sample_walk
from lsm_core.data.sensor import Sensor, expose

WIDTH, HEIGHT = 400, 300
FIELD_OF_VIEW_DEG = 66.0
RATE_HZ, DURATION_S = 8, 14
START_S = 1_700_000_000
JPEG_QUALITY = 78
ODOM, BASE, CAMERA = "odom", "base_link", "camera_optical_frame"
# base_link: x forward, y left, z up, at the camera; optical: x right, y down, z forward
T_BASE_CAMERA = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
SENSOR = Sensor(0.42, (1.03, 1.0, 0.97), 1.25, 1.1, 0.12, 0.006, 0.35, 0.0, 0, exposure_jitter=0.0)


def intrinsics() -> np.ndarray:
    """Return the pinhole intrinsics [3, 3] of the sample camera, pixels."""
    focal = WIDTH / 2 / np.tan(np.deg2rad(FIELD_OF_VIEW_DEG) / 2)
    return np.array([[focal, 0, (WIDTH - 1) / 2], [0, focal, (HEIGHT - 1) / 2], [0, 0, 1.0]])


def render_sample() -> tuple[list[bytes], np.ndarray]:
    """Render the walk: JPEG images and T_world_cam [N, 4, 4]."""
    pool = FurniturePool(read_catalog())
    poses = sample_walk(RATE_HZ * DURATION_S)
    rng = np.random.default_rng(5)
    images = []
    with Renderer(WIDTH, HEIGHT) as renderer:
        renderer.load(build_sample_room(pool))
        for pose in poses:
            rgb = expose(renderer.render(intrinsics(), pose).colour, SENSOR, rng)
            _, packed = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            images.append(packed.tobytes())
    return images, poses


class BagWriter:
    """Writes the sample's topics with one type store."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.store = get_typestore(Stores.ROS2_JAZZY)
        self.connections = {
            topic: writer.add_connection(topic, kind, typestore=self.store)
            for topic, kind in (
                ("/tf_static", "tf2_msgs/msg/TFMessage"),
                ("/tf", "tf2_msgs/msg/TFMessage"),
                ("/odom", "nav_msgs/msg/Odometry"),
                ("/camera/camera_info", "sensor_msgs/msg/CameraInfo"),
                ("/camera/image_raw/compressed", "sensor_msgs/msg/CompressedImage"),
            )
        }

    def message(self, kind: str, **values: Any) -> Any:
        """Build a message of a type like ``std_msgs/msg/Header``."""
        return self.store.types[kind](**values)

    def header(self, stamp_ns: int, frame: str) -> Any:
        """Build a header."""
        sec, nanosec = divmod(stamp_ns, 1_000_000_000)
        stamp = self.message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
        return self.message("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def write(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Append a message."""
        connection = self.connections[topic]
        self.writer.write(connection, stamp_ns, self.store.serialize_cdr(message, connection.msgtype))

    def transform(self, topic: str, stamp_ns: int, parent: str, child: str, T_parent_child: np.ndarray) -> None:
        """Append one transform to /tf or /tf_static."""
        x, y, z = (float(v) for v in T_parent_child[:3, 3])
        body = self.message(
            "geometry_msgs/msg/Transform",
            translation=self.message("geometry_msgs/msg/Vector3", x=x, y=y, z=z),
            rotation=self._quaternion(T_parent_child),
        )
        header = self.header(stamp_ns, parent)
        stamped = self.message(
            "geometry_msgs/msg/TransformStamped", header=header, child_frame_id=child, transform=body
        )
        self.write(topic, stamp_ns, self.message("tf2_msgs/msg/TFMessage", transforms=[stamped]))

    def _quaternion(self, matrix: np.ndarray) -> Any:
        x, y, z, w = (float(v) for v in Rotation.from_matrix(matrix[:3, :3]).as_quat())
        return self.message("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)

    def odometry(self, stamp_ns: int, T_odom_base: np.ndarray) -> None:
        """Append the pose of base_link in odom."""
        x, y, z = (float(v) for v in T_odom_base[:3, 3])
        pose = self.message(
            "geometry_msgs/msg/Pose",
            position=self.message("geometry_msgs/msg/Point", x=x, y=y, z=z),
            orientation=self._quaternion(T_odom_base),
        )
        zero = self.message("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
        twist = self.message("geometry_msgs/msg/Twist", linear=zero, angular=zero)
        covariance = np.zeros(36)
        self.write(
            "/odom",
            stamp_ns,
            self.message(
                "nav_msgs/msg/Odometry",
                header=self.header(stamp_ns, ODOM),
                child_frame_id=BASE,
                pose=self.message("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance),
                twist=self.message("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=covariance),
            ),
        )

    def camera_info(self, stamp_ns: int, matrix: np.ndarray) -> None:
        """Append the undistorted pinhole camera."""
        roi = self.message(
            "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        self.write(
            "/camera/camera_info",
            stamp_ns,
            self.message(
                "sensor_msgs/msg/CameraInfo",
                header=self.header(stamp_ns, CAMERA),
                height=HEIGHT,
                width=WIDTH,
                distortion_model="plumb_bob",
                d=np.zeros(5),
                k=matrix.reshape(-1),
                r=np.eye(3).reshape(-1),
                p=np.hstack([matrix, np.zeros((3, 1))]).reshape(-1),
                binning_x=0,
                binning_y=0,
                roi=roi,
            ),
        )

    def image(self, stamp_ns: int, jpeg: bytes) -> None:
        """Append a compressed image."""
        data = np.frombuffer(jpeg, np.uint8)
        message = self.message(
            "sensor_msgs/msg/CompressedImage", header=self.header(stamp_ns, CAMERA), format="jpeg", data=data
        )
        self.write("/camera/image_raw/compressed", stamp_ns, message)


def write_sample_bag(out: Path) -> None:
    """Render the sample and write the bag folder ``out``; an existing bag there is replaced at the end.

    Raises:
        DependencyError: furniture or renderer is missing.
    """
    images, poses = render_sample()
    partial = out.with_name(out.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    T_world_base = poses @ np.linalg.inv(T_BASE_CAMERA)
    T_odom_world = np.linalg.inv(T_world_base[0])
    with Writer(partial, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        bag = BagWriter(writer)
        bag.transform("/tf_static", START_S * 1_000_000_000, BASE, CAMERA, T_BASE_CAMERA)
        for index, (jpeg, T_base) in enumerate(zip(images, T_world_base, strict=True)):
            stamp_ns = START_S * 1_000_000_000 + index * 1_000_000_000 // RATE_HZ
            T_odom_base = T_odom_world @ T_base
            bag.transform("/tf", stamp_ns, ODOM, BASE, T_odom_base)
            bag.odometry(stamp_ns, T_odom_base)
            bag.camera_info(stamp_ns, intrinsics())
            bag.image(stamp_ns, jpeg)
    _rename_inside(partial, out.name)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def _rename_inside(folder: Path, name: str) -> None:
    """Name the storage file after the final folder, in the metadata too."""
    metadata = folder / "metadata.yaml"
    storage = next(folder.glob("*.mcap"))
    metadata.write_text(metadata.read_text().replace(storage.name, f"{name}.mcap"))
    storage.rename(folder / f"{name}.mcap")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(arguments)
    write_sample_bag(args.out)
    total = sum(f.stat().st_size for f in args.out.iterdir())
    print(f"{args.out}: {RATE_HZ * DURATION_S} frames, {total / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
