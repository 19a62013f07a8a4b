"""The container of binary glTF (2.0, section 4.4): a JSON text and one block of bytes, with typed arrays in it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError
from lsm_core.io.atomic import atomic_path
from lsm_core.io.file_bytes import file_bytes

_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_CODES = {np.dtype(code): number for number, code in _COMPONENTS.items()}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_SHAPES = {width: name for name, width in _WIDTHS.items()}


def write_glb(path: str | Path, document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a document whose only mesh has one primitive of points, atomically.

    Args:
        path: where to.
        document: everything but accessors, buffer views and buffers; `meshes[0].primitives[0]` gets the attributes.
        arrays: attribute -> [N] or [N, 2 to 4] of float32, or of unsigned integers that stand for 0 to 1.
    """
    accessors: list[dict[str, Any]] = []
    views: list[dict[str, int]] = []
    blocks: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array)
        accessor: dict[str, Any] = {
            "bufferView": len(views),
            "componentType": _CODES[data.dtype.newbyteorder("<")],
            "count": len(data),
            "type": _SHAPES[1 if data.ndim == 1 else data.shape[1]],
        }
        if data.dtype.kind == "u":
            accessor["normalized"] = True
        if name == "POSITION":
            accessor |= {"min": data.min(0).tolist(), "max": data.max(0).tolist()}
        block = data.astype(data.dtype.newbyteorder("<")).tobytes()
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(block), "target": 34962})
        accessors.append(accessor)
        blocks.append(block + b"\0" * (-len(block) % 4))
        offset += len(blocks[-1])
    whole = json.loads(json.dumps(document))
    whole["meshes"][0]["primitives"][0]["attributes"] = {name: i for i, name in enumerate(arrays)}
    whole |= {"accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": offset}]}
    text = json.dumps(whole, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<III", _MAGIC, 2, 12 + 8 + len(text) + 8 + offset))
        file.write(struct.pack("<II", len(text), _JSON) + text)
        file.write(struct.pack("<II", offset, _BIN))
        for block in blocks:
            file.write(block)


def read_glb(path: str | Path) -> tuple[dict[str, Any], bytes]:
    """Return the document and the bytes of a binary glTF file.

    Raises:
        FileFormatError: missing, no binary glTF 2, or damaged.
    """
    file = Path(path)
    data = file_bytes(file)
    unknown = FileFormatError(f"'{file}' is no binary glTF 2 file, or is damaged.", "Save it as .glb again.")
    chunks: dict[int, bytes] = {}
    if len(data) < 20 or struct.unpack_from("<II", data) != (_MAGIC, 2):
        raise unknown
    offset = 12
    while offset + 8 <= len(data):
        length, kind = struct.unpack_from("<II", data, offset)
        if offset + 8 + length > len(data):
            raise unknown
        chunks.setdefault(kind, data[offset + 8 : offset + 8 + length])
        offset += 8 + length
    try:
        document = json.loads(chunks[_JSON])
    except (KeyError, ValueError, RecursionError) as error:
        raise unknown from error
    if not isinstance(document, dict):
        raise unknown
    return document, chunks.get(_BIN, b"")


def read_accessor(document: Mapping[str, Any], data: bytes, index: int) -> NDArray[np.float32]:
    """Return an accessor's values, [N] or [N, width] float32; integers that are normalized become 0 to 1 (-1 to 1).

    Raises:
        FileFormatError: the accessor lies outside the file's bytes, or is of a kind not read here.
    """
    try:
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        dtype, width = np.dtype(_COMPONENTS[accessor["componentType"]]), _WIDTHS[accessor["type"]]
        count = int(accessor["count"])
        if "sparse" in accessor or view.get("buffer", 0) != 0 or "uri" in document["buffers"][0]:
            raise FileFormatError("The glTF file has sparse or external arrays.", "Save it as a plain .glb file.")
        start = int(view.get("byteOffset", 0)) + int(accessor.get("byteOffset", 0))
        item = dtype.itemsize * width
        stride = int(view.get("byteStride", item))
        if min(start, count) < 0 or stride < item or (count and start + stride * (count - 1) + item > len(data)):
            raise ValueError(f"accessor {index} is outside the buffer")
        strides = (stride, dtype.itemsize)
        raw = np.ndarray((count, width), dtype, data, start, strides).astype(np.float32)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise FileFormatError(f"The glTF file is damaged: {error}.", "Save it again.") from error
    if accessor.get("normalized") and dtype.kind in "iu":
        raw = np.maximum(raw / np.float32(np.iinfo(dtype).max), -1)
    return raw[:, 0] if width == 1 else raw
