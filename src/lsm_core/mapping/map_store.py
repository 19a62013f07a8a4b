"""Saved maps as files (docs/maps.md): one zip of JSON, NumPy arrays and JPEGs, written whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from operator import index
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.text_space import TextSpace
from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.array_archive import Archive, read_archive, write_archive
from lsm_core.mapping.clouds import PointCloud
from lsm_core.mapping.prediction_arrays import is_rigid, prediction_arrays, prediction_from, prediction_record
from lsm_core.mapping.saved_map import CameraMap, Lens, MapKeyframe, SavedMap
from lsm_core.mapping.scale import ScaleEstimate, ScaleSource, ScaleState
from lsm_core.mapping.trajectory import TrajectoryArrays

KIND = "lsm_perception map"
VERSION = 1
ENDING = ".lsmmap"
LARGEST_ID = 1 << 53
LATEST_NS = (1 << 31) * 10**9  # seconds of a ROS stamp are 32 bits
_CLOUD = {"points": np.float32, "rgb": np.uint8, "confidence": np.float32, "label": np.uint16, "score": np.float32}


def is_map_file(path: str | Path) -> bool:
    """Whether a path has the ending of a saved map."""
    return Path(path).suffix.lower() == ENDING


def write_map(path: str | Path, saved: SavedMap) -> int:
    """Write a map; returns the size of the file, bytes.

    Raises:
        InputError: it cannot be written; an older file of that name is whole still.
    """
    arrays: dict[str, NDArray[Any]] = {}
    blobs: dict[str, bytes] = {}
    cameras = [_camera_record(c, f"cameras/{i}", arrays, blobs) for i, c in enumerate(saved.cameras)]
    space = saved.text_space
    if space is not None:
        arrays["text_space"] = space.decoded
    document = {
        "backend": saved.backend,
        "text_space": None if space is None else {"backend": space.backend, "width": space.width},
        "queries": {"texts": list(saved.texts), "thresholds": [_number(t) for t in saved.thresholds]},
        "cameras": cameras,
    }
    return write_archive(path, KIND, VERSION, Archive(document, arrays, blobs))


def read_map(source: str | Path | IO[bytes]) -> SavedMap:
    """Read a map.

    Args:
        source: a path, or a file open for reading.

    Raises:
        FileFormatError: missing, cut short, damaged, no map, or of a newer version.
    """
    archive = read_archive(source, KIND, VERSION)
    name = str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "the file"))
    try:
        return _saved_map(archive)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, InputError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise FileFormatError(f"'{name}' is a damaged map: {reason}.", "Save the map again.") from error


def _saved_map(archive: Archive) -> SavedMap:
    document = archive.document
    space = document["text_space"]
    queries = document["queries"]
    texts = tuple(str(t) for t in queries["texts"])
    thresholds = tuple(_value(t) for t in queries["thresholds"])
    if len(texts) != len(thresholds):
        raise ValueError(f"{len(thresholds)} thresholds for {len(texts)} texts")
    saved = SavedMap(
        tuple(_camera_map(c, f"cameras/{i}", archive) for i, c in enumerate(document["cameras"])),
        str(document["backend"]),
        None if space is None else _text_space(space, archive.arrays["text_space"]),
        texts,
        thresholds,
    )
    ids = [k.id for k in saved.keyframes]
    if len(set(ids)) != len(ids):
        raise ValueError("two keyframes have one id")
    if saved.text_space is None and any(k.prediction.features is not None for k in saved.keyframes):
        raise ValueError("it has language features, and does not say what reads them")
    return saved


def _text_space(record: Mapping[str, Any], decoded: NDArray[Any]) -> TextSpace:
    if decoded.ndim != 2 or decoded.dtype != np.float32:
        raise ValueError("text_space is no table of numbers")
    return TextSpace(str(record["backend"]), index(record["width"]), decoded)


def _camera_record(
    camera: CameraMap, folder: str, arrays: dict[str, NDArray[Any]], blobs: dict[str, bytes]
) -> dict[str, Any]:
    """Add a camera's arrays and pictures, and return the rest."""
    for field in fields(PointCloud):
        arrays[f"{folder}/points/{field.name}"] = getattr(camera.points, field.name)
    for field in fields(TrajectoryArrays):
        arrays[f"{folder}/path/{field.name}"] = getattr(camera.path, field.name)
    keyframes = []
    for keyframe in camera.keyframes:
        inner = f"{folder}/keyframes/{keyframe.id}"
        arrays |= {f"{inner}/{name}": a for name, a in prediction_arrays(keyframe.prediction).items()}
        blobs[f"{inner}/thumbnail.jpg"] = keyframe.thumbnail
        keyframes.append(_keyframe_record(keyframe))
    scale = camera.scale
    return {
        "camera": camera.camera,
        "segment": camera.segment,
        "scale": {
            "state": scale.state.value,
            "source": scale.source.value,
            "metres_per_unit": _number(scale.metres_per_unit),
            "spread": _number(scale.spread),
            "epoch": scale.epoch,
            "samples": scale.samples,
            "stamp_ns": scale.stamp_ns,
        },
        "keyframes": keyframes,
    }


def _camera_map(record: Mapping[str, Any], folder: str, archive: Archive) -> CameraMap:
    arrays = archive.arrays
    points = PointCloud(*(_column(arrays, f"{folder}/points/{n}", t) for n, t in _CLOUD.items()))
    count = len(points)
    if points.points.shape != (count, 3) or points.rgb.shape != (count, 3):
        raise ValueError("points are no [N, 3]")
    if any(len(a) != count or a.ndim != 1 for a in (points.confidence, points.label, points.score)):
        raise ValueError("points and what belongs to them differ in number")
    path = TrajectoryArrays(
        _column(arrays, f"{folder}/path/stamps_ns", np.int64),
        _column(arrays, f"{folder}/path/positions", np.float64),
        _column(arrays, f"{folder}/path/quats", np.float64),
    )
    poses = len(path.stamps_ns)
    if path.stamps_ns.ndim != 1 or path.positions.shape != (poses, 3) or path.quats.shape != (poses, 4):
        raise ValueError("the path's parts differ in number")
    for stamp in path.stamps_ns.tolist():
        _stamp(stamp)
    lengths = np.linalg.norm(path.quats, axis=1)
    if not (np.isfinite(path.positions).all() and ((lengths > 0.9) & (lengths < 1.1)).all()):
        raise ValueError("the path has poses that are none")
    scale = record["scale"]
    return CameraMap(
        str(record["camera"]),
        index(record["segment"]),
        tuple(_keyframe(k, folder, archive) for k in record["keyframes"]),
        points,
        ScaleEstimate(
            ScaleState(scale["state"]),
            ScaleSource(scale["source"]),
            _value(scale["metres_per_unit"]),
            _value(scale["spread"]),
            index(scale["epoch"]),
            index(scale["samples"]),
            _stamp(scale["stamp_ns"]),
        ),
        path,
    )


def _keyframe_record(keyframe: MapKeyframe) -> dict[str, Any]:
    lens, T = keyframe.lens, keyframe.T_map_cam
    return {
        "id": keyframe.id,
        "stamp_ns": keyframe.stamp_ns,
        "frame_id": keyframe.frame_id,
        "segment": keyframe.segment,
        "in_map": keyframe.in_map,
        "T_map_cam": None if T is None else np.asarray(T, np.float64).tolist(),
        "lens": {
            "width": lens.width,
            "height": lens.height,
            "K": None if lens.K is None else np.asarray(lens.K, np.float64).tolist(),
            "distortion": None if lens.distortion is None else [float(v) for v in lens.distortion],
        },
        "view": prediction_record(keyframe.prediction),
    }


def _keyframe(record: Mapping[str, Any], folder: str, archive: Archive) -> MapKeyframe:
    number = index(record["id"])
    if not 0 < number < LARGEST_ID:
        raise ValueError(f"keyframe id {number}")
    inner = f"{folder}/keyframes/{number}/"
    arrays = {n.removeprefix(inner): a for n, a in archive.arrays.items() if n.startswith(inner)}
    lens = record["lens"]
    width, height = index(lens["width"]), index(lens["height"])
    if not (0 < width <= 65536 and 0 < height <= 65536):
        raise ValueError(f"an image of {width}x{height}")
    T, K = _matrix(record["T_map_cam"], 4), _matrix(lens["K"], 3)
    if T is not None and not is_rigid(T):
        raise ValueError("T_map_cam is no rigid pose")
    bent = lens["distortion"]
    distortion = None if bent is None else np.array([_value(v) for v in bent], np.float64)
    if distortion is not None and (
        distortion.size not in (0, 4, 5, 8, 12, 14) or not np.isfinite(distortion).all()
    ):
        raise ValueError("distortion coefficients that no lens model has")
    return MapKeyframe(
        number,
        _stamp(record["stamp_ns"]),
        str(record["frame_id"]),
        index(record["segment"]),
        T,
        prediction_from(record["view"], arrays),
        Lens(width, height, K, distortion),
        archive.blobs[f"{inner}thumbnail.jpg"],
        bool(record["in_map"]),
    )


def _stamp(value: object) -> int:
    """Return nanoseconds that a stamp can hold."""
    found = index(value)  # type: ignore[arg-type]  # what is no whole number raises TypeError
    if not 0 <= found < LATEST_NS:
        raise ValueError(f"stamp {found}")
    return found


def _matrix(rows: object, side: int) -> NDArray[np.float64] | None:
    """Return a finite square matrix, or None for none."""
    if rows is None:
        return None
    found = np.array(rows, np.float64)
    if found.shape != (side, side) or not np.isfinite(found).all():
        raise ValueError(f"a matrix that is not {side}x{side} and finite")
    return found


def _column(arrays: Mapping[str, NDArray[Any]], name: str, dtype: type) -> NDArray[Any]:
    if arrays[name].dtype != dtype:
        raise ValueError(f"{name} is {arrays[name].dtype}, not {np.dtype(dtype)}")
    return arrays[name]


def _number(value: float) -> float | None:
    """JSON has no NaN: null stands for it."""
    return float(value) if math.isfinite(value) else None


def _value(number: float | None) -> float:
    return math.nan if number is None else float(number)
