"""A real stereo pair (Middlebury Aloe) as a rig with the shipped model: what can be said of it, and no more.

The data give the baseline, but not the offset of the two principal points, and their field of view of 20 degrees is
none that the model knows; so depth in metres has no truth to be compared with. What holds without: the pose agrees
with the extrinsics, the baseline comes out as it is, samples repeat, near is near, wrong extrinsics are refused.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from waiting import wait_until

pytestmark = [pytest.mark.ros, pytest.mark.shared, pytest.mark.slow]
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.conversions.poses import matrix_from_pose
from lsm_perception_msgs.msg import PairPose, Scale
from rig_harness import HEARD, LEFT, RIGHT, RigHarness
from robot import image_message
from scipy.stats import spearmanr

from lsm_core import load_backend

BASELINE_M = 0.16
ALOE_RIG = np.eye(4) + np.diag([BASELINE_M], 3)  # T_left_right
TIMES = 6


class AloeRig(RigHarness):
    """The pair again and again with a sensor's noise; no calibration is sent."""

    def __init__(self, folder: Path, extrinsics: np.ndarray) -> None:
        self.closed = False
        backend = load_backend("lsm-tiny", device="cpu")
        backend.release = threading.Event()  # type: ignore[attr-defined]  # what the harness expects of a stub
        super().__init__(backend, {"queries.texts": [""], "rig.max_wait_s": 2.0}, HEARD)
        self.wait_ready("pair_pose", "depth/image")
        self.send_extrinsics(extrinsics)
        left, right = (half_size(folder / name) for name in ("aloeL.jpg", "aloeR.jpg"))
        rng = np.random.default_rng(0)
        for i in range(TIMES):
            stamp_ns = 1_700_000_000_000_000_000 + 400_000_000 * i
            a, b = (np.clip(x + rng.integers(-2, 3, x.shape), 0, 255).astype(np.uint8) for x in (left, right))
            self.expect(1, lambda b=b, t=stamp_ns: self.right.images.publish(image_message(b, t, RIGHT)))
            self.expect(1, lambda a=a, t=stamp_ns: self.images.publish(image_message(a, t, LEFT)))
            assert self.node.runtime is not None and self.node.runtime.worker.wait_idle(60.0)

    def close(self) -> None:
        """Stop everything; once is enough."""
        if not self.closed:
            self.closed = True
            super().close()


def half_size(file: Path) -> np.ndarray:
    image = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(int)


@pytest.fixture(scope="module")
def folder(shared_dir: Path) -> Path:
    return shared_dir / "data" / "aloe_stereo_opencv"


@pytest.fixture(scope="module")
def aloe(rclpy_session: None, folder: Path) -> Iterator[AloeRig]:
    harness = AloeRig(folder, ALOE_RIG)
    yield harness
    harness.close()


def test_a_real_pair_gives_its_baseline_and_steady_metres_at_standstill(aloe: AloeRig) -> None:
    assert wait_until(lambda: aloe.messages("scale")[-1].state == Scale.METRIC)
    scale = aloe.messages("scale")[-1]
    assert scale.source == Scale.SOURCE_RIG and scale.epoch == 1 and scale.spread < 0.1
    metric = [m for m in aloe.pairs() if m.unit == PairPose.UNIT_METRIC]
    assert metric
    for message in metric:
        T = matrix_from_pose(message.pose.pose)
        assert np.linalg.norm(T[:3, 3]) == pytest.approx(BASELINE_M, rel=0.1)
        assert T[0, 3] < -0.95 * np.linalg.norm(T[:3, 3])  # the left camera is to the left
        assert np.degrees(np.arccos(np.clip((np.trace(T[:3, :3]) - 1) / 2, -1, 1))) < 4


def test_near_is_near_in_the_published_depth(aloe: AloeRig, folder: Path) -> None:
    assert wait_until(lambda: len(aloe.messages("depth/image")) > 0)
    message = aloe.messages("depth/image")[-1]
    depth = np.asarray(message.data, np.uint8).view(np.float32).reshape(message.height, message.width)
    prediction = aloe.node.runtime.cameras["left"].mapper.latest().prediction  # type: ignore[union-attr]
    to_image = prediction.grid_to_image[0].double().numpy()  # type: ignore[union-attr]
    truth = cv2.imread(str(folder / "aloeGT.png"), cv2.IMREAD_GRAYSCALE)  # disparity at full size, 0 for none
    v, u = np.nonzero(np.isfinite(depth))
    x, y = np.rint(2 * (to_image[:2, :2] @ np.stack([u, v]) + to_image[:2, 2:])).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < truth.shape[1]) & (y < truth.shape[0])
    disparity = truth[y[inside], x[inside]].astype(float)
    inverse = 1 / depth[v, u][inside]
    assert (disparity > 0).sum() > 3000
    assert spearmanr(inverse[disparity > 0], disparity[disparity > 0]).statistic > 0.35


def test_cameras_that_tf_has_swapped_are_refused(aloe: AloeRig, folder: Path) -> None:
    aloe.close()  # two nodes of one name would hear each other's images
    swapped = AloeRig(folder, np.linalg.inv(ALOE_RIG))
    try:
        pairs = [m for m in swapped.pairs() if m.reference_camera == "right"]
        assert len(pairs) >= 3 and {m.reason for m in pairs} == {"rig_direction"}
        assert {m.state for m in swapped.messages("scale")} == {Scale.UNKNOWN}
    finally:
        swapped.close()
