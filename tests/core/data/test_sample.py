"""The packaged sample sequence: complete, small, and its images belong to its poses."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from lsm_core.data import sample_path
from lsm_core.data.sample_bag import DURATION_S, HEIGHT, RATE_HZ, T_BASE_CAMERA, WIDTH
from lsm_core.data.sample_room import sample_walk

FRAMES = RATE_HZ * DURATION_S


@pytest.fixture(scope="module")
def bag() -> dict[str, list[tuple[int, Any]]]:
    """Return the messages of the packaged bag by topic, with their log times."""
    store = get_typestore(Stores.ROS2_JAZZY)
    messages: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    with Reader(sample_path()) as reader:
        for connection, stamp, raw in reader.messages():
            messages[connection.topic].append((stamp, store.deserialize_cdr(raw, connection.msgtype)))
    return messages


def _camera_poses(bag: dict[str, list[tuple[int, Any]]]) -> np.ndarray:
    """Return T_odom_camera [N, 4, 4] from /odom and the static mount."""
    out = np.broadcast_to(np.eye(4), (FRAMES, 4, 4)).copy()
    for index, (_, message) in enumerate(bag["/odom"]):
        p, q = message.pose.pose.position, message.pose.pose.orientation
        out[index, :3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
        out[index, :3, 3] = p.x, p.y, p.z
    return out @ T_BASE_CAMERA


def test_the_sample_is_small_and_complete(bag: dict[str, list[tuple[int, Any]]]) -> None:
    assert sum(f.stat().st_size for f in sample_path().iterdir()) < 3_000_000
    counts = {topic: len(found) for topic, found in bag.items()}
    assert counts == {
        "/tf_static": 1,
        "/tf": FRAMES,
        "/odom": FRAMES,
        "/camera/camera_info": FRAMES,
        "/camera/image_raw/compressed": FRAMES,
    }


def test_stamps_are_shared_by_the_topics_and_evenly_spaced(bag: dict[str, list[tuple[int, Any]]]) -> None:
    stamps = [stamp for stamp, _ in bag["/camera/image_raw/compressed"]]
    assert set(np.diff(stamps)) == {1_000_000_000 // RATE_HZ}
    for topic in ("/odom", "/camera/camera_info", "/camera/image_raw/compressed"):
        headers = [m.header.stamp.sec * 1_000_000_000 + m.header.stamp.nanosec for _, m in bag[topic]]
        assert headers == stamps


def test_frames_and_camera_are_consistent(bag: dict[str, list[tuple[int, Any]]]) -> None:
    static = bag["/tf_static"][0][1].transforms[0]
    assert (static.header.frame_id, static.child_frame_id) == ("base_link", "camera_optical_frame")
    q = static.transform.rotation
    np.testing.assert_allclose(Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), T_BASE_CAMERA[:3, :3])
    for (_, image), (_, info) in zip(bag["/camera/image_raw/compressed"], bag["/camera/camera_info"], strict=True):
        assert image.header.frame_id == info.header.frame_id == "camera_optical_frame"
        assert (info.width, info.height) == (WIDTH, HEIGHT)
        assert np.asarray(cv2.imdecode(image.data, cv2.IMREAD_COLOR)).shape == (HEIGHT, WIDTH, 3)


def test_odometry_is_the_walk_seen_from_its_first_pose(bag: dict[str, list[tuple[int, Any]]]) -> None:
    walk = sample_walk(FRAMES)
    expected = T_BASE_CAMERA @ np.linalg.inv(walk[0]) @ walk
    np.testing.assert_allclose(_camera_poses(bag), expected, atol=1e-9)
    steps = np.linalg.norm(np.diff(walk[:, :3, 3], axis=0), axis=1)
    assert steps.min() > 0.02 and steps.max() < 0.08, "the walk never stands still and never jumps"


def test_images_belong_to_their_poses(bag: dict[str, list[tuple[int, Any]]]) -> None:
    poses = _camera_poses(bag)
    K = bag["/camera/camera_info"][0][1].k.reshape(3, 3)
    sift, errors = cv2.SIFT.create(), []
    for i in range(0, FRAMES - 8, 16):
        grey = [
            np.asarray(cv2.imdecode(bag["/camera/image_raw/compressed"][k][1].data, cv2.IMREAD_GRAYSCALE))
            for k in (i, i + 8)
        ]
        found = [sift.detectAndCompute(image, None) for image in grey]
        matches = cv2.BFMatcher().knnMatch(found[0][1], found[1][1], k=2)
        good = [m for m, n in matches if m.distance < 0.75 * n.distance]
        a = np.array([found[0][0][m.queryIdx].pt for m in good])
        b = np.array([found[1][0][m.trainIdx].pt for m in good])
        essential, mask = cv2.findEssentialMat(a, b, K, cv2.RANSAC, 0.999, 1.0)
        _, rotation, _, _ = cv2.recoverPose(essential, a, b, K, mask=mask)
        truth = (np.linalg.inv(poses[i + 8]) @ poses[i])[:3, :3]
        errors.append(np.rad2deg(Rotation.from_matrix(rotation @ truth.T).magnitude()))
    assert np.median(errors) < 1.5


def test_finding_the_sample_loads_no_renderer() -> None:
    code = (
        "import sys; from lsm_core.data import sample_path; assert sample_path().is_dir(); "
        "assert not {'moderngl', 'rosbags', 'lsm_core.data.gl_renderer'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
