"""Bags written here by rosbags, read back: frames, calibration, odometry, damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from lsm_core.errors import FileFormatError
from lsm_core.io import open_bag

STORE = get_typestore(Stores.ROS2_JAZZY)
START_NS = 1_700_000_000_000_000_007
STEP_NS = 100_000_000


def build(name: str, **values: Any) -> Any:
    return STORE.types[name](**values)


def header(stamp_ns: int, frame: str) -> Any:
    stamp = build("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return build("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def picture(index: int) -> NDArray[np.uint8]:
    image = np.zeros((24, 32, 3), np.uint8)
    image[..., 0], image[:, 16:, 2] = 40 * index, 200
    return image


def image_message(kind: str, index: int, stamp: int) -> Any:
    if kind == "compressed":
        data = cv2.imencode(".png", cv2.cvtColor(picture(index), cv2.COLOR_RGB2BGR))[1].reshape(-1)
        return build("sensor_msgs/msg/CompressedImage", header=header(stamp, "optical"), format="png", data=data)
    pixels = picture(index)[..., ::-1] if kind == "bgr8" else picture(index)
    padded = np.zeros((24, 100), np.uint8)  # a row stride longer than the row
    padded[:, :96] = pixels.reshape(24, 96)
    return build(
        "sensor_msgs/msg/Image",
        header=header(stamp, "optical"),
        height=24,
        width=32,
        encoding=kind,
        is_bigendian=0,
        step=100,
        data=padded.reshape(-1),
    )


def camera_info(stamp: int) -> Any:
    roi = build("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return build(
        "sensor_msgs/msg/CameraInfo",
        header=header(stamp, "optical"),
        height=24,
        width=32,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([30.0, 0, 15.5, 0, 31.0, 11.5, 0, 0, 1]),
        r=np.eye(3).reshape(-1),
        p=np.zeros(12),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def odometry(stamp: int, x: float) -> Any:
    pose = build(
        "geometry_msgs/msg/Pose",
        position=build("geometry_msgs/msg/Point", x=x, y=0.0, z=0.0),
        orientation=build("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )
    zero = build("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
    twist = build("geometry_msgs/msg/Twist", linear=zero, angular=zero)
    return build(
        "nav_msgs/msg/Odometry",
        header=header(stamp, "odom"),
        child_frame_id="base",
        pose=build("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)),
        twist=build("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=np.zeros(36)),
    )


def static_transform() -> Any:
    transform = build(
        "geometry_msgs/msg/Transform",
        translation=build("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.5),
        rotation=build("geometry_msgs/msg/Quaternion", x=-0.5, y=0.5, z=-0.5, w=0.5),
    )
    stamped = build(
        "geometry_msgs/msg/TransformStamped",
        header=header(START_NS, "base"),
        child_frame_id="optical",
        transform=transform,
    )
    return build("tf2_msgs/msg/TFMessage", transforms=[stamped])


def write_bag(
    path: Path, kind: str = "rgb8", storage: StoragePlugin = StoragePlugin.MCAP, frames: int = 4, moves: bool = True
) -> Path:
    image_type = "sensor_msgs/msg/CompressedImage" if kind == "compressed" else "sensor_msgs/msg/Image"
    topics = {
        "/cam/image": image_type,
        "/cam/camera_info": "sensor_msgs/msg/CameraInfo",
        "/odom": "nav_msgs/msg/Odometry",
        "/tf_static": "tf2_msgs/msg/TFMessage",
    }
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {t: writer.add_connection(t, kind_, typestore=STORE) for t, kind_ in topics.items()}

        def put(topic: str, stamp: int, message: Any) -> None:
            writer.write(connections[topic], stamp, STORE.serialize_cdr(message, topics[topic]))

        put("/tf_static", START_NS, static_transform())
        for i in range(frames):
            stamp = START_NS + i * STEP_NS
            put("/cam/image", stamp, image_message(kind, i, stamp))
            put("/cam/camera_info", stamp, camera_info(stamp))
            if moves:
                put("/odom", stamp, odometry(stamp, float(i)))
    return path


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("kind", ["rgb8", "bgr8", "compressed"])
def test_frames_come_back_in_order_with_stamps_and_intrinsics(
    tmp_path: Path, kind: str, storage: StoragePlugin
) -> None:
    with open_bag(write_bag(tmp_path / "bag", kind, storage)) as bag:
        frames = list(bag.frames())
        assert bag.frame_count() == 4 and bag.image_topic() == "/cam/image"
    assert [f.stamp_ns for f in frames] == [START_NS + i * STEP_NS for i in range(4)]
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, picture(i))
        assert frame.frame_id == "optical"
        assert frame.K is not None  # also for the image recorded before the first CameraInfo
        np.testing.assert_array_equal(frame.K, [[30, 0, 15.5], [0, 31, 11.5], [0, 0, 1]])


def test_a_single_storage_file_is_a_bag_too(tmp_path: Path) -> None:
    folder = write_bag(tmp_path / "bag")
    with open_bag(next(folder.glob("*.mcap"))) as bag:
        assert sum(1 for _ in bag.frames()) == 4


def test_camera_trajectory_joins_odometry_and_extrinsics(tmp_path: Path) -> None:
    with open_bag(write_bag(tmp_path / "bag")) as bag:
        track = bag.camera_trajectory("optical")
    assert track is not None
    halfway = track.at(START_NS + STEP_NS // 2)
    assert halfway is not None
    np.testing.assert_allclose(halfway[:3, 3], [0.5, 0, 0.5], atol=1e-9)
    np.testing.assert_allclose(halfway[:3, 2], [1, 0, 0], atol=1e-9)  # the optical axis looks along x of the base


def test_without_odometry_there_is_no_camera_trajectory(tmp_path: Path) -> None:
    with open_bag(write_bag(tmp_path / "bag", moves=False)) as bag:
        assert bag.camera_trajectory("optical") is None
        with pytest.raises(FileFormatError, match="no odometry"):
            bag.odometry()


def test_only_wanted_images_are_given(tmp_path: Path) -> None:
    with open_bag(write_bag(tmp_path / "bag")) as bag:
        wanted = {START_NS + STEP_NS, START_NS + 3 * STEP_NS}
        assert [f.index for f in bag.frames(only=wanted)] == [1, 3]


def test_unknown_topic_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    with open_bag(write_bag(tmp_path / "bag")) as bag, pytest.raises(FileFormatError, match="/cam/image"):
        next(bag.frames("/front/image"))


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no bag"), open_bag(tmp_path / "none"):
        pass
    (tmp_path / "x.mcap").write_bytes(b"this is no bag" * 10)
    with pytest.raises(FileFormatError, match="cannot be read"), open_bag(tmp_path / "x.mcap"):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match="cannot be read"), open_bag(tmp_path / "empty"):
        pass


def test_lens_distortion_is_removed(tmp_path: Path) -> None:
    with open_bag(write_bag(tmp_path / "bag", frames=1)) as bag:
        frame = next(bag.frames())
    assert frame.rectified() is frame and frame.calibration is not None
    from dataclasses import replace

    bent = replace(frame, calibration=replace(frame.calibration, distortion=np.array([-0.3, 0.1, 0, 0, 0])))
    straight = bent.rectified()
    assert straight.calibration is not None and straight.calibration.is_rectified
    assert np.any(straight.image != frame.image)


@pytest.mark.shared
def test_recorded_bag_has_its_frames_and_poses(shared_dir: Path) -> None:
    with open_bag(shared_dir / "data" / "bags" / "hololens_kitchen") as bag:
        assert bag.frame_count() == 373
        frame = next(bag.frames())
        track = bag.camera_trajectory(frame.frame_id)
    rows = np.loadtxt(shared_dir / "data" / "hololens_kitchen_dvmvs" / "poses.txt").reshape(-1, 4, 4)
    assert frame.image.shape == (360, 540, 3) and track is not None and len(track) == 373
    relative = np.linalg.inv(rows[0]) @ rows[50]
    np.testing.assert_allclose(np.linalg.inv(track.poses[0]) @ track.poses[50], relative, atol=1e-4)
