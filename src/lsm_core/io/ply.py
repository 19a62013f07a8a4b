"""PLY files: coloured point clouds and Gaussians in the layout of 3D Gaussian Splatting.

Written from the public description of the format (Turk 1994); only vertex elements with scalar properties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.atomic import atomic_path
from lsm_core.types import Gaussians

_TYPES = {"float": "<f4", "double": "<f8", "uchar": "u1", "char": "i1", "ushort": "<u2", "short": "<i2"}
_TYPES |= {"uint": "<u4", "int": "<i4", "float32": "<f4", "float64": "<f8", "uint8": "u1", "int8": "i1"}
_TYPES |= {"uint16": "<u2", "int16": "<i2", "uint32": "<u4", "int32": "<i4"}
_NAMES = {np.dtype(code): name for name, code in reversed(_TYPES.items())}
_MAX_HEADER = 1 << 20


@dataclass(frozen=True)
class PointCloud:
    """Points of one frame.

    Attributes:
        points: [N, 3] float32, scene units.
        rgb: [N, 3] uint8.
        confidence: [N] float32 > 0, or None.
        label: [N] int32, index into `names`, -1 = none; or None.
        names: what the labels mean.
    """

    points: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None = None
    label: NDArray[np.int32] | None = None
    names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.points)
        sizes = [len(a) for a in (self.rgb, self.confidence, self.label) if a is not None]
        if self.points.shape != (n, 3) or self.rgb.shape != (n, 3) or any(size != n for size in sizes):
            raise InputError("A point cloud needs points [N,3], rgb [N,3] and N of everything else.")

    def __len__(self) -> int:
        return len(self.points)


def write_point_cloud(path: str | Path, cloud: PointCloud) -> None:
    """Write a cloud as binary PLY: x y z red green blue, and confidence and label where present."""
    columns: list[tuple[str, str]] = [(axis, "<f4") for axis in "xyz"]
    columns += [(channel, "u1") for channel in ("red", "green", "blue")]
    columns += [("confidence", "<f4")] if cloud.confidence is not None else []
    columns += [("label", "<i4")] if cloud.label is not None else []
    vertices = np.empty(len(cloud), dtype=columns)
    for i, axis in enumerate("xyz"):
        vertices[axis] = cloud.points[:, i]
    for i, channel in enumerate(("red", "green", "blue")):
        vertices[channel] = cloud.rgb[:, i]
    if cloud.confidence is not None:
        vertices["confidence"] = cloud.confidence
    if cloud.label is not None:
        vertices["label"] = cloud.label
    write_ply(path, vertices, [f"label {i} {name}" for i, name in enumerate(cloud.names)])


def read_point_cloud(path: str | Path) -> PointCloud:
    """Read a cloud; colour is grey where the file has none.

    Raises:
        FileFormatError: not a PLY file, damaged, or without x y z.
    """
    vertices, comments = read_ply(path)
    fields = vertices.dtype.names or ()
    points = _columns(vertices, ("x", "y", "z"), path)
    has_colour = {"red", "green", "blue"} <= set(fields)
    grey = np.full((len(points), 3), 128, np.uint8)
    labels = [c.split(" ", 2) for c in comments if c.startswith("label ")]
    return PointCloud(
        points,
        _columns(vertices, ("red", "green", "blue"), path).astype(np.uint8) if has_colour else grey,
        vertices["confidence"].astype(np.float32) if "confidence" in fields else None,
        vertices["label"].astype(np.int32) if "label" in fields else None,
        tuple(parts[2] for parts in labels if len(parts) == 3),
    )


def write_gaussians(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as splat viewers read them.

    x y z, normals (zero), f_dc_*, f_rest_* (channel-major), opacity as logit, scale_* as logarithm, rot_* wxyz,
    then language features as semantic_* where present.
    """
    n, k = gaussians.sh.shape[:2]
    sh = gaussians.sh.detach().cpu().numpy()
    opacity = gaussians.opacities.detach().cpu().double().clamp(1e-6, 1 - 1e-6).numpy()
    blocks: list[tuple[str, NDArray[Any]]] = [
        ("xyz", gaussians.means.detach().cpu().numpy()),
        ("normal", np.zeros((n, 3), np.float32)),
        ("f_dc", sh[:, 0]),
        ("f_rest", sh[:, 1:].transpose(0, 2, 1).reshape(n, 3 * (k - 1))),
        ("opacity", np.log(opacity / (1 - opacity))[:, None]),
        ("scale", torch.log(gaussians.scales.detach().cpu().clamp(min=1e-12)).numpy()),
        ("rot", gaussians.quats.detach().cpu().numpy()),
    ]
    if gaussians.features is not None:
        blocks.append(("semantic", gaussians.features.detach().cpu().numpy()))
    names = {"xyz": ["x", "y", "z"], "normal": ["nx", "ny", "nz"], "opacity": ["opacity"]}
    columns = [
        name for block, data in blocks for name in names.get(block, [f"{block}_{i}" for i in range(data.shape[1])])
    ]
    vertices = np.empty(n, dtype=[(name, "<f4") for name in columns])
    for name, values in zip(columns, np.concatenate([data for _, data in blocks], 1).T, strict=True):
        vertices[name] = values
    write_ply(path, vertices)


def read_gaussians(path: str | Path) -> Gaussians:
    """Read Gaussians in the layout of `write_gaussians`.

    Raises:
        FileFormatError: not a PLY file, damaged, or not one of Gaussians.
    """
    vertices, _ = read_ply(path)
    fields = vertices.dtype.names or ()
    rest = [f"f_rest_{i}" for i in range(sum(name.startswith("f_rest_") for name in fields))]
    semantic = [f"semantic_{i}" for i in range(sum(name.startswith("semantic_") for name in fields))]
    if len(rest) not in (0, 9, 24, 45):
        raise FileFormatError(f"'{path}' has {len(rest)} f_rest fields, which is no SH degree.", "Export it again.")
    dc = _columns(vertices, ("f_dc_0", "f_dc_1", "f_dc_2"), path)
    n = len(vertices)
    higher = (
        _columns(vertices, rest, path).reshape(n, 3, len(rest) // 3).transpose(0, 2, 1)
        if rest
        else np.empty((n, 0, 3))
    )
    quats = torch.from_numpy(_columns(vertices, ("rot_0", "rot_1", "rot_2", "rot_3"), path))
    return Gaussians(
        means=torch.from_numpy(_columns(vertices, ("x", "y", "z"), path)),
        quats=torch.nn.functional.normalize(quats, dim=-1),
        scales=torch.from_numpy(np.exp(_columns(vertices, ("scale_0", "scale_1", "scale_2"), path))),
        opacities=torch.sigmoid(torch.from_numpy(_columns(vertices, ("opacity",), path)[:, 0])),
        sh=torch.from_numpy(np.concatenate([dc[:, None], higher.astype(np.float32)], 1)),
        features=torch.from_numpy(_columns(vertices, semantic, path)) if semantic else None,
    )


def write_ply(path: str | Path, vertices: NDArray[Any], comments: Sequence[str] = ()) -> None:
    """Write a structured array of scalars as the vertices of a binary little-endian PLY file, atomically."""
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {' '.join(comment.split())}" for comment in comments]
    header.append(f"element vertex {len(vertices)}")
    for name in vertices.dtype.names or ():
        header.append(f"property {_NAMES[vertices.dtype[name].newbyteorder('<')]} {name}")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode())
        file.write(vertices.tobytes())


def read_ply(path: str | Path) -> tuple[NDArray[Any], list[str]]:
    """Read the vertices of a binary little-endian or ASCII PLY file, and its comments.

    Raises:
        FileFormatError: missing, not PLY, an unknown layout, or shorter than its header says.
    """
    file = Path(path)
    if not file.is_file():
        raise FileFormatError(f"There is no file '{file}'.", "Check the path.")
    data = file.read_bytes()
    end = data.find(b"end_header", 0, _MAX_HEADER)
    newline = data.find(b"\n", end)
    if not data.startswith(b"ply") or end < 0 or newline < 0:
        raise FileFormatError(
            f"'{file}' is not a PLY file.", "Pass a file written by this program or a splat tool."
        )
    lines = [line.split() for line in data[:end].decode("latin-1").splitlines()]
    encoding, count, dtype = _parse_header(lines, file)
    comments = [" ".join(words[1:]) for words in lines if words[:1] == ["comment"]]
    body = data[newline + 1 :]
    if encoding == "ascii":
        return _read_ascii(body, count, dtype, file), comments
    if len(body) < count * dtype.itemsize:
        raise FileFormatError(f"'{file}' is cut off: {len(body)} of {count * dtype.itemsize} bytes of vertices.")
    return np.frombuffer(body, dtype, count).copy(), comments


def _parse_header(lines: list[list[str]], file: Path) -> tuple[str, int, np.dtype[Any]]:
    """Return encoding, number of vertices, and their dtype."""
    unknown = FileFormatError(f"'{file}' has a PLY layout this reader does not know.", "Save vertices only.")
    encoding, count, element = "", -1, ""
    columns: list[tuple[str, str]] = []
    for words in lines:
        if words[:1] == ["format"] and len(words) == 3:
            encoding = words[1]
        elif words[:1] == ["element"] and len(words) == 3:
            if element == "" and words[1] != "vertex":
                raise unknown
            element = words[1]
            if element == "vertex":
                if not words[2].isdigit():
                    raise unknown
                count = int(words[2])
        elif words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in _TYPES:
                raise unknown
            columns.append((words[2], _TYPES[words[1]]))
    if encoding not in ("ascii", "binary_little_endian") or count < 0 or not columns:
        raise unknown
    if len({name for name, _ in columns}) != len(columns):
        raise unknown
    return encoding, count, np.dtype(columns)


def _read_ascii(body: bytes, count: int, dtype: np.dtype[Any], file: Path) -> NDArray[Any]:
    """Parse `count` lines of numbers."""
    rows = body.decode("latin-1").splitlines()[:count]
    try:
        table = np.array([[float(word) for word in row.split()] for row in rows]).reshape(count, -1)
        vertices = np.empty(count, dtype)
        for i, name in enumerate(dtype.names or ()):
            vertices[name] = table[:, i]
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"'{file}' has malformed or missing vertex lines.", "Save it again.") from error
    return vertices


def _columns(vertices: NDArray[Any], names: Sequence[str], path: str | Path) -> NDArray[np.float32]:
    """Return [N, len(names)] float32; FileFormatError where a field is missing."""
    missing = [name for name in names if name not in (vertices.dtype.names or ())]
    if missing:
        raise FileFormatError(f"'{path}' has no field {', '.join(missing)}.", "Is it the right kind of PLY file?")
    return np.stack([vertices[name].astype(np.float32) for name in names], 1)
