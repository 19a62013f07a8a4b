"""Augmentation of one rendered view: camera roll and zoom, mirror, and the look of a real camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.training.config import AugmentConfig

_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class View:
    """One frame as the losses need it."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    depth: NDArray[np.float32]  # [H, W] metres along z, 0 = none
    label: NDArray[np.uint8]  # [H, W]
    K: NDArray[np.float64]  # [3, 3] px
    T_world_cam: NDArray[np.float64]  # [4, 4]


def fit(view: View, height: int, width: int, place: tuple[float, float] = (0.5, 0.5)) -> View:
    """Scale a view until it covers a grid, then crop: colours by area, depth and labels by nearest pixel.

    Args:
        view: the frame.
        height, width: the grid.
        place: where the crop lies in what is left over, 0 to 1 along x and y.
    """
    h, w = view.depth.shape
    scale = max(height / h, width / w)
    size = (max(width, round(w * scale)), max(height, round(h * scale)))
    left, top = round(place[0] * (size[0] - width)), round(place[1] * (size[1] - height))
    sx, sy = size[0] / w, size[1] / h
    S = np.array([[sx, 0, 0.5 * sx - 0.5 - left], [0, sy, 0.5 * sy - 0.5 - top], [0, 0, 1]])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR

    def cut(image: NDArray, interpolation: int) -> NDArray:
        if size != (w, h):
            image = cv2.resize(image, size, interpolation=interpolation)
        return image[top : top + height, left : left + width]

    return replace(
        view,
        rgb=cut(view.rgb, smooth),
        depth=cut(view.depth, cv2.INTER_NEAREST),
        label=cut(view.label, cv2.INTER_NEAREST),
        K=S @ view.K,
    )


def mirror(view: View) -> View:
    """Flip left and right: a mirrored world seen by a proper camera."""
    M = np.diag([-1.0, 1.0, 1.0, 1.0])
    K = view.K.copy()
    K[0, 2] = view.depth.shape[1] - 1 - K[0, 2]
    return View(
        rgb=np.ascontiguousarray(view.rgb[:, ::-1]),
        depth=np.ascontiguousarray(view.depth[:, ::-1]),
        label=np.ascontiguousarray(view.label[:, ::-1]),
        K=K,
        T_world_cam=M @ view.T_world_cam @ M,
    )


def roll_and_zoom(view: View, rng: np.random.Generator, config: AugmentConfig) -> View:
    """Turn the camera about its axis and change its focal length; depth along z stays what it was."""
    height, width = view.depth.shape
    angle = np.deg2rad(rng.uniform(-config.max_roll_deg, config.max_roll_deg))
    low, high = config.zoom
    zoom = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    R = np.eye(3)
    R[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    K_new = view.K.copy()
    K_new[0, 0] *= zoom
    K_new[1, 1] *= zoom
    H = (K_new @ R @ np.linalg.inv(view.K))[:2]
    T_cam_new = np.eye(4)
    T_cam_new[:3, :3] = R.T

    def warp(image: NDArray, interpolation: int, border: int) -> NDArray:
        return cv2.warpAffine(image, H, (width, height), flags=interpolation, borderMode=border)

    return View(
        rgb=warp(view.rgb, cv2.INTER_LINEAR, cv2.BORDER_REFLECT),
        depth=warp(view.depth, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT),
        label=warp(view.label, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT),
        K=K_new,
        T_world_cam=view.T_world_cam @ T_cam_new,
    )


@dataclass(frozen=True)
class Look:
    """Photometric parameters that both views of a pair share, up to a small difference."""

    gain: NDArray[np.float32]  # [3]
    gamma: float
    contrast: float
    saturation: float
    grey: bool
    vignette: float


def draw_look(rng: np.random.Generator, config: AugmentConfig) -> Look:
    """Draw one camera's look."""
    if rng.random() > config.colour:
        return Look(np.ones(3, np.float32), 1.0, 1.0, 1.0, False, 0.0)
    exposure = np.exp(rng.normal(0, 0.22))
    return Look(
        gain=(exposure * np.exp(rng.normal(0, 0.09, 3))).astype(np.float32),
        gamma=float(np.exp(rng.normal(0, 0.2))),
        contrast=float(np.exp(rng.normal(0, 0.18))),
        saturation=float(rng.uniform(0.2, 1.2)),
        grey=bool(rng.random() < config.grey),
        vignette=float(max(0.0, rng.normal(0.1, 0.15))),
    )


def vary(look: Look, rng: np.random.Generator) -> Look:
    """Change a look slightly: the second frame of the same camera."""
    return replace(
        look,
        gain=(look.gain * np.exp(rng.normal(0, 0.06))).astype(np.float32),
        gamma=look.gamma * float(np.exp(rng.normal(0, 0.04))),
    )


def photometric(
    rgb: NDArray[np.uint8], look: Look, rng: np.random.Generator, config: AugmentConfig
) -> NDArray[np.uint8]:
    """Apply a look, then blur, sensor noise and JPEG, each at random."""
    x = rgb.astype(np.float32) / 255.0
    grey = (x @ _GREY)[..., None]
    x = grey + (0.0 if look.grey else look.saturation) * (x - grey)
    x = np.clip(x * look.gain, 0, 1) ** np.float32(look.gamma)
    mean = x.mean()
    x = mean + look.contrast * (x - mean)
    if look.vignette > 0.02:
        x = x * _vignette(x.shape[0], x.shape[1], look.vignette)
    if rng.random() < config.blur:
        x = _blur(x, rng)
    if rng.random() < config.noise:
        x = x + rng.normal(0, rng.uniform(0.002, 0.04), x.shape).astype(np.float32)
    out = (np.clip(x, 0, 1) * 255.0 + 0.5).astype(np.uint8)
    if rng.random() < config.jpeg:
        quality = int(rng.integers(30, 90))
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])
        out = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return out


def _vignette(height: int, width: int, strength: float) -> NDArray[np.float32]:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return np.asarray(1 - strength * 0.5 * (x * x + y * y), dtype=np.float32)[..., None]


def _blur(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Defocus, or motion along a random line."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.4)), dtype=np.float32)
    length = int(rng.integers(2, 6))
    angle = rng.uniform(0, np.pi)
    kernel = np.zeros((7, 7), np.float32)
    end = (round(3 + length / 2 * np.cos(angle)), round(3 + length / 2 * np.sin(angle)))
    start = (round(3 - length / 2 * np.cos(angle)), round(3 - length / 2 * np.sin(angle)))
    cv2.line(kernel, start, end, 1.0, 1)
    return np.asarray(cv2.filter2D(x, -1, kernel / kernel.sum()), dtype=np.float32)
