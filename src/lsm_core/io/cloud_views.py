"""Pictures of point clouds and paths, drawn without a GPU: z-buffered points with eye-dome shading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.io.colormaps import RgbImage

BACKGROUND = (250, 250, 252)
PATH_COLOUR, REFERENCE_COLOUR = (220, 50, 60), (90, 98, 110)
MAX_ZOOM_OUT = 1.6  # how much smaller a cloud may be drawn to have its path in the picture
View = Literal["oblique", "top", "side"]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Viewpoint:
    """An orthographic or perspective view.

    Attributes:
        T_view_scene: [4, 4] rigid, view axes x right, y down, z away.
        distance: of the scene's middle along z for perspective; 0 = orthographic.
        pixels_per_unit: at that distance.
        size: (width, height).
    """

    T_view_scene: FloatArray
    distance: float
    pixels_per_unit: float
    size: tuple[int, int]

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return pixels [N, 2] and depth [N] (> 0 in front) of scene points [N, 3]."""
        p = points @ self.T_view_scene[:3, :3].T + self.T_view_scene[:3, 3]
        depth = p[:, 2] + max(self.distance, 0.0)
        factor = self.pixels_per_unit * (self.distance / np.maximum(depth, 1e-6) if self.distance > 0 else 1.0)
        uv = p[:, :2] * np.reshape(factor, (-1, 1)) + np.array(self.size) / 2
        return uv, depth if self.distance > 0 else depth - depth.min(initial=0.0) + 1.0


def choose_viewpoint(
    points: FloatArray, view: View, size: tuple[int, int], up: FloatArray, path: FloatArray | None = None
) -> Viewpoint:
    """Return a view that shows nearly all of a cloud, and the path unless that would make the cloud tiny.

    Args:
        points: [N, 3] scene units.
        view: "top" looks down, "side" across the longest horizontal extent, "oblique" from above, in perspective.
        size: (width, height) pixels.
        up: [3] unit vector.
        path: [M, 3] scene units, or None.
    """
    low, high = np.percentile(points, (1.5, 98.5), axis=0)
    centre = (low + high) / 2
    core = points[((points >= low) & (points <= high)).all(1)] if len(points) > 10 else points
    side, ahead = _horizontal_axes(core - centre, up)
    if view == "top":
        rows = np.stack([side, -ahead, -up])
    elif view == "side":
        rows = np.stack([side, -up, ahead])
    else:
        tilt, turn = np.deg2rad(32.0), np.deg2rad(28.0)
        forward = np.cos(tilt) * (np.cos(turn) * ahead + np.sin(turn) * side) - np.sin(tilt) * up
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        rows = np.stack([right, np.cross(forward, right), forward])
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rows, -rows @ centre
    distance = 2.2 * float(np.linalg.norm(high - low)) if view == "oblique" else 0.0

    def offsets(positions: FloatArray) -> FloatArray:
        p = (positions - centre) @ rows.T
        factor = distance / np.maximum(p[:, 2] + distance, 0.2 * distance) if distance > 0 else np.ones(len(p))
        return np.abs(p[:, :2]) * np.reshape(factor, (-1, 1))

    reach = np.percentile(offsets(core), 99.5, axis=0)
    if path is not None and len(path) > 0:
        reach = np.maximum(reach, np.minimum(offsets(path).max(0), MAX_ZOOM_OUT * reach))
    scale = 0.46 * min(size[0] / max(reach[0], 1e-6), size[1] / max(reach[1], 1e-6))
    return Viewpoint(T, distance, float(scale), size)


def _horizontal_axes(offsets: FloatArray, up: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return unit axes across (the longest extent) and ahead, both level; right-handed as (across, -up, ahead)."""
    level = offsets - np.outer(offsets @ up, up)
    _, axes = np.linalg.eigh(level.T @ level)
    across = axes[:, -1] - (axes[:, -1] @ up) * up
    across /= np.linalg.norm(across)
    if across[np.argmax(np.abs(across))] < 0:
        across = -across
    ahead = np.cross(across, -up)
    return across, ahead


def draw_cloud(
    points: NDArray[np.floating],
    rgb: NDArray[np.uint8],
    view: View = "oblique",
    size: tuple[int, int] = (640, 480),
    path: NDArray[np.floating] | None = None,
    up: tuple[float, float, float] = (0.0, -1.0, 0.0),
) -> RgbImage:
    """Draw a cloud, and a camera path over it.

    Args:
        points: [N, 3] scene units.
        rgb: [N, 3] uint8.
        view: see `choose_viewpoint`.
        size: (width, height) pixels.
        path: [M, 3] camera centres in the same frame, or None; those that are not finite are left out.
        up: in the same frame; the default fits a camera frame (y down) held level.

    Returns:
        [height, width, 3] uint8 RGB; an empty cloud gives an empty picture.
    """
    finite = np.isfinite(points).all(1)
    kept, colours = np.asarray(points[finite], np.float64), rgb[finite]
    if len(kept) == 0:
        return np.full((size[1], size[0], 3), BACKGROUND, np.uint8)
    fine = (2 * size[0], 2 * size[1])
    track = None if path is None else finite_places(path)
    viewpoint = choose_viewpoint(kept, view, fine, np.array(up) / np.linalg.norm(up), track)
    uv, depth = viewpoint.project(kept)
    radius = int(np.clip(np.ceil(0.65 * np.sqrt(fine[0] * fine[1] / len(kept))), 1, 5))  # closes most gaps
    image, z = _splat(uv, depth, colours, fine, radius)
    image = _eye_dome(image, z)
    if track is not None and len(track) > 0:
        draw_polyline(image, viewpoint.project(track)[0], PATH_COLOUR, 5)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def finite_places(path: NDArray[np.floating]) -> FloatArray:
    """Return the places [M, 3] of a path [N, 3] that are finite."""
    places = np.asarray(path, np.float64).reshape(-1, 3)
    return places[np.isfinite(places).all(1)]


def _splat(
    uv: FloatArray, depth: FloatArray, rgb: NDArray[np.uint8], size: tuple[int, int], radius: int
) -> tuple[RgbImage, FloatArray]:
    """Draw points as squares, nearest on top; returns colours and depth (inf where empty)."""
    reach = np.arange(-radius, radius + 1)
    dx, dy = (grid.ravel() for grid in np.meshgrid(reach, reach))
    disc = dx * dx + dy * dy <= radius * radius + 1
    order = np.argsort(-depth, kind="stable")  # far first: of one pixel the last write is the nearest
    corner = np.rint(np.clip(uv[order], -(10**6), 10**6)).astype(np.int64)
    x, y = corner[:, :1] + dx[disc], corner[:, 1:] + dy[disc]  # [N, offsets]
    inside = (x >= 0) & (x < size[0]) & (y >= 0) & (y < size[1]) & (depth[order, None] > 0)
    owner = np.full(size[0] * size[1], -1, np.int64)
    owner[(y * size[0] + x)[inside]] = np.broadcast_to(order[:, None], inside.shape)[inside]
    image = np.full((size[0] * size[1], 3), BACKGROUND, np.uint8)
    z = np.full(size[0] * size[1], np.inf)
    hit = owner >= 0
    image[hit], z[hit] = rgb[owner[hit]], depth[owner[hit]]
    return image.reshape(size[1], size[0], 3), z.reshape(size[1], size[0])


def _eye_dome(image: RgbImage, z: FloatArray, strength: float = 9.0) -> RgbImage:
    """Darken pixels that lie behind their neighbours (Boucheny 2009), so that edges and depth show."""
    hit = np.isfinite(z)
    if not hit.any():
        return image
    logs = np.log(np.where(hit, z, z[hit].max() * 1.1))
    span = max(float(np.percentile(logs[hit], 99) - np.percentile(logs[hit], 1)), 1e-6)
    shade = np.zeros_like(logs)
    for dy, dx in ((0, 3), (0, -3), (3, 0), (-3, 0), (2, 2), (-2, -2), (2, -2), (-2, 2)):
        neighbour = np.roll(logs, (dy, dx), (0, 1))
        shade += np.clip((logs - neighbour) / span, 0, 0.12) * np.roll(hit, (dy, dx), (0, 1))
    factor = np.where(hit, np.exp(-strength * shade / 8 * 2), 1.0)
    return (image * factor[..., None]).astype(np.uint8)


def draw_polyline(image: RgbImage, uv: FloatArray, colour: tuple[int, int, int], thickness: int) -> None:
    """Draw a path into an image in place, with a dot at its start and a larger one at its end."""
    uv = np.clip(uv, -(10**6), 10**6)
    points = np.rint(uv * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(image, [points], False, (255, 255, 255), thickness + 4, cv2.LINE_AA, 4)
    cv2.polylines(image, [points], False, colour, thickness, cv2.LINE_AA, 4)
    for end, radius in ((uv[0], thickness), (uv[-1], thickness + 3)):
        centre = (round(float(end[0])), round(float(end[1])))
        cv2.circle(image, centre, radius + 2, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA)


def draw_paths(
    paths: Sequence[NDArray[np.floating]],
    reference: NDArray[np.floating] | None = None,
    size: tuple[int, int] = (640, 480),
    up: tuple[float, float, float] = (0.0, -1.0, 0.0),
) -> RgbImage:
    """Draw camera centres from above, each [N, 3] in one frame with the reference [M, 3], on an even grid.

    Args:
        paths: what was estimated, red, one line each.
        reference: what is known (odometry), grey, or None.
        size: (width, height) pixels.
        up: unit vector in that frame.
    """
    fine = (2 * size[0], 2 * size[1])
    image = np.full((fine[1], fine[0], 3), BACKGROUND, np.uint8)
    paths = [finite_places(path) for path in paths]
    reference = None if reference is None else finite_places(reference)
    given = [p for p in (*paths, reference) if p is not None and len(p)]
    if sum(len(p) for p in given) < 2:
        return np.asarray(cv2.resize(image, size), np.uint8)
    everything = np.concatenate(given)
    unit = np.array(up) / np.linalg.norm(up)
    level = np.stack(_level_axes(unit))
    flat = everything @ level.T
    low, high = flat.min(0), flat.max(0)
    scale = 0.84 * min(fine[0] / max(high[0] - low[0], 1e-6), fine[1] / max(high[1] - low[1], 1e-6))
    middle = (low + high) / 2

    def to_pixels(points: NDArray[np.floating]) -> FloatArray:
        return (np.asarray(points, np.float64) @ level.T - middle) * scale * [1, -1] + np.array(fine) / 2

    _grid(image, scale, middle)
    if reference is not None and len(reference) > 1:
        draw_polyline(image, to_pixels(reference), REFERENCE_COLOUR, 4)
    for path in paths:
        if len(path) > 1:
            draw_polyline(image, to_pixels(path), PATH_COLOUR, 5)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _level_axes(up: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two unit axes across `up`: right, and up in the picture (camera forward, or world y)."""
    ahead = np.array([0.0, 0.0, 1.0]) if abs(up[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    ahead = ahead - (ahead @ up) * up
    ahead /= np.linalg.norm(ahead)
    return np.cross(ahead, up), ahead


def _grid(image: RgbImage, scale: float, middle: FloatArray) -> None:
    """Draw lines every round number of units (1, 2, 5 times a power of ten) and say how far they are apart."""
    height, width = image.shape[:2]
    wanted = 0.16 * min(width, height) / scale
    power = 10.0 ** np.floor(np.log10(wanted))
    step = float(next(m * power for m in (1, 2, 5, 10) if m * power >= wanted))
    for axis, length in ((0, width), (1, height)):
        first = np.floor((middle[axis] - length / 2 / scale) / step)
        for k in range(int(length / scale / step) + 3):
            offset = ((first + k) * step - middle[axis]) * scale * (1 if axis == 0 else -1) + length / 2
            at = round(float(offset))
            start, end = ((at, 0), (at, height)) if axis == 0 else ((0, at), (width, at))
            cv2.line(image, start, end, (228, 230, 235), 2, cv2.LINE_AA)
    text = f"grid {step:g}"
    cv2.putText(image, text, (18, height - 20), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (120, 126, 138), 2, cv2.LINE_AA)
