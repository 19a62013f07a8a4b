"""A backend whose features are known text directions, words embed as fixed random vectors."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.types import Gaussians, Prediction, ViewFeatures

WIDTH, SPACE = 16, 96
SAME = {"couch": "sofa", "fridge": "refrigerator", "telly": "tv"}  # words of one meaning


def word_vector(text: str) -> Tensor:
    """Return a unit vector [96] that depends on the meaning of the text only."""
    meaning = SAME.get(text.lower(), text.lower())
    generator = torch.Generator().manual_seed(zlib.crc32(meaning.encode()))
    return torch.nn.functional.normalize(torch.randn(SPACE, generator=generator), dim=0)


class WordBackend(Backend):
    """Features [..., 16] decode linearly (or, if told so, not) to the space of `word_vector`.

    Args:
        words: up to 16 words; feature axis i decodes to word i.
        linear: False adds a curvature that no affine map can have.
    """

    name = "words"
    has_language = True
    embedding_dim = SPACE

    def __init__(self, words: Sequence[str], linear: bool = True, bias: float = 0.0) -> None:
        super().__init__(torch.device("cpu"))
        basis = [word_vector(word) for word in words] + [torch.zeros(SPACE)] * (WIDTH - len(words))
        self.weight = torch.stack(basis, 1)  # [96, 16]
        self.words, self.linear, self.bias = list(words), linear, bias
        self.text_logit_scale = 20.0

    def encode(self, image: Any, intrinsics: Any = None) -> ViewFeatures:
        raise NotImplementedError

    def predict(self, views: Any, intrinsics: Any = None, poses: Any = None, generator: Any = None) -> Prediction:
        raise NotImplementedError

    def decode_features(self, features: Tensor) -> Tensor:
        out = features.float() @ self.weight.T + self.bias * word_vector("wall")
        return out if self.linear else out * (1 + 0.1 * out.norm(dim=-1, keepdim=True))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([word_vector(text) for text in texts])

    def feature(self, word: str) -> Tensor:
        """Return the feature [16] that decodes to a word of the backend."""
        return torch.eye(WIDTH)[self.words.index(word)]


class MuteBackend(WordBackend):
    """The same without language."""

    name = "mute"
    has_language = False


def scene(
    backend: WordBackend,
    halves: tuple[str, str] = ("chair", "wall"),
    grid: tuple[int, int] = (24, 32),
    image: tuple[int, int] = (96, 128),
    crop: tuple[float, float] = (0.0, 0.0),
) -> Prediction:
    """Return two equal views: `halves[0]` left, `halves[1]` right, on a plane two units ahead.

    Args:
        backend: makes the features.
        halves: words.
        grid: (h, w) of the maps.
        image: (height, width) of the images given.
        crop: image pixels (x, y) at the left and at the top that the grid does not cover, and as many opposite.
    """
    h, w = grid
    features = torch.empty(h, w, WIDTH)
    features[:, : w // 2], features[:, w // 2 :] = backend.feature(halves[0]), backend.feature(halves[1])
    sx, sy = (image[1] - 2 * crop[0]) / w, (image[0] - 2 * crop[1]) / h
    affine = torch.tensor([[sx, 0, crop[0] + 0.5 * sx - 0.5], [0, sy, crop[1] + 0.5 * sy - 0.5], [0, 0, 1]])
    K = torch.tensor([[float(w), 0, (w - 1) / 2], [0, float(w), (h - 1) / 2], [0, 0, 1]])
    v, u = torch.meshgrid(torch.arange(h).float(), torch.arange(w).float(), indexing="ij")
    points = torch.stack([(u - K[0, 2]) / w * 2, (v - K[1, 2]) / w * 2, torch.full_like(u, 2.0)], -1)
    n = h * w
    gaussians = Gaussians(
        points.reshape(-1, 3),
        torch.tensor([1.0, 0, 0, 0]).expand(n, 4),
        torch.full((n, 3), 1.2 / w),
        torch.full((n,), 0.95),
        torch.zeros(n, 1, 3),
        features.reshape(-1, WIDTH),
    )
    return Prediction(
        backend=backend.name,
        unit="relative",
        image_sizes=[image, image],
        pointmaps=[points, points],
        confidence=[torch.ones(h, w)] * 2,
        poses=[torch.eye(4)] * 2,
        pose_valid=[True, True],
        validity=1.0,
        intrinsics=[K, K],
        grid_to_image=[affine, affine],
        colors=[torch.zeros(h, w, 3, dtype=torch.uint8).numpy()] * 2,
        gaussians=gaussians,
        features=[features, features],
    )
