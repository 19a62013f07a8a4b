"""Masks fit the pixels of the source image, whatever the lens did to them: through the node, against the truth.

A labelled room is seen through a lens, by a binned part of a sensor. The stub model segments the undistorted image
perfectly; what the node publishes must fit the labels of the bent image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import Harness, image_message
from lsm_perception.calibration import Calibration
from lsm_perception.conversions.camera_info import calibration_from_info
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header
from synthetic_world import FACES, HALF_SIZE, HEIGHT, WIDTH, K, View, look, render, textures

MIN_IOU = 0.93  # of every face on at least MIN_SHARE of the image; the cells of the model have 4x4 pixels
MIN_SHARE = 0.03
BINNING, OFFSET = 2, (120, 80)
SENSOR = (900, 700)


@dataclass(frozen=True)
class Lens:
    """What camera_info says: the sensor's K, the part of it that is read, and its distortion."""

    model: str
    d: list[float]
    binning: int
    offset: tuple[int, int]

    @property
    def K_sensor(self) -> np.ndarray:
        """K of the whole sensor, such that the images as they come have the K of the synthetic camera."""
        out = K.copy()
        out[:2] *= self.binning
        out[:2, 2] = self.binning * K[:2, 2] + (self.binning - 1) / 2 + np.array(self.offset)
        return out

    def info(self, header: Header) -> CameraInfo:
        part = self.binning > 1
        size = SENSOR if part else (WIDTH, HEIGHT)
        x, y = self.offset
        roi = RegionOfInterest(x_offset=x, y_offset=y, width=WIDTH * self.binning, height=HEIGHT * self.binning)
        return CameraInfo(
            header=header,
            width=size[0],
            height=size[1],
            distortion_model=self.model,
            d=self.d,
            k=[float(v) for v in self.K_sensor.ravel()],
            binning_x=self.binning,
            binning_y=self.binning,
            roi=roi if part else RegionOfInterest(),
        )


LENSES = {
    "plumb_bob": Lens("plumb_bob", [-0.28, 0.07, 0.002, -0.001, 0.0], 1, (0, 0)),
    "rational": Lens("rational_polynomial", [0.3, -0.1, 0.001, 0.0005, 0.01, 0.6, -0.05, 0.002], 1, (0, 0)),
    "plumb_bob, binned part": Lens("plumb_bob", [-0.28, 0.07, 0.002, -0.001, 0.0], BINNING, OFFSET),
    "rational, binned part": Lens(
        "rational_polynomial", [0.3, -0.1, 0.001, 0.0005, 0.01, 0.6, -0.05, 0.002], BINNING, OFFSET
    ),
}


def rays_of(pixels: np.ndarray, lens: Lens) -> np.ndarray:
    """Return x, y [H, W, 2] on the plane z = 1 that the lens projects to pixels, by inverting the projection."""
    focal = lens.K_sensor[[0, 1], [0, 1]]
    xy = (pixels - lens.K_sensor[:2, 2]) / focal
    for _ in range(60):
        points = np.concatenate([xy.reshape(-1, 2), np.ones((xy.size // 2, 1))], 1)
        there = cv2.projectPoints(points, np.zeros(3), np.zeros(3), lens.K_sensor, np.array(lens.d))[0]
        xy = xy + (pixels - there.reshape(xy.shape)) / focal
    return xy


def seen_through(lens: Lens, T_world_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the image [H, W, 3] and labels [H, W] that the binned part of the sensor sees, ray by ray."""
    u, v = np.meshgrid(np.arange(WIDTH, dtype=float), np.arange(HEIGHT, dtype=float))
    centre = (lens.binning - 1) / 2
    full = np.stack([u * lens.binning + centre + lens.offset[0], v * lens.binning + centre + lens.offset[1]], -1)
    straight = rays_of(full, lens)
    rays = np.dstack([straight, np.ones((HEIGHT, WIDTH))]) @ T_world_cam[:3, :3].T
    with np.errstate(divide="ignore"):
        exits = np.where(rays > 0, HALF_SIZE - T_world_cam[:3, 3], -HALF_SIZE - T_world_cam[:3, 3]) / rays
    axis = exits.argmin(-1)
    points = T_world_cam[:3, 3] + rays * exits.min(-1)[..., None]
    label = 2 * axis + (np.take_along_axis(rays, axis[..., None], -1)[..., 0] > 0)
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for face, texture in enumerate(textures()):
        on = label == face
        others = [a for a in range(3) if a != face // 2]
        uv = (points[on][:, others] / HALF_SIZE[others] + 1) / 2 * 511
        index = np.clip(np.rint(uv), 0, 511).astype(int)
        rgb[on] = texture[index[:, 1], index[:, 0]]
    return rgb, label


@pytest.fixture(scope="module")
def running(rclpy_session: None) -> Iterator[Harness]:
    backend = FakeBackend()
    parameters = {"odometry.source": "none", "queries.texts": list(FACES)}
    harness = Harness(backend, parameters, listen=("segmentation/label", "keyframes"))
    harness.wait_active()
    harness.wait_connected("segmentation/label")
    yield harness
    harness.close()


@pytest.mark.parametrize("name", LENSES)
def test_labels_fit_the_bent_image(running: Harness, name: str) -> None:
    lens, pose = LENSES[name], look(0.4, 0.1, -0.8, yaw_deg=20)
    rgb, truth = seen_through(lens, pose)
    header = Header(frame_id=name.replace(", ", "_").replace(" ", "_"))
    calibration = calibration_from_info(lens.info(header), WIDTH, HEIGHT)
    assert calibration is not None and np.allclose(calibration.K, K) and calibration.distorted
    straight = render(pose, 0)
    assert looks_like(calibration, rgb, straight)
    # The model knows this picture; without undistortion, or with a wrong one, it would not.
    seen = View(calibration.undistort(rgb), straight.depth, straight.label, pose, 0)
    running.backend.learn(seen)
    running.infos.publish(lens.info(header))
    stream = running.node.runtime.cameras[""].stream  # type: ignore[union-attr]
    assert wait_until(lambda: stream.calibration.heard)
    wait_until(lambda: False, 0.3)
    stamp_ns = 10**9 * (1 + list(LENSES).index(name))
    running.images.publish(image_message(rgb, stamp_ns, header.frame_id))

    def answers() -> list:
        return [m for m in running.messages("segmentation/label") if m.header.frame_id == header.frame_id]

    assert wait_until(lambda: bool(answers()))
    found = np.frombuffer(answers()[0].data, np.uint8).reshape(HEIGHT, WIDTH)
    inside = calibration.to_source(np.ones((HEIGHT, WIDTH), np.uint8), 0) > 0
    for face in range(len(FACES)):
        there = (truth == face) & inside
        if there.sum() < MIN_SHARE * truth.size:
            continue
        mask = (found == face) & inside
        iou = (mask & there).sum() / (mask | there).sum()
        assert iou >= MIN_IOU, (FACES[face], iou)
    assert (found[~inside] == 255).all()


def looks_like(calibration: Calibration, bent: np.ndarray, straight: View) -> bool:
    """Whether the undistorted image is what a pinhole camera sees, away from the border."""
    mine = calibration.undistort(bent)[40:-40, 50:-50].astype(int)
    return bool(np.abs(mine - straight.rgb[40:-40, 50:-50]).mean() < 12)


def test_without_the_lens_the_labels_would_not_fit(running: Harness) -> None:
    """The scene is hard enough: labels of the straight image miss the bound on the bent one."""
    lens, pose = LENSES["plumb_bob"], look(0.4, 0.1, -0.8, yaw_deg=20)
    _, truth = seen_through(lens, pose)
    straight = render(pose, 0).label
    ious = [((truth == f) & (straight == f)).sum() / ((truth == f) | (straight == f)).sum()
            for f in range(len(FACES)) if (truth == f).mean() >= MIN_SHARE]  # fmt: skip
    assert min(ious) < MIN_IOU - 0.1
