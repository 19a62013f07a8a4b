"""Furniture ready to be placed: metric, z up, front towards -y, with textures and support surfaces."""

from __future__ import annotations

import io
import logging
import zipfile
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from lsm_core.data.catalog import FurnitureEntry
from lsm_core.data.obj import ReadFile, TriangleMesh, load_obj, repair_normals
from lsm_core.errors import FileFormatError

TEXTURE_SIZE = 256
MAX_TRIANGLES = 8_000
MAX_TRIANGLES_SMALL = 2_500  # for things under half a metre
_GLASS_FREE = frozenset({"window", "door", "shower"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Support:
    """A horizontal surface of a model on which things can stand (model frame, metres)."""

    height: float
    low: tuple[float, float]  # x, y
    high: tuple[float, float]
    clearance: float  # free height above it


@dataclass(frozen=True)
class PreparedModel:
    """A furniture model in metres; x right, y back, z up, origin under its centre."""

    entry: FurnitureEntry
    positions: np.ndarray  # [T, 3, 3] float32
    normals: np.ndarray  # [T, 3, 3] float32
    uvs: np.ndarray  # [T, 3, 2] float32
    colours: np.ndarray  # [T, 3] float32, sRGB 0..1
    layers: np.ndarray  # [T] int32, index into textures, -1 = none
    textures: tuple[np.ndarray, ...]  # uint8 [256, 256, 4]
    supports: tuple[Support, ...]
    size: tuple[float, float, float]  # x, y, z extent in metres


@lru_cache(maxsize=16)
def _archive(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _reader(path: str) -> ReadFile:
    archive = _archive(path)
    names = {n.lower(): n for n in archive.namelist()}

    def read(name: str) -> bytes | None:
        actual = names.get(name.lower())
        return archive.read(actual) if actual is not None else None

    return read


def decimate(mesh: TriangleMesh, target: int) -> TriangleMesh:
    """Reduce a mesh by snapping corners to a grid and dropping what collapses (keeps uv and normals)."""
    if len(mesh.material) <= target:
        return mesh
    low, high = mesh.positions.min((0, 1)), mesh.positions.max((0, 1))
    extent = float((high - low).max())
    cells = 160.0
    keep = np.ones(len(mesh.material), bool)
    snapped = mesh.positions
    for _ in range(8):
        index = np.floor((mesh.positions - low) / extent * cells).astype(np.int64)
        flat = (index[..., 0] << 40) + (index[..., 1] << 20) + index[..., 2]
        keep = (flat[:, 0] != flat[:, 1]) & (flat[:, 1] != flat[:, 2]) & (flat[:, 0] != flat[:, 2])
        _, inverse = np.unique(flat.reshape(-1), return_inverse=True)
        inverse = inverse.reshape(-1)
        total = np.zeros((int(inverse.max()) + 1, 3))
        for axis in range(3):
            total[:, axis] = np.bincount(inverse, mesh.positions.reshape(-1, 3)[:, axis])
        mean = total / np.bincount(inverse)[:, None]
        snapped = mean[inverse].reshape(-1, 3, 3).astype(np.float32)
        if keep.sum() <= target:
            break
        cells *= 0.8
    return TriangleMesh(
        snapped[keep],
        repair_normals(snapped[keep], mesh.normals[keep]),
        mesh.uvs[keep],
        mesh.material[keep],
        mesh.materials,
    )


def _load_texture(content: bytes) -> np.ndarray | None:
    try:
        image = Image.open(io.BytesIO(content)).convert("RGBA")
    except (OSError, ValueError, SyntaxError):
        return None
    return np.asarray(image.resize((TEXTURE_SIZE, TEXTURE_SIZE), Image.Resampling.BOX))


def find_supports(positions: np.ndarray, size: tuple[float, float, float]) -> tuple[Support, ...]:
    """Find level upward surfaces: heights where enough horizontal area is gathered.

    Args:
        positions: [T, 3, 3] model triangles, z up, metres.
        size: model extent in metres.
    """
    normal = np.cross(positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0])
    double_area = np.linalg.norm(normal, axis=1)
    level = np.abs(normal[:, 2]) > 0.97 * np.maximum(double_area, 1e-12)
    if not level.any():
        return ()
    flat, area = positions[level], double_area[level] / 2
    heights = flat[:, :, 2].mean(1)
    bins = np.round(heights / 0.02).astype(int)
    found: list[tuple[float, np.ndarray]] = []
    for b in np.unique(bins):
        near = np.abs(bins - b) <= 1
        if area[bins == b].sum() > 0.0 and area[near].sum() > 0.3 * size[0] * size[1]:
            top = float(np.max(heights[bins == b]))
            if found and top - found[-1][0] < 0.06:
                found[-1] = (top, flat[near])
            else:
                found.append((top, flat[near]))
    out = []
    for k, (height, tris) in enumerate(found):
        low, high = tris[..., :2].min((0, 1)), tris[..., :2].max((0, 1))
        above = found[k + 1][0] - height if k + 1 < len(found) else 1.0
        out.append(
            Support(
                height, (float(low[0]), float(low[1])), (float(high[0]), float(high[1])), max(0.0, above - 0.03)
            )
        )
    return tuple(s for s in out if s.clearance > 0.08 and s.height > 0.05)


def prepare(entry: FurnitureEntry) -> PreparedModel:
    """Load one catalogue model and bring it to metres, z up, front -y.

    Raises:
        FileFormatError: the model is missing, empty or not an OBJ file.
    """
    read = _reader(str(entry.archive))
    small = max(entry.width_m, entry.depth_m, entry.height_m) < 0.5
    mesh = decimate(load_obj(entry.model_path, read), MAX_TRIANGLES_SMALL if small else MAX_TRIANGLES)
    opacity = np.array([m.opacity for m in mesh.materials], np.float32)
    solid = opacity[mesh.material] > (0.5 if entry.label in _GLASS_FREE else 0.02)
    if not solid.any():
        raise FileFormatError(f"Model {entry.key} is empty.", "leave it out of the pool.")
    rotation = np.array(entry.rotation, np.float32).reshape(3, 3)
    everything = mesh.positions @ rotation.T
    low, high = everything.min((0, 1)), everything.max((0, 1))
    wanted = np.array([entry.width_m, entry.height_m, entry.depth_m], np.float32)
    scale = wanted / np.maximum(high - low, 1e-6)
    centre = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2], np.float32)
    y_up = (everything[solid] - centre) * scale
    turned = (mesh.normals[solid] @ rotation.T) / scale
    positions = np.stack([y_up[..., 0], -y_up[..., 2], y_up[..., 1]], -1).astype(np.float32)
    normals = np.stack([turned[..., 0], -turned[..., 2], turned[..., 1]], -1)
    normals = repair_normals(positions, normals)
    material = mesh.material[solid]
    colours, layers, textures = _surface(mesh, material, read)
    size = (entry.width_m, entry.depth_m, entry.height_m)
    return PreparedModel(
        entry, positions, normals, mesh.uvs[solid], colours, layers, textures, find_supports(positions, size), size
    )


def _surface(
    mesh: TriangleMesh, material: np.ndarray, read: ReadFile
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """Resolve materials into per-triangle colour, texture layer and the textures themselves."""
    textures: list[np.ndarray] = []
    layer_of: list[int] = []
    colour_of: list[tuple[float, float, float]] = []
    by_path: dict[str, int] = {}
    for m in mesh.materials:
        layer = -1
        if m.texture is not None:
            if m.texture not in by_path:
                content = read(m.texture)
                image = _load_texture(content) if content is not None else None
                by_path[m.texture] = len(textures) if image is not None else -1
                if image is not None:
                    textures.append(image)
            layer = by_path[m.texture]
        layer_of.append(layer)
        colour_of.append((1.0, 1.0, 1.0) if layer >= 0 else m.diffuse)
    colours = np.clip(np.array(colour_of, np.float32), 0.02, 1.0)[material]
    return colours, np.array(layer_of, np.int32)[material], tuple(textures)


class FurniturePool:
    """The models of one split, by class; loads a model when first asked for it."""

    def __init__(self, entries: list[FurnitureEntry]) -> None:
        self._by_label: dict[str, list[FurnitureEntry]] = {}
        for entry in entries:
            if entry.label is not None:
                self._by_label.setdefault(entry.label, []).append(entry)
        self._cache: dict[str, PreparedModel | None] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classes that have at least one model."""
        return tuple(self._by_label)

    def entries(self, label: str) -> list[FurnitureEntry]:
        """Return the catalogue entries of a class (empty when there is none)."""
        return self._by_label.get(label, [])

    def load(self, entry: FurnitureEntry) -> PreparedModel | None:
        """Return the prepared model, or None where the file is unusable."""
        if entry.key not in self._cache:
            try:
                self._cache[entry.key] = prepare(entry)
            except FileFormatError as error:
                _log.warning("left out %s: %s", entry.key, error)
                self._cache[entry.key] = None
        return self._cache[entry.key]
