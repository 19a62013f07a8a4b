"""A robot's bag: colour, depth, calibration, odometry and tf of a drive past the wall of `small_layouts`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation
from small_layouts import K, Recording

STORE = get_typestore(Stores.ROS2_JAZZY)
START_NS, STEP_NS = 1_700_000_000_000_000_000, 100_000_000
BASE, CAMERA, DEPTH_CAMERA = "base_link", "camera_optical_frame", "depth_optical_frame"
# base_link: x forward, y left, z up, 20 cm behind the camera; optical: x right, y down, z forward
T_BASE_CAMERA = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
IMAGE, DEPTH = "/camera/image_raw", "/camera/depth/image_raw"
TOPICS = {
    IMAGE: "sensor_msgs/msg/Image",
    "/camera/camera_info": "sensor_msgs/msg/CameraInfo",
    DEPTH: "sensor_msgs/msg/Image",
    "/camera/depth/camera_info": "sensor_msgs/msg/CameraInfo",
    "/odom": "nav_msgs/msg/Odometry",
    "/tf_static": "tf2_msgs/msg/TFMessage",
}


@dataclass(frozen=True)
class Robot:
    """What is recorded, and how.

    Attributes:
        depth: "16UC1", "32FC1", or "" for none.
        depth_late_ns: how long after the picture depth is taken.
        T_camera_depth: where the depth camera sits; None: depth is the colour camera's.
        leave_out: topics that are not recorded.
    """

    depth: str = "16UC1"
    depth_late_ns: int = 5_000_000
    T_camera_depth: NDArray[np.float64] | None = None
    leave_out: tuple[str, ...] = ()


def build(name: str, **values: Any) -> Any:
    return STORE.types[name](**values)


def header(stamp_ns: int, frame: str) -> Any:
    stamp = build("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return build("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def image(stamp_ns: int, frame: str, encoding: str, pixels: NDArray[Any]) -> Any:
    return build(
        "sensor_msgs/msg/Image",
        header=header(stamp_ns, frame),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.nbytes // pixels.shape[0],
        data=np.ascontiguousarray(pixels).view(np.uint8).reshape(-1),
    )


def camera_info(stamp_ns: int, frame: str, width: int, height: int) -> Any:
    roi = build("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    scaled = K * [[width / 64], [width / 64], [1]]
    return build(
        "sensor_msgs/msg/CameraInfo",
        header=header(stamp_ns, frame),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=scaled.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.zeros(12),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def _parts(T: NDArray[np.float64]) -> tuple[dict[str, float], Any]:
    x, y, z, w = (float(v) for v in Rotation.from_matrix(T[:3, :3]).as_quat())
    place = dict(zip("xyz", (float(v) for v in T[:3, 3]), strict=True))
    return place, build("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def odometry(stamp_ns: int, T_odom_base: NDArray[np.float64]) -> Any:
    place, turn = _parts(T_odom_base)
    pose = build("geometry_msgs/msg/Pose", position=build("geometry_msgs/msg/Point", **place), orientation=turn)
    zero = build("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
    twist = build("geometry_msgs/msg/Twist", linear=zero, angular=zero)
    return build(
        "nav_msgs/msg/Odometry",
        header=header(stamp_ns, "odom"),
        child_frame_id=BASE,
        pose=build("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)),
        twist=build("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=np.zeros(36)),
    )


def transforms(edges: dict[tuple[str, str], NDArray[np.float64]]) -> Any:
    stamped = []
    for (parent, child), T in edges.items():
        place, turn = _parts(T)
        vector = build("geometry_msgs/msg/Vector3", **place)
        body = build("geometry_msgs/msg/Transform", translation=vector, rotation=turn)
        head = header(START_NS, parent)
        stamped.append(
            build("geometry_msgs/msg/TransformStamped", header=head, child_frame_id=child, transform=body)
        )
    return build("tf2_msgs/msg/TFMessage", transforms=stamped)


def write_robot_bag(path: Path, r: Recording, robot: Robot = Robot()) -> Path:
    """Write an mcap bag of the drive; poses of the recording become odometry of the base."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wanted = {t: k for t, k in TOPICS.items() if t not in robot.leave_out and (robot.depth or "depth" not in t)}
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {t: writer.add_connection(t, kind, typestore=STORE) for t, kind in wanted.items()}

        def put(topic: str, stamp_ns: int, message: Any) -> None:
            if topic in connections:
                writer.write(connections[topic], stamp_ns, STORE.serialize_cdr(message, TOPICS[topic]))

        edges = {(BASE, CAMERA): T_BASE_CAMERA}
        depth_frame = CAMERA
        if robot.T_camera_depth is not None:
            depth_frame = DEPTH_CAMERA
            edges[(CAMERA, DEPTH_CAMERA)] = robot.T_camera_depth
        put("/tf_static", START_NS, transforms(edges))
        height, width = r.labels.shape
        for i in range(len(r)):
            stamp = START_NS + i * STEP_NS
            put("/odom", stamp, odometry(stamp, r.poses[i] @ np.linalg.inv(T_BASE_CAMERA)))
            put("/camera/camera_info", stamp, camera_info(stamp, CAMERA, width, height))
            put(IMAGE, stamp, image(stamp, CAMERA, "rgb8", r.images[i]))
            late = stamp + robot.depth_late_ns
            steps = np.where(r.depth[i] < 65535, r.depth[i], 0).astype(np.uint16)
            pixels = steps if robot.depth == "16UC1" else (steps / np.float32(1000)).astype(np.float32)
            put("/camera/depth/camera_info", late, camera_info(late, depth_frame, width, height))
            put(DEPTH, late, image(late, depth_frame, robot.depth, pixels))
    return path
