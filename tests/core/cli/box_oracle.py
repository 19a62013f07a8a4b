"""A backend that knows where each image of a bag was taken, and takes the world for the inside of a box.

Each pair comes in a unit of its own, as real models' predictions do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.io import Trajectory, open_bag
from lsm_core.types import Prediction, ViewFeatures

WIDTH, HEIGHT, FOCAL = 48, 36, 40.0
HALF_BOX_M = 6.0


class BoxOracle(Backend):
    """See the module.

    Args:
        bag: path of a bag with odometry.
        blind: stamps (ns) of images for which no pose is found.
    """

    name = "box-oracle"

    def __init__(self, bag: object, blind: Sequence[int] = ()) -> None:
        super().__init__(torch.device("cpu"))
        self._rng = np.random.default_rng(0)
        self._blind = set(blind)
        self._stamps: dict[bytes, int] = {}
        with open_bag(str(bag)) as opened:
            frame_id = ""
            for frame in opened.frames():
                self._stamps[frame.image.tobytes()] = frame.stamp_ns
                frame_id = frame.frame_id
            truth = opened.camera_trajectory(frame_id)
        assert truth is not None
        self.truth: Trajectory = truth
        self.units: list[float] = []

    def encode(self, image: NDArray[np.uint8], intrinsics: Any = None) -> ViewFeatures:
        height, width = image.shape[:2]
        grid_to_image = torch.diag(torch.tensor([width / WIDTH, height / HEIGHT, 1.0]))
        return ViewFeatures(self.name, image, None, grid_to_image, {})

    def predict(
        self, views: Sequence[Any], intrinsics: Any = None, poses: Any = None, generator: Any = None
    ) -> Any:
        stamps = [self._stamps[view.image.tobytes()] for view in views]
        T_odom_cam = [self.truth.at(stamp) for stamp in stamps]
        unit = float(np.exp(self._rng.uniform(-1, 1)))
        self.units.append(unit)
        K = torch.tensor([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
        all_poses, maps = [], []
        for T in T_odom_cam:
            assert T is not None and T_odom_cam[0] is not None
            pose = np.linalg.inv(T_odom_cam[0]) @ T
            points = self._box_points(T) @ pose[:3, :3].T + pose[:3, 3]
            pose[:3, 3] *= unit
            all_poses.append(torch.from_numpy(pose).float())
            maps.append(torch.from_numpy(unit * points).float())
        found = not self._blind & set(stamps)
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[view.image.shape[:2] for view in views],
            pointmaps=maps,
            confidence=[torch.ones(HEIGHT, WIDTH) for _ in views],
            poses=all_poses,
            pose_valid=[True, found],
            validity=1.0 if found else 0.0,
            intrinsics=[K for _ in views],
            grid_to_image=[view.grid_to_image for view in views],
            colors=[np.full((HEIGHT, WIDTH, 3), 120, np.uint8) for _ in views],
        )

    def _box_points(self, T_odom_cam: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return [h, w, 3] in the camera: where its rays leave the box around the first camera."""
        v, u = np.mgrid[:HEIGHT, :WIDTH].astype(float)
        rays = np.stack([(u - (WIDTH - 1) / 2) / FOCAL, (v - (HEIGHT - 1) / 2) / FOCAL, np.ones_like(u)], -1)
        directions = rays @ T_odom_cam[:3, :3].T
        centre = T_odom_cam[:3, 3] - self.truth.poses[0][:3, 3]
        with np.errstate(divide="ignore"):
            distance = ((np.sign(directions) * HALF_BOX_M - centre) / directions).min(-1)
        return rays * distance[..., None]
