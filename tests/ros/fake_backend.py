"""A backend that knows the synthetic room: exact geometry in a random unit per pair, exact class features."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from poison import poisoned
from synthetic_world import FACES, K, View
from torch import Tensor

from lsm_core.backends.base import Backend, Image
from lsm_core.sh import C0
from lsm_core.types import Gaussians, Prediction, ViewFeatures

STRIDE = 4
DIM = 64  # one direction per face; every other word has its own random one


def image_key(image: NDArray[np.uint8]) -> int:
    """Return a number that stands for the exact pixels of an image, but for the last row.

    A test may write there to tell images of one view apart.
    """
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(image[:-1]).tobytes()).digest()[:6], "big")


def embedding(text: str) -> Tensor:
    """Return a unit vector: a direction of its own per face, a fixed random one for other words."""
    if text in FACES:
        return torch.eye(DIM)[FACES.index(text)]
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
    vector = torch.randn(DIM, generator=torch.Generator().manual_seed(seed))
    vector[: len(FACES)] = 0
    return vector / vector.norm()


def left_border_unsure(pointmap: Tensor) -> Tensor:
    """Return confidence 2, but 0.1 in the eight leftmost columns."""
    confidence = torch.full(pointmap.shape[:2], 2.0)
    confidence[:, :8] = 0.1
    return confidence


class FakeBackend(Backend):
    """Looks images up by their pixels; unknown ones are a flat wall without validity."""

    name = "fake"
    has_language = True
    embedding_dim = DIM

    def __init__(self, views: Sequence[View] = ()) -> None:
        super().__init__(torch.device("cpu"))
        self._views = {image_key(v.rgb): v for v in views}
        self.predictions = 0
        self.closed = False
        self.release = threading.Event()
        self.release.set()
        self.entered = threading.Event()  # a prediction has begun
        self.calm()

    def learn(self, view: View) -> None:
        """Know one more view."""
        self._views[image_key(view.rgb)] = view

    def calm(self) -> None:
        """End all misbehaviour."""
        self.delay_s = 0.0
        self.fail: Exception | None = None
        self.poison = ""  # a part of poison.PARTS, or "encoded": one number of it is `poison_value`
        self.poison_value = math.nan
        self.bad_pose = False
        self.validity = 1.0
        self.overlap = 0.8  # of a pair, as its statistics claim

    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        key = torch.tensor(image_key(image), dtype=torch.int64)
        K_given = None if intrinsics is None else torch.as_tensor(np.asarray(intrinsics)).float()
        tokens = torch.full((4,), self.poison_value if self.poison == "encoded" else 0.0)
        return ViewFeatures(self.name, image, K_given, torch.eye(3), {"key": key, "tokens": tokens})

    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        self.entered.set()
        time.sleep(self.delay_s)
        self.release.wait(10)
        if self.fail is not None:
            raise self.fail
        self.predictions += 1
        features = [v if isinstance(v, ViewFeatures) else self.encode(v) for v in views]
        known = [self._views.get(int(f.tensors["key"])) for f in features]
        scale = float(np.random.default_rng(self.predictions).uniform(0.3, 3.0))
        maps = [self._maps(f, view) for f, view in zip(features, known, strict=True)]
        T_cam0_cam1 = np.eye(4)
        if known[0] is not None and known[1] is not None:
            T_cam0_cam1 = np.linalg.inv(known[0].T_world_cam) @ known[1].T_world_cam
        if self.bad_pose:
            T_cam0_cam1 = T_cam0_cam1 @ np.diag([-1.0, 1.0, -1.0, 1.0])
        T_cam0_cam1[:3, 3] *= scale
        pointmaps = [
            torch.from_numpy((scale * m[0] @ T[:3, :3].T + T[:3, 3]).astype(np.float32))
            for m, T in zip(maps, (np.eye(4), T_cam0_cam1), strict=True)
        ]
        n = sum(p.shape[0] * p.shape[1] for p in pointmaps)
        S = torch.tensor([[STRIDE, 0, (STRIDE - 1) / 2], [0, STRIDE, (STRIDE - 1) / 2], [0, 0, 1.0]])
        prediction = Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[f.image.shape[:2] for f in features],
            pointmaps=pointmaps,
            confidence=[left_border_unsure(p) for p in pointmaps],
            poses=[torch.eye(4), torch.from_numpy(T_cam0_cam1).float()],
            pose_valid=[True, all(v is not None for v in known)],
            validity=self.validity if all(v is not None for v in known) else 0.0,
            intrinsics=[torch.linalg.inv(S) @ torch.from_numpy(K).float() for _ in maps],
            grid_to_image=[S.clone() for _ in maps],
            colors=[m[2] for m in maps],
            gaussians=Gaussians(
                torch.cat([p.reshape(-1, 3) for p in pointmaps]),
                torch.tensor([1.0, 0, 0, 0]).expand(n, 4),
                torch.full((n, 3), 0.03 * scale),
                torch.full((n,), 0.95),
                torch.cat([torch.from_numpy(m[2].reshape(-1, 1, 3)).float() / 255 - 0.5 for m in maps]) / C0,
                torch.cat([torch.from_numpy(m[1]).reshape(-1, DIM) for m in maps]),
            ),
            features=[torch.from_numpy(m[1]) for m in maps],
            stats={"inliers": 500.0, "matches": 600.0, "overlap": self.overlap, "parallax_deg": 4.0},
        )
        if self.poison in ("", "encoded"):
            return prediction
        return poisoned(prediction, self.poison, self.poison_value)

    def decode_features(self, features: Tensor) -> Tensor:
        return features

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([embedding(text) for text in texts])

    def close(self) -> None:
        self.closed = True

    def _maps(
        self, features: ViewFeatures, view: View | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.uint8]]:
        """Return points in the camera [h, w, 3] metres, one-hot features and colours on the model grid."""
        height, width = features.image.shape[:2]
        y, x = np.mgrid[: height // STRIDE, : width // STRIDE] * STRIDE + STRIDE // 2
        depth = np.full(x.shape, 2.0) if view is None else view.depth[y, x].astype(np.float64)
        label = np.full(x.shape, DIM - 1) if view is None else view.label[y, x]
        centre = STRIDE // 2 - (STRIDE - 1) / 2  # the pixel sampled against the cell's centre
        rays = np.stack([(x - centre - K[0, 2]) / K[0, 0], (y - centre - K[1, 2]) / K[1, 1], np.ones(x.shape)], -1)
        return rays * depth[..., None], np.eye(DIM, dtype=np.float32)[label], features.image[y, x]
