"""Procedural surface textures: noise, plaster, wood, tiles, carpet, fabric, stripes, paintings, outdoors.

Every function takes a seeded generator and returns uint8 RGBA [256, 256, 4]; most tile seamlessly.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np

SIZE = 256
Rng = np.random.Generator


def fractal_noise(rng: Rng, base: int = 4, octaves: int = 5, gain: float = 0.5, stretch: int = 1) -> np.ndarray:
    """Return tileable noise [256, 256] float32, mean 0, about unit range."""
    total = np.zeros((SIZE, SIZE), np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        rows = min(SIZE, base * 2**octave)
        cols = max(2, min(SIZE, rows // stretch))
        grid = rng.standard_normal((rows, cols)).astype(np.float32)
        wrapped = np.pad(grid, ((1, 1), (1, 1)), mode="wrap")
        pad_r, pad_c = SIZE // rows, SIZE // cols
        big = cv2.resize(wrapped, (SIZE + 2 * pad_c, SIZE + 2 * pad_r), interpolation=cv2.INTER_LINEAR)
        total += amplitude * big[pad_r : pad_r + SIZE, pad_c : pad_c + SIZE]
        amplitude *= gain
    return total / max(1e-6, float(total.std())) * 0.5


def to_rgba(rgb: np.ndarray) -> np.ndarray:
    """Clip float RGB [H, W, 3] in 0..1 and add an opaque alpha."""
    out = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    out[..., :3] = (np.clip(rgb, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return out


def _modulate(colour: np.ndarray, noise: np.ndarray, strength: float) -> np.ndarray:
    return colour[None, None, :] * (1.0 + strength * noise[..., None])


def plain(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Nearly uniform paint with very faint unevenness: the low-texture wall."""
    return to_rgba(_modulate(colour, fractal_noise(rng, 2, 3), float(rng.uniform(0.002, 0.02))))


def plaster(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Rough paint or plaster with fine grain and stains."""
    fine = fractal_noise(rng, int(rng.choice([16, 32, 64])), 3, 0.9)
    coarse = fractal_noise(rng, 2, 4)
    return to_rgba(
        _modulate(colour, fine, float(rng.uniform(0.015, 0.08)))
        * (1.0 + float(rng.uniform(0.0, 0.06)) * coarse[..., None])
    )


def wood(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Wood grain along the first texture axis."""
    grain = fractal_noise(rng, 16, 5, 0.75, stretch=12).T
    bands = np.sin(fractal_noise(rng, 4, 3, 0.5, stretch=4).T * float(rng.uniform(3, 9)))
    return to_rgba(_modulate(colour, grain * 0.8 + bands * 0.2, float(rng.uniform(0.05, 0.24))))


def planks(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Floor boards: rows of planks of varying tone with dark joints."""
    rows = int(rng.choice([4, 8, 16]))
    height = SIZE // rows
    image = wood(rng, colour)[..., :3].astype(np.float32) / 255.0
    tone = float(rng.uniform(0.03, 0.14))
    gap = float(rng.uniform(0.25, 0.9))
    for row in range(rows):
        y = slice(row * height, (row + 1) * height)
        image[y] = np.roll(image[y], int(rng.integers(SIZE)), axis=1)
        cuts = np.sort(rng.integers(0, SIZE, int(rng.integers(1, 4))))
        edges = [*cuts.tolist(), int(cuts[0]) + SIZE]
        for left, right in itertools.pairwise(edges):
            columns = np.arange(left, right) % SIZE
            image[y.start : y.stop, columns] *= 1.0 + tone * float(rng.standard_normal())
            image[y.start : y.stop, columns[:1]] *= 1.0 - gap * 0.7
        image[y.start] *= 1.0 - gap
    return to_rgba(image)


def tiles(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Square or running-bond tiles with grout lines; also bricks for some proportions."""
    rows = int(rng.choice([2, 4, 4, 8]))
    cols = int(rng.choice([rows, rows, max(1, rows // 2)]))
    height, width = SIZE // rows, SIZE // cols
    base = plaster(rng, colour)[..., :3].astype(np.float32) / 255.0
    vary = float(rng.uniform(0.0, 0.1))
    shift = width // 2 if rng.random() < 0.3 else 0
    grout = np.clip(colour * float(rng.uniform(0.5, 1.25)), 0, 1)
    line = int(rng.integers(1, 5))
    for row in range(rows):
        y0 = row * height
        for col in range(cols):
            xs = (np.arange(col * width, (col + 1) * width) + shift * (row % 2)) % SIZE
            base[y0 : y0 + height, xs] *= 1.0 + vary * float(rng.standard_normal())
            base[y0 : y0 + height, xs[:line]] = grout
        base[y0 : y0 + line] = grout
    return to_rgba(base)


def carpet(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Short-pile carpet: strong fine grain, weak stains."""
    fine = fractal_noise(rng, 64, 3, 1.0)
    return to_rgba(_modulate(colour, fine + 0.12 * fractal_noise(rng, 2, 3), float(rng.uniform(0.05, 0.18))))


def fabric(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Woven cloth, plain or checked."""
    step = int(rng.choice([4, 8]))
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    weave = (((x // (step // 2)) + (y // (step // 2))) % 2) * 2.0 - 1.0
    image = _modulate(colour, weave * 0.5 + fractal_noise(rng, 32, 3, 0.9), float(rng.uniform(0.02, 0.09)))
    if rng.random() < 0.3:
        period = int(rng.choice([16, 32, 64]))
        other = np.clip(colour + rng.uniform(-0.35, 0.35, 3), 0.03, 0.95)
        mask = ((x // period) % 2 == 0) if rng.random() < 0.5 else (((x // period) + (y // period)) % 2 == 0)
        image = np.where(mask[..., None], image, image / np.maximum(colour, 0.03) * other)
    return to_rgba(image)


def wallpaper(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Stripes or a repeated motif, low contrast."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    period = float(rng.choice([16, 32, 64]))
    k = 2 * np.pi / period
    kind = int(rng.integers(3))
    if kind == 0:
        motif = np.sign(np.sin(k * x))
    elif kind == 1:
        motif = np.sin(k * x) * np.sin(k * y)
    else:
        motif = np.sign(np.sin(k * (x + y)) + np.sin(k * (x - y)) - float(rng.uniform(0.2, 1.2)))
    noise = fractal_noise(rng, 16, 4)
    return to_rgba(_modulate(colour, motif.astype(np.float32) + 0.2 * noise, float(rng.uniform(0.02, 0.15))))


def concrete(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """Concrete, linoleum or stone: blotches and specks."""
    blotch = fractal_noise(rng, 3, 6, 0.65)
    specks = (rng.random((SIZE, SIZE)) < 0.02) * rng.standard_normal((SIZE, SIZE))
    return to_rgba(_modulate(colour, blotch + specks.astype(np.float32), float(rng.uniform(0.04, 0.14))))


def rug_pattern(rng: Rng, colour: np.ndarray) -> np.ndarray:
    """A rug: border bands around a field with a motif, over carpet grain."""
    image = carpet(rng, colour)[..., :3].astype(np.float32) / 255.0
    palette = np.clip(colour + rng.uniform(-0.3, 0.3, (4, 1)) + rng.uniform(-0.12, 0.12, (4, 3)), 0.05, 0.85)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    edge = np.minimum(np.minimum(x, SIZE - 1 - x), np.minimum(y, SIZE - 1 - y))
    if rng.random() < 0.7:
        width = int(rng.integers(6, 30))
        image[edge < width] *= palette[0] / np.maximum(colour, 0.05)
        image[(edge > width * 1.4) & (edge < width * 1.8)] *= palette[1] / np.maximum(colour, 0.05)
    if rng.random() < 0.7:
        period = int(rng.choice([24, 40, 64]))
        u, v = np.abs(x % period - period // 2), np.abs(y % period - period // 2)
        field = (u + v < period * 0.3) if rng.random() < 0.5 else (np.maximum(u, v) < period * 0.25)
        image[field & (edge > 34)] *= palette[2] / np.maximum(colour, 0.05)
    return to_rgba(image)


def _collage(rng: Rng, start: np.ndarray) -> np.ndarray:
    """Draw patches, circles, lines and rows of letters over a float canvas [256, 256, 3]."""
    canvas = (np.clip(start, 0, 1) * 255).astype(np.uint8)
    for _ in range(int(rng.integers(8, 30))):
        colour = tuple(float(v) for v in 255 * rng.uniform(0.05, 0.95) * rng.uniform(0.5, 1.0, 3))
        x, y = (int(v) for v in rng.integers(0, SIZE, 2))
        w, h = (int(v) for v in rng.integers(8, 110, 2))
        kind = int(rng.integers(4))
        if kind == 0:
            cv2.rectangle(canvas, (x, y), (x + w, y + h), colour, -1)
        elif kind == 1:
            cv2.circle(canvas, (x, y), w // 2, colour, -1)
        elif kind == 2:
            cv2.line(canvas, (x, y), (x + w, y + h - 50), colour, int(rng.integers(1, 8)))
        else:
            word = "".join(chr(int(c)) for c in rng.integers(65, 91, int(rng.integers(3, 9))))
            cv2.putText(
                canvas,
                word,
                (x - 40, y),
                cv2.FONT_HERSHEY_SIMPLEX,
                float(rng.uniform(0.5, 2.0)),
                colour,
                int(rng.integers(1, 5)),
            )
    return canvas.astype(np.float32) / 255.0


def painting(rng: Rng) -> np.ndarray:
    """A picture to hang: landscape, blobs, lines of text, stripes, or a collage like a poster."""
    canvas = np.ones((SIZE, SIZE, 3), np.float32) * np.float32(rng.uniform(0.2, 0.95))
    canvas *= rng.uniform(0.7, 1.0, 3).astype(np.float32)
    kind = int(rng.integers(6))
    if kind == 0:
        horizon = int(rng.integers(80, 180))
        ramp = np.linspace(1, 0.5, SIZE, dtype=np.float32)[:, None, None]
        canvas = ramp * np.array([0.6, 0.75, 0.95], np.float32) * np.ones((1, SIZE, 1), np.float32)
        ridge = (horizon + 25 * fractal_noise(rng, 4, 4)[0]).astype(int)
        canvas[np.arange(SIZE)[:, None] > ridge[None, :]] = rng.uniform(0.1, 0.6, 3)
    elif kind == 1:
        for _ in range(int(rng.integers(5, 25))):
            centre = tuple(int(v) for v in rng.integers(0, SIZE, 2))
            axes = tuple(int(v) for v in rng.integers(8, 80, 2))
            colour = tuple(float(v) for v in rng.uniform(0.05, 0.9) * rng.uniform(0.6, 1.0, 3))
            cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    elif kind == 2:
        canvas[:] = rng.uniform(0.8, 0.97)
        for row in range(20, 240, int(rng.integers(8, 24))):
            length = int(rng.integers(40, 220))
            cv2.line(canvas, (18, row), (18 + length, row), (0.2, 0.2, 0.25), int(rng.integers(1, 6)))
    elif kind >= 4:
        canvas = _collage(rng, canvas)
    else:
        x = 0
        while x < SIZE:
            width = int(rng.integers(8, 60))
            canvas[:, x : x + width] = rng.uniform(0.1, 0.95) * rng.uniform(0.55, 1.0, 3)
            x += width
    return to_rgba(canvas * (1.0 + 0.06 * fractal_noise(rng, 16, 4)[..., None]))


def outdoors(rng: Rng) -> np.ndarray:
    """What is seen through a window: sky, skyline or trees, ground; blurred, to be shown bright."""
    canvas = np.ones((SIZE, SIZE, 3), np.float32)
    sky = np.array([0.75, 0.85, 1.0], np.float32) * float(rng.uniform(0.75, 1.0))
    canvas *= sky + (1 - sky) * np.linspace(0, 1, SIZE, dtype=np.float32)[:, None, None] * 0.6
    horizon = int(rng.integers(90, 190))
    if rng.random() < 0.5:
        x = 0
        while x < SIZE:
            width, top = int(rng.integers(12, 60)), horizon - int(rng.integers(0, 90))
            canvas[max(0, top) :, x : x + width] = rng.uniform(0.3, 0.75) * rng.uniform(0.85, 1.0, 3)
            x += width
    else:
        ridge = (horizon + 30 * fractal_noise(rng, 8, 4)[0]).astype(int)
        green = np.array([0.25, 0.4, 0.15]) * rng.uniform(0.6, 1.3, 3)
        canvas[np.arange(SIZE)[:, None] > ridge[None, :]] = green
    canvas[min(SIZE - 1, horizon + 40) :] = rng.uniform(0.3, 0.6) * rng.uniform(0.8, 1.0, 3)
    canvas *= 1.0 + 0.15 * fractal_noise(rng, 8, 4)[..., None]
    return to_rgba(cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(1.0, 4.0))))


_NEUTRALS = np.array(
    [
        [0.86, 0.84, 0.8],
        [0.78, 0.78, 0.78],
        [0.82, 0.79, 0.7],
        [0.7, 0.72, 0.74],
        [0.88, 0.87, 0.86],
        [0.75, 0.7, 0.62],
        [0.6, 0.6, 0.58],
    ]
)
_WOODS = np.array(
    [
        [0.55, 0.38, 0.22],
        [0.68, 0.52, 0.34],
        [0.4, 0.26, 0.16],
        [0.75, 0.63, 0.47],
        [0.5, 0.44, 0.38],
        [0.3, 0.2, 0.14],
        [0.62, 0.43, 0.25],
    ]
)
_MUTED = np.array(
    [
        [0.55, 0.6, 0.55],
        [0.5, 0.55, 0.65],
        [0.65, 0.5, 0.45],
        [0.7, 0.62, 0.45],
        [0.4, 0.42, 0.45],
        [0.6, 0.55, 0.6],
        [0.45, 0.35, 0.32],
        [0.35, 0.42, 0.38],
    ]
)


def _pick(rng: Rng, table: np.ndarray, spread: float) -> np.ndarray:
    colour = table[int(rng.integers(len(table)))] * float(rng.uniform(0.85, 1.1))
    return np.clip(colour + rng.normal(0, spread, 3), 0.05, 0.94)


def wall_colour(rng: Rng) -> np.ndarray:
    """Return a wall paint: mostly near white or grey, sometimes a muted colour."""
    return _pick(rng, _NEUTRALS, 0.02) if rng.random() < 0.75 else _pick(rng, _MUTED, 0.05)


def wood_colour(rng: Rng) -> np.ndarray:
    """Return a wood tone."""
    return _pick(rng, _WOODS, 0.02)


def muted_colour(rng: Rng) -> np.ndarray:
    """Return a cloth, carpet or plastic tone."""
    pick = rng.random()
    if pick < 0.6:
        return _pick(rng, _MUTED, 0.045)
    return _pick(rng, _NEUTRALS, 0.05) if pick < 0.9 else rng.uniform(0.1, 0.75, 3) * 0.7 + 0.1


def carpet_colour(rng: Rng) -> np.ndarray:
    """Return the tone of a fitted carpet: grey, muted, or a strong blue, red or green as in offices."""
    if rng.random() < 0.3:
        strong = np.array([[0.1, 0.22, 0.55], [0.45, 0.1, 0.12], [0.12, 0.3, 0.22], [0.08, 0.1, 0.14]])
        return _pick(rng, strong, 0.03)
    return muted_colour(rng) * float(rng.uniform(0.5, 1.0))
