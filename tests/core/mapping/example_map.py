"""A small saved map with known contents, and a backend that reads its words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.backends.text_space import TextSpace
from lsm_core.mapping import (
    CameraMap,
    Lens,
    MapKeyframe,
    PointCloud,
    SavedMap,
    ScaleEstimate,
    ScaleSource,
    ScaleState,
    TrajectoryArrays,
    thumbnail,
)
from lsm_core.types import Gaussians, Prediction

HEIGHT, WIDTH, DIM = 48, 64, 32
WORDS = ("chair", "table", "lamp")


class WordBackend(Backend):
    """Features are directions of the words: channel i is WORDS[i]; other words point elsewhere."""

    name = "words"
    has_language = True
    embedding_dim = DIM
    text_logit_scale = 30.0

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__(torch.device("cpu"))
        self.gain = gain
        self.forward_passes = 0

    def encode(self, image: Any, intrinsics: Any = None) -> Any:
        self.forward_passes += 1
        raise AssertionError("a saved map needs no forward pass")

    def predict(self, views: Any, intrinsics: Any = None, poses: Any = None, generator: Any = None) -> Any:
        self.forward_passes += 1
        raise AssertionError("a saved map needs no forward pass")

    def decode_features(self, features: Tensor) -> Tensor:
        weight = torch.eye(DIM)
        weight[0, 1] = self.gain - 1.0
        return features.float() @ weight

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([direction(text) for text in texts])


def direction(text: str) -> Tensor:
    """Return a unit vector: a channel per word of WORDS, a fixed random mixture of the rest for any other text."""
    if text in WORDS:
        return torch.eye(DIM)[WORDS.index(text)]
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
    vector = torch.randn(DIM, generator=torch.Generator().manual_seed(seed))
    vector[: len(WORDS)] = 0
    return vector / vector.norm()


def view(x: float, word: int) -> Prediction:
    """Return a wall 2 units ahead, seen from (x, 0, 0); its left half is one of WORDS, the rest is nothing."""
    K = torch.tensor([[56.0, 0, (WIDTH - 1) / 2], [0, 56.0, (HEIGHT - 1) / 2], [0, 0, 1]])
    v, u = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    rays = torch.stack([(u - K[0, 2]) / 56, (v - K[1, 2]) / 56, torch.ones_like(u)], -1)
    pose = torch.eye(4)
    pose[0, 3] = x
    points = 2 * rays + pose[:3, 3]
    n = HEIGHT * WIDTH
    features = torch.zeros(HEIGHT, WIDTH, DIM)
    features[:, : WIDTH // 2, word] = 1
    features[:, WIDTH // 2 :] = direction("wall")
    return Prediction(
        backend="words",
        unit="relative",
        image_sizes=[(2 * HEIGHT, 2 * WIDTH)],
        pointmaps=[points],
        confidence=[torch.linspace(1, 2, n).reshape(HEIGHT, WIDTH)],
        poses=[pose],
        pose_valid=[True],
        validity=0.75,
        intrinsics=[K],
        grid_to_image=[torch.tensor([[2.0, 0, 0.5], [0, 2.0, 0.5], [0, 0, 1]])],
        colors=[np.full((HEIGHT, WIDTH, 3), 90, np.uint8)],
        gaussians=Gaussians(
            points.reshape(-1, 3),
            torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
            torch.full((n, 3), 0.02),
            torch.full((n,), 0.9),
            torch.full((n, 1, 3), 0.3),
        ),
        features=[features.half()],
    )


def keyframe(number: int, word: int = 0, segment: int = 4) -> MapKeyframe:
    """Return a keyframe of the example's camera."""
    prediction = view(0.1 * number, word)
    T = prediction.poses[0].double().numpy() if segment else None
    if T is None:  # as a pair whose pose was not found
        nowhere = torch.full((4, 4), float("nan"))
        prediction = replace(prediction, poses=[nowhere], pose_valid=[False])
    image = np.random.default_rng(number).integers(0, 255, (2 * HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    lens = Lens(
        2 * WIDTH, 2 * HEIGHT, np.diag([56.0, 56, 1]) + np.eye(3, k=2), np.array([0.1, -0.02, 0.0, 0.0, 0.001])
    )
    return MapKeyframe(
        number, 10**18 + 7 * number, "camera_optical", segment, T, prediction, lens, thumbnail(image), number != 12
    )


def example_map() -> SavedMap:
    """Return a map of two cameras; the second has no keyframe."""
    rng = np.random.default_rng(0)
    cloud = PointCloud(
        rng.normal(size=(50, 3)).astype(np.float32),
        rng.integers(0, 255, (50, 3), dtype=np.uint8),
        rng.uniform(0, 3, 50).astype(np.float32),
        rng.integers(0, 3, 50).astype(np.uint16),
        rng.uniform(0, 1, 50).astype(np.float32),
    )
    scale = ScaleEstimate(ScaleState.METRIC, ScaleSource.ODOMETRY, 1.75, 0.02, 3, 9, 10**18)
    unknown = ScaleEstimate(ScaleState.UNKNOWN, ScaleSource.NONE, float("nan"), float("nan"), 0, 0, 0)
    path = TrajectoryArrays(
        np.array([10**18 + 77, 10**18 + 84]), np.array([[1.1, 0, 0], [1.2, 0, 0]]), np.tile([1.0, 0, 0, 0], (2, 1))
    )
    nowhere = TrajectoryArrays(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 4)))
    cameras = (
        CameraMap("front", 4, (keyframe(3, 2, 0), keyframe(11), keyframe(12, 1)), cloud, scale, path),
        CameraMap("rear", 0, (), PointCloud.empty(), unknown, nowhere),
    )
    space = TextSpace.of(WordBackend(), DIM)
    return SavedMap(cameras, "words", space, ("chair", "a lämp", "椅子"), (-1.0, 0.4, float("nan")))
