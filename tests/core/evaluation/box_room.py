"""A room that can be seen exactly from anywhere, a backend that knows it, and a recording of it in a folder."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.backends.tiny_gaussians import SurfaceView, surface_gaussians
from lsm_core.data.views import PosedView
from lsm_core.geometry import rigid, so3_exp
from lsm_core.geometry.camera import rays
from lsm_core.types import Gaussians, Prediction, ViewFeatures

SIZE = (48, 64)  # height, width
K = torch.tensor([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]])
ROOM = torch.tensor([3.0, 1.3, 2.5], dtype=torch.float64)  # half of its extent, metres; y points down
UNIT_M = 2.5  # metres in one unit of the model
WALL, FLOOR, CEILING = 1, 2, 3  # of eight classes, 0 is unlabelled
TEXTS = ("wall", "floor", "ceiling", "chair", "table", "sofa", "bed", "other")


def pose(step: int) -> Tensor:
    """Return T_world_cam [4, 4] of a curved walk that looks at the far wall."""
    angle = 0.06 * step
    turn = so3_exp(torch.tensor([0.05 * np.sin(step), angle / 2, 0.02 * step], dtype=torch.float64))
    place = torch.tensor([-0.8 + 0.18 * step, 0.1 * np.sin(0.7 * step), -1.2 + 0.12 * np.sin(step)])
    return rigid(turn, place.double())


def look(T_world_cam: Tensor, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Return z-depth [h, w] in metres, rgb [h, w, 3] uint8 and labels [h, w] int32 seen from a pose."""
    directions = rays(K, *size).double() @ T_world_cam[:3, :3].T
    origin = T_world_cam[:3, 3]
    reach = (torch.sign(directions) * ROOM - origin) / directions  # along each axis, to the plane ahead
    depth, axis = reach.min(-1)
    hit = origin + directions * depth[..., None]
    waves = torch.stack([torch.sin(2.5 * hit[..., k] + 1.5 * hit[..., (k + 1) % 3]) for k in range(3)], -1)
    labels = torch.where(axis == 1, torch.where(hit[..., 1] > 0, FLOOR, CEILING), WALL).int()
    return depth.float(), (127 + 100 * waves).to(torch.uint8), labels


def view(step: int) -> PosedView:
    """Return a frame of the walk with everything that is known of it."""
    depth, rgb, labels = look(pose(step))
    return PosedView(rgb.numpy(), K.numpy(), pose(step).numpy(), depth.numpy(), labels.numpy(), name=f"{step}")


def write_folder(folder: Path, frames: int = 7) -> Path:
    """Write the walk as a plain folder with poses; depth in millimetres."""
    for name in ("images", "depth"):
        (folder / name).mkdir(parents=True)
    for step in range(frames):
        depth, rgb, _ = look(pose(step))
        cv2.imwrite(str(folder / "images" / f"{step:04d}.png"), rgb.numpy()[..., ::-1])
        cv2.imwrite(str(folder / "depth" / f"{step:04d}.png"), (1000 * depth).round().numpy().astype(np.uint16))
    np.savetxt(folder / "poses.txt", np.stack([pose(k).numpy().reshape(-1) for k in range(frames)]))
    np.savetxt(folder / "K.txt", K.numpy())
    return folder


def word(text: str) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    return torch.nn.functional.normalize(torch.randn(96, generator=generator), dim=0)


class RoomTruth(Backend):
    """Knows where each picture of the walk was taken, in a unit of its own.

    Args:
        frames: of the walk.
        turn_deg: second views are turned by this angle about y.
        stretch: depth and points are multiplied by 1 +- this, from left to right.
        unit_m: metres in one unit.
        found: whether it gives poses.
    """

    name = "room-truth"
    has_language = True
    embedding_dim = 96
    text_logit_scale = 20.0
    max_views = 3

    def __init__(
        self,
        frames: int = 7,
        turn_deg: float = 0.0,
        stretch: float = 0.0,
        unit_m: float = UNIT_M,
        found: bool = True,
    ) -> None:
        super().__init__(torch.device("cpu"))
        self._steps = {look(pose(k))[1].numpy().tobytes(): k for k in range(frames)}
        self.turn_deg, self.stretch, self.unit_m, self.found = turn_deg, stretch, unit_m, found
        self.told: list[object] = []

    def encode(self, image: Any, intrinsics: Any = None) -> ViewFeatures:
        return ViewFeatures(self.name, image, intrinsics, torch.eye(3), {})

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([word(text) for text in texts])

    def decode_features(self, features: Tensor) -> Tensor:
        return features.float() @ torch.stack([word(text) for text in TEXTS[:3]])

    def predict(self, views: Any, intrinsics: Any = None, poses: Any = None, generator: Any = None) -> Prediction:
        self.told.append(intrinsics)
        steps = [self._steps[np.ascontiguousarray(v).tobytes()] for v in views]
        T = [torch.linalg.inv(pose(steps[0])) @ pose(step) for step in steps]
        wrong = torch.eye(4, dtype=torch.float64)
        wrong[:3, :3] = so3_exp(torch.tensor([0.0, np.radians(self.turn_deg), 0.0], dtype=torch.float64))
        T = [T[0], *(other @ wrong for other in T[1:])]
        points, parts, features, colors = [], [], [], []
        ramp = 1 + self.stretch * torch.linspace(-1, 1, SIZE[1])
        for step, T_0_cam in zip(steps, T, strict=True):
            depth, rgb, labels = look(pose(step))
            depth = depth * ramp / self.unit_m
            placed = T_0_cam.float()
            placed[:3, 3] /= self.unit_m
            points.append((rays(K, *SIZE) * depth[..., None]) @ placed[:3, :3].T + placed[:3, 3])
            features.append(torch.stack([(labels == k).float() for k in (WALL, FLOOR, CEILING)], -1))
            opacity = torch.full(SIZE, 0.9)
            parts.append(
                surface_gaussians(SurfaceView(points[-1], depth, rgb, opacity, features[-1], 50.0, placed))
            )
            colors.append(rgb.numpy())
        for T_0_cam in T:
            T_0_cam[:3, 3] /= self.unit_m
        count = len(steps)
        return Prediction(
            backend=self.name,
            unit="relative",
            image_sizes=[SIZE] * count,
            pointmaps=points,
            confidence=[torch.ones(SIZE)] * count,
            poses=[T_0_cam.float() for T_0_cam in T],
            pose_valid=[True, *[self.found] * (count - 1)],
            validity=0.9 if self.found else 0.0,
            intrinsics=[K] * count,
            grid_to_image=[torch.eye(3)] * count,
            colors=colors,
            gaussians=Gaussians.concatenate(parts),
            features=features,
        )
