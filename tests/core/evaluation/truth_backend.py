"""A backend that knows the truth of the pairs it is given, and can be wrong by a known amount."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.data.classes import SYNONYMS
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.evaluation.pairs import EvalPair, EvalView
from lsm_core.evaluation.rooms import ROOM_TEXTS
from lsm_core.evaluation.words import ROUNDS
from lsm_core.geometry import resize_affine, rigid, se3_exp, so3_exp, transform_points, unproject
from lsm_core.types import Prediction, ViewFeatures

IMAGE_SIZE = (48, 64)
GRID = (24, 32)


class TruthBackend(Backend):
    """Answers with ground truth, perturbed as told.

    Args:
        pairs: what it knows.
        turn_deg: the pose is turned by this angle about y.
        scale: everything is larger by this factor.
        wrong_labels: share of pixels whose label is replaced by "fruit".
        fail: give no pose.
        bad_half: the left half of view 0's depth is stretched by a ramp, with low confidence there.
    """

    name = "truth"
    has_language = True
    embedding_dim = len(ROOM_TEXTS)

    def __init__(
        self,
        pairs: Sequence[EvalPair],
        turn_deg: float = 0.0,
        scale: float = 1.0,
        wrong_labels: float = 0.0,
        fail: bool = False,
        bad_half: bool = False,
    ) -> None:
        super().__init__(torch.device("cpu"))
        self._pairs = {p.views[0].image.tobytes() + p.views[1].image.tobytes(): p for p in pairs}
        self._bad_half = bad_half
        self._turn_deg, self._scale, self._wrong_labels, self._fail = turn_deg, scale, wrong_labels, fail

    def encode(self, image: Any, intrinsics: Any = None) -> ViewFeatures:
        return ViewFeatures(self.name, image, intrinsics, torch.eye(3), {})

    def predict(self, views: Any, intrinsics: Any = None, poses: Any = None, generator: Any = None) -> Prediction:
        pair = self._pairs[views[0].tobytes() + views[1].tobytes()]
        T = pair.T_cam0_cam1.float().clone()
        T[:3, 3] *= self._scale
        T[:3, :3] = T[:3, :3] @ so3_exp(torch.tensor([0.0, math.radians(self._turn_deg), 0.0]))
        to_image = resize_affine(GRID, IMAGE_SIZE)
        prediction = Prediction(
            backend=self.name,
            unit="metric",
            image_sizes=[IMAGE_SIZE, IMAGE_SIZE],
            pointmaps=[torch.zeros(*GRID, 3)] * 2,
            confidence=[torch.ones(GRID)] * 2,
            poses=[torch.eye(4), T],
            pose_valid=[True, not self._fail],
            validity=0.0 if self._fail else 0.9,
            intrinsics=[torch.eye(3)] * 2,
            grid_to_image=[to_image] * 2,
            colors=[np.zeros((*GRID, 3), np.uint8)] * 2,
        )
        points, features, K_grid = [], [], []
        confidence = torch.ones(GRID)
        if self._bad_half:
            confidence[:, GRID[1] // 2 :] = 5.0
        for index, view in enumerate(pair.views):
            assert view.depth is not None and view.K is not None
            K = torch.linalg.inv(to_image) @ view.K
            depth = sample_on_grid(prediction, index, view.depth) * self._scale
            if self._bad_half and index == 0:
                depth[:, : GRID[1] // 2] *= torch.linspace(0.5, 0.9, GRID[1] // 2)
            points.append(transform_points(prediction.poses[index], unproject(depth, K)))
            features.append(self._features(view, sample_on_grid(prediction, index, torch.from_numpy(view.labels))))
            K_grid.append(K)
        return Prediction(
            **{
                **prediction.__dict__,
                "pointmaps": points,
                "confidence": [confidence] * 2,
                "features": features,
                "intrinsics": K_grid,
            }
        )

    def decode_features(self, features: Tensor) -> Tensor:
        return features

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        names = {word: name for name, words in SYNONYMS.items() for word in words if word not in ROOM_TEXTS}
        names |= {word: name for swap in ROUNDS for name, word in swap.items()}
        return torch.eye(len(ROOM_TEXTS))[[ROOM_TEXTS.index(names.get(t, t)) for t in texts]]

    def _features(self, view: EvalView, labels: Tensor) -> Tensor:
        index = (labels.long() - 1).clamp(min=0)
        generator = torch.Generator().manual_seed(0)
        wrong = torch.rand(labels.shape, generator=generator) < self._wrong_labels
        index[wrong] = ROOM_TEXTS.index("fruit")
        return torch.eye(len(ROOM_TEXTS))[index]


def make_pairs(count: int = 12, seed: int = 0) -> list[EvalPair]:
    """Pairs with random images (so that each is told apart), uneven depth, labels and poses."""
    rng = np.random.default_rng(seed)
    return [_pair(rng, k, count) for k in range(count)]


def _pair(rng: np.random.Generator, k: int, count: int) -> EvalPair:
    tau = torch.from_numpy(rng.uniform(-0.3, 0.3, 6))
    tau[:3] += 0.3
    T = se3_exp(tau)
    return EvalPair((_view(rng, f"a{k}"), _view(rng, f"b{k}")), rigid(T[:3, :3], T[:3, 3]), (k + 0.5) / count)


def _view(rng: np.random.Generator, name: str) -> EvalView:
    height, width = IMAGE_SIZE
    K = torch.tensor([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]])
    x = np.linspace(1.0, 3.0, width)[None, :] + rng.uniform(0, 1, (height, 1))
    depth = torch.from_numpy(x.astype(np.float32))
    depth[:4] = 0  # a part without measurement
    labels = np.zeros((height, width), np.uint8)
    labels[4:24], labels[24:, :32], labels[24:, 32:] = 1, 2, 6  # wall, floor, chair; the top is unlabelled
    return EvalView(name, rng.integers(0, 256, (height, width, 3)).astype(np.uint8), K, depth, labels)
