"""The study of views between the given ones: a perfect model gets full marks, a shifted one does not."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.backends.tiny_gaussians import SurfaceView, surface_gaussians
from lsm_core.data.classes import CLASSES
from lsm_core.data.shards import FrameShard, save_shard
from lsm_core.errors import FileFormatError
from lsm_core.evaluation.novel_views import load_triples, study_views
from lsm_core.geometry.camera import rays
from lsm_core.types import Gaussians, Prediction, ViewFeatures

WIDTH, HEIGHT = 64, 48
K = torch.tensor([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]])
FLOOR, WALL = CLASSES.index("floor"), CLASSES.index("wall")
UNIT_M = 2.5  # metres in one unit of the model


def pose(step: int) -> Tensor:
    """Return T_world_cam of frame 0 to 4 of a walk to the right; the world's z is up."""
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    T[:3, 3] = torch.tensor([0.15 * step, 0.0, 1.2])
    return T


def look(step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return z-depth [h, w] in metres, rgb [h, w, 3] uint8 and labels of a floor 1.2 below and a wall 3 ahead."""
    directions = rays(K, HEIGHT, WIDTH)
    floor = 1.2 / directions[..., 1].clamp(min=1e-6) < 3.0
    depth = torch.where(floor, 1.2 / directions[..., 1].clamp(min=1e-6), 3.0)
    x = directions[..., 0] * depth + 0.15 * step
    stripes = (127 + 100 * torch.sin(4 * x)).to(torch.uint8)
    rgb = torch.stack([stripes, torch.full_like(stripes, 90), torch.where(floor, 40, 200).to(torch.uint8)], -1)
    return depth, rgb, torch.where(floor, FLOOR, WALL)


def word(text: str) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    return torch.nn.functional.normalize(torch.randn(96, generator=generator), dim=0)


class Perfect(Backend):
    """Knows the room, in a unit of its own; `shift` puts what it draws beside the truth, in metres."""

    name = "perfect"
    has_language = True
    embedding_dim = 96
    text_logit_scale = 20.0

    def __init__(self, shift: float = 0.0, found: bool = True) -> None:
        super().__init__(torch.device("cpu"))
        self.shift, self.found = shift, found

    def encode(self, image: Any, intrinsics: Any = None) -> ViewFeatures:
        raise NotImplementedError

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([word(text) for text in texts])

    def decode_features(self, features: Tensor) -> Tensor:
        return features.float() @ torch.stack([word("floor"), word("wall")])

    def predict(self, views: Any, intrinsics: Any = None, poses: Any = None, generator: Any = None) -> Prediction:
        steps = [0, 4]
        T = [torch.linalg.inv(pose(0)) @ pose(step) for step in steps]
        points, parts, features = [], [], []
        for step, T_0_cam in zip(steps, T, strict=True):
            depth, rgb, labels = look(step)
            centre = T_0_cam[:3, 3].float() / UNIT_M
            points.append(rays(K, HEIGHT, WIDTH) * depth[..., None] / UNIT_M + centre)
            features.append(torch.stack([(labels == FLOOR).float(), (labels == WALL).float()], -1))
            moved = points[-1] + torch.tensor([self.shift / UNIT_M, 0, 0])
            opacity = torch.full((HEIGHT, WIDTH), 0.9)
            at = torch.eye(4)
            at[:3, 3] = centre
            parts.append(
                surface_gaussians(SurfaceView(moved, depth / UNIT_M, rgb, opacity, features[-1], 50.0, at))
            )
        for T_0_cam in T:
            T_0_cam[:3, 3] /= UNIT_M
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[(HEIGHT, WIDTH)] * 2,
            pointmaps=points,
            confidence=[torch.ones(HEIGHT, WIDTH)] * 2,
            poses=[T_0_cam.float() for T_0_cam in T],
            pose_valid=[True, self.found],
            validity=1.0,
            intrinsics=[K, K],
            grid_to_image=[torch.eye(3)] * 2,
            colors=[look(step)[1].numpy() for step in steps],
            gaussians=Gaussians.concatenate(parts),
            features=features,
        )


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    looks = [look(step) for step in range(5)]
    shard = FrameShard(
        rgb=np.stack([rgb.numpy() for _, rgb, _ in looks]),
        depth=np.stack([depth.numpy() for depth, _, _ in looks]),
        label=np.stack([label.numpy() for _, _, label in looks]),
        K=np.stack([K.numpy()] * 5),
        T_world_cam=np.stack([pose(step).numpy() for step in range(5)]),
        room=np.zeros(5),
        pairs=np.array([[0, 1], [0, 4], [3, 4]]),
        overlap=np.array([0.9, 0.6, 0.9]),
    )
    save_shard(shard, folder / "shard_00000.npz")
    return folder


def test_only_pairs_with_a_frame_between_are_taken(shards: Path) -> None:
    (triple,) = load_triples(shards)
    np.testing.assert_array_equal(triple.images[2], look(2)[1].numpy())


def test_a_model_that_knows_the_room_draws_the_view_between(shards: Path) -> None:
    figures = study_views(Perfect(), shards).figures
    assert figures["covered"] > 0.97 and figures["psnr"] > 24
    assert figures["novel_pixel_accuracy"] > 0.97 and figures["novel_mean_iou_frequent"] > 0.85


def test_what_is_drawn_beside_its_place_loses(shards: Path) -> None:
    good, bad = (study_views(Perfect(shift), shards).figures for shift in (0.0, 0.4))
    assert bad["psnr"] < good["psnr"] - 8


def test_a_pair_without_a_pose_is_counted_and_left_out(shards: Path) -> None:
    report = study_views(Perfect(found=False), shards)
    assert "no view between: 1 pairs" in report.tables[0].note and np.isnan(report.figures["psnr"])


def test_a_folder_without_shards_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"training_data\.md"):
        load_triples(tmp_path)
