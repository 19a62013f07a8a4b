"""From linear light to what a small camera delivers.

Rolling shutter, exposure, tone, colour cast, vignetting, blur, sharpening, noise, JPEG.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Rng = np.random.Generator
BRIGHT_SHARE, BRIGHT_LIMIT = 0.85, 0.95  # the exposure keeps this share of the pixels below this, linear


@dataclass(frozen=True)
class Sensor:
    """One camera's look; constant over a walk."""

    key: float  # mid-grey the exposure aims at, linear
    white_balance: tuple[float, float, float]
    contrast: float
    saturation: float
    vignette: float
    noise: float  # sigma at mid grey, 0..1
    defocus_px: float
    motion_px: float
    jpeg_quality: int  # 0 = no JPEG
    exposure_jitter: float = 0.06  # sigma of the log exposure between frames
    clip: float = 0.0  # 0 = soft shoulder, 1 = highlights burn out at once
    sharpen: float = 0.0  # strength of the unsharp mask that phones and headsets apply
    rolling_px: float = 0.0  # most by which the first row is shifted against the middle one


def draw_sensor(rng: Rng) -> Sensor:
    """Draw a camera look."""
    warm = float(rng.normal(0.03, 0.08))
    return Sensor(
        key=float(rng.uniform(0.16, 0.55)),
        white_balance=(1.0 + warm, 1.0 + float(rng.normal(0, 0.02)), 1.0 - warm),
        contrast=float(rng.uniform(0.9, 1.6)),
        saturation=float(rng.uniform(0.5, 1.35)),
        vignette=float(rng.uniform(0.0, 0.35)),
        noise=float(rng.uniform(0.002, 0.025)),
        defocus_px=float(rng.choice([0.0, 0.35, 0.6])),
        motion_px=float(rng.choice([0.0, 0.0, 1.0])) * float(rng.uniform(0.5, 6.0)),
        jpeg_quality=int(rng.integers(50, 96)) if rng.random() < 0.7 else 0,
        clip=float(rng.choice([0.0, 0.5, 1.0])) * float(rng.uniform(0.3, 1.0)),
        sharpen=float(rng.choice([0.0, 1.0])) * float(rng.uniform(0.3, 1.1)),
        rolling_px=float(rng.choice([0.0, 0.0, 1.0])) * float(rng.uniform(0.3, 1.8)),
    )


def roll_shutter(images: list[np.ndarray], sensor: Sensor, rng: Rng) -> list[np.ndarray]:
    """Shift rows as a camera that turns while it reads them out does; colour, depth and labels alike.

    Args:
        images: arrays [H, W, ...] of one frame; the first is resampled smoothly, the others to the nearest pixel.
        sensor: its ``rolling_px``.
        rng: the turn of this frame.
    """
    if sensor.rolling_px < 0.1:
        return images
    height, width = images[0].shape[:2]
    sideways, along = rng.uniform(-1, 1, 2) * sensor.rolling_px
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    early = 1.0 - 2.0 * y / (height - 1)  # 1 in the first row, -1 in the last
    at_x, at_y = x + np.float32(sideways) * early, y + np.float32(along) * early
    modes = [cv2.INTER_LINEAR] + [cv2.INTER_NEAREST] * (len(images) - 1)
    return [
        np.asarray(cv2.remap(image, at_x, at_y, mode, borderMode=cv2.BORDER_REPLICATE))
        for image, mode in zip(images, modes, strict=True)
    ]


def _motion_kernel(rng: Rng, length: float) -> np.ndarray:
    angle, size = float(rng.uniform(0, np.pi)), 13
    kernel = np.zeros((size, size), np.float32)
    for s in np.linspace(-length / 2, length / 2, 25):
        x, y = size // 2 + s * np.cos(angle), size // 2 + s * np.sin(angle)
        kernel[round(y), round(x)] += 1
    return kernel / kernel.sum()


def _tone(linear: np.ndarray, exposure: float, clip: float) -> np.ndarray:
    """Map linear light to display values; a soft shoulder, or (``clip`` 1) highlights that burn out."""
    x = linear * exposure
    shoulder = x * (1.0 + x / 16.0) / (1.0 + 0.85 * x)
    hard = np.minimum(0.8 * x, 1.0)
    return np.power(np.clip(shoulder + clip * (hard - shoulder), 0.0, None), 1.0 / 2.2)


def expose(colour: np.ndarray, sensor: Sensor, rng: Rng) -> np.ndarray:
    """Turn linear light [H, W, 3] float32 into an image [H, W, 3] uint8."""
    luma = colour @ np.array([0.25, 0.6, 0.15], np.float32)
    middle = float(np.exp(np.mean(np.log(np.clip(luma, 1e-3, 4.0)))))
    wanted = min(sensor.key / max(middle, 1e-3), BRIGHT_LIMIT / max(float(np.quantile(luma, BRIGHT_SHARE)), 1e-3))
    exposure = wanted * float(np.exp(rng.normal(0.0, sensor.exposure_jitter)))
    image = _tone(colour * np.array(sensor.white_balance, np.float32), exposure, sensor.clip)
    image = (image - 0.5) * sensor.contrast + 0.5
    grey = image.mean(-1, keepdims=True)
    image = grey + (image - grey) * sensor.saturation
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    r2 = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2.0
    image = image * (1.0 - sensor.vignette * r2)[..., None]
    if sensor.motion_px > 0.3:
        image = cv2.filter2D(
            image, -1, _motion_kernel(rng, min(11.0, sensor.motion_px * float(rng.uniform(0.2, 1.2))))
        )
    if sensor.defocus_px > 0.1:
        image = cv2.GaussianBlur(image, (0, 0), sensor.defocus_px)
    if sensor.sharpen > 0.05:
        image = image + sensor.sharpen * (image - cv2.GaussianBlur(image, (0, 0), 1.2))
    image = image + rng.normal(0.0, sensor.noise, image.shape)
    out = (np.clip(image, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    if sensor.jpeg_quality:
        _, packed = cv2.imencode(".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg_quality])
        decoded = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
        out = np.ascontiguousarray(decoded[..., ::-1])
    return out
