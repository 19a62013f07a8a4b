"""A backend for tests that sees a wall 2 units away, and a camera that moves 0.2 units to the right per view.

The files and messages of the command line can be tested with it without a trained model. A first image that is
dark (mean below 20) makes it find no pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_core.backends.base import Backend, check_image
from lsm_core.sh import C0
from lsm_core.types import Camera, Gaussians, Prediction, QueryResult, ViewFeatures

WIDTH, HEIGHT, FOCAL = 40, 30, 35.0
STEP = 0.2
K = torch.tensor([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])


class WallBackend(Backend):
    """See the module."""

    name = "wall"
    has_language = True

    def encode(self, image: Any, intrinsics: Any = None) -> ViewFeatures:
        height, width = check_image(image).shape[:2]
        grid_to_image = torch.diag(torch.tensor([width / WIDTH, height / HEIGHT, 1.0]))
        return ViewFeatures(self.name, image, None, grid_to_image, {})

    def predict(
        self, views: Sequence[Any], intrinsics: Any = None, poses: Any = None, generator: Any = None
    ) -> Any:
        encoded = [v if isinstance(v, ViewFeatures) else self.encode(v) for v in views]
        found = encoded[0].image.mean() >= 20
        v, u = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
        rays = torch.stack([(u - K[0, 2]) / FOCAL, (v - K[1, 2]) / FOCAL, torch.ones_like(u)], -1)
        pointmaps, all_poses = [], []
        for index in range(len(encoded)):
            pose = torch.eye(4)
            pose[0, 3] = STEP * index
            all_poses.append(pose)
            pointmaps.append(2 * rays + pose[:3, 3])
        means = torch.cat([p.reshape(-1, 3) for p in pointmaps])
        n = len(means)
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[e.image.shape[:2] for e in encoded],
            pointmaps=pointmaps,
            confidence=[torch.ones(HEIGHT, WIDTH) for _ in encoded],
            poses=all_poses,
            pose_valid=[True] + [bool(found)] * (len(encoded) - 1),
            validity=0.9 if found else 0.1,
            intrinsics=[K for _ in encoded],
            grid_to_image=[e.grid_to_image for e in encoded],
            colors=[np.full((HEIGHT, WIDTH, 3), 120, np.uint8) for _ in encoded],
            gaussians=Gaussians(
                means,
                torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
                torch.full((n, 3), 0.03),
                torch.full((n,), 0.8),
                torch.full((n, 1, 3), 0.2 / C0),
            ),
        )

    def query(
        self, prediction: Prediction, texts: Sequence[str], camera: Camera | None = None, **options: Any
    ) -> QueryResult:
        """The first text is in the left half, the others are nowhere."""
        masks, scores, labels = [], [], []
        views = options.get("views") or range(prediction.views)
        for height, width in (prediction.image_sizes[view] for view in views):
            left = np.zeros((height, width), bool)
            left[:, : width // 2] = True
            masks.append([left if t == 0 else np.zeros_like(left) for t in range(len(texts))])
            scores.append([m.astype(np.float32) for m in masks[-1]])
            labels.append(np.where(left, 0, -1).astype(np.int32))
        return QueryResult(tuple(texts), masks, scores, [1.0] + [0.0] * (len(texts) - 1), labels)


class MuteWallBackend(WallBackend):
    """The same without language."""

    name = "mute-wall"
    has_language = False


def load(device: torch.device, weights: Path | None) -> Backend:
    return WallBackend(device)
