"""Gaussians as glTF with the ratified extension KHR_gaussian_splatting, in one binary file (.glb).

A mesh primitive of points with one array per attribute: position, rotation xyzw, linear scale, opacity, SH
coefficients, all float32; COLOR_0 beside them is for viewers that only know point clouds. glTF has y up, so the
scene is turned half around x (`lsm_core.io.y_up`).

Source: the text of KHR_gaussian_splatting, github.com/KhronosGroup/glTF (its SH are those of `lsm_core.sh`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.finite_gaussians import finite_gaussians
from lsm_core.io.glb import read_accessor, read_glb, write_glb
from lsm_core.io.scene_size import check_count
from lsm_core.io.y_up import turn_half_around_x
from lsm_core.types import Gaussians

EXTENSION = "KHR_gaussian_splatting"
_COEFFICIENTS = [(degree, order) for degree in range(4) for order in range(2 * degree + 1)]


def write_gltf(path: str | Path, gaussians: Gaussians) -> None:
    """Write Gaussians as .glb; language features are lost.

    Raises:
        InputError: there are none (glTF has no empty arrays), or the file cannot be written.
    """
    scene = turn_half_around_x(finite_gaussians(gaussians))
    if not len(scene):
        raise InputError("glTF cannot hold a scene without Gaussians.", "Lower --min-opacity.")
    quats = torch.nn.functional.normalize(scene.quats, dim=-1)[:, [1, 2, 3, 0]]
    arrays: dict[str, NDArray[Any]] = {
        "POSITION": _float32(scene.means),
        "COLOR_0": _fallback_colours(scene),
        f"{EXTENSION}:ROTATION": _float32(quats),
        f"{EXTENSION}:SCALE": _float32(scene.scales),
        f"{EXTENSION}:OPACITY": _float32(scene.opacities.clamp(0, 1)),
    }
    for k, (degree, order) in enumerate(_COEFFICIENTS[: scene.sh.shape[1]]):
        arrays[f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{order}"] = _float32(scene.sh[:, k])
    splats = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "lsm_core"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "gaussians"}],
        "meshes": [{"primitives": [{"mode": 0, "extensions": {EXTENSION: splats}}]}],
    }
    write_glb(path, document, arrays)


def read_gltf(path: str | Path) -> Gaussians:
    """Read all Gaussians of a .glb file, placed as its nodes say.

    Raises:
        FileFormatError: missing, no glTF, no Gaussians in it, or stored in a way not read here.
    """
    document, data = read_glb(path)
    try:
        placed = [
            (T, primitive)
            for T, mesh in _placed_meshes(document)
            for primitive in document["meshes"][mesh]["primitives"]
            if EXTENSION in primitive.get("extensions", {})
        ]
        # Nodes may repeat a mesh, and primitives an array, without end.
        check_count(sum(_announced(document, primitive) for _, primitive in placed), str(path))
        parts = [_primitive(document, data, primitive).transform(T) for T, primitive in placed]
        if not parts:
            raise FileFormatError(f"'{path}' has no Gaussians ({EXTENSION}).", "Use a file with that extension.")
        return turn_half_around_x(Gaussians.concatenate(parts))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, InputError) as error:
        raise FileFormatError(f"'{path}' is damaged: {error}.", "Save it again.") from error


def _announced(document: Mapping[str, Any], primitive: Mapping[str, Any]) -> int:
    """Return how many Gaussians a primitive says it has."""
    return int(document["accessors"][primitive["attributes"]["POSITION"]]["count"])


def _primitive(document: Mapping[str, Any], data: bytes, primitive: Mapping[str, Any]) -> Gaussians:
    """Return the Gaussians of one primitive in its own frame."""
    extras = primitive["extensions"][EXTENSION].get("extensions", {})
    if extras:
        raise FileFormatError(f"The Gaussians are stored with {', '.join(extras)}.", "Save them uncompressed.")
    attributes = primitive["attributes"]

    def values(name: str) -> torch.Tensor:
        return torch.from_numpy(np.array(read_accessor(document, data, attributes[name])))

    names = [f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{order}" for degree, order in _COEFFICIENTS]
    there = [name for name in names if name in attributes]
    return Gaussians(
        means=values("POSITION"),
        quats=torch.nn.functional.normalize(values(f"{EXTENSION}:ROTATION")[:, [3, 0, 1, 2]], dim=-1),
        scales=values(f"{EXTENSION}:SCALE"),
        opacities=values(f"{EXTENSION}:OPACITY"),
        sh=torch.stack([values(name) for name in there], 1),
    )


def _placed_meshes(document: Mapping[str, Any]) -> Iterator[tuple[NDArray[np.float64], int]]:
    """Give T_scene_mesh [4, 4] and the mesh's index for every node with a mesh in the scene shown."""
    nodes = document.get("nodes", [])
    scenes = document.get("scenes", [])
    todo = [(np.eye(4), i) for i in (scenes[document.get("scene", 0)]["nodes"] if scenes else range(len(nodes)))]
    for _ in range(len(nodes)):  # a tree visits each node once
        if not todo:
            return
        T_parent, index = todo.pop()
        T = T_parent @ _node_matrix(nodes[index])
        todo += [(T, child) for child in nodes[index].get("children", [])]
        if "mesh" in nodes[index]:
            yield T, nodes[index]["mesh"]


def _node_matrix(node: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return T_parent_node [4, 4]."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix() * node.get("scale", [1, 1, 1])
    T[:3, 3] = node.get("translation", [0, 0, 0])
    return T


def _fallback_colours(scene: Gaussians) -> NDArray[np.uint8]:
    """Return [N, 4]: linear colour of the constant term and opacity, 255 for 1."""
    srgb = scene.rgb.detach().cpu().double().numpy()
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    opacity = scene.opacities.detach().cpu().double().clamp(0, 1).numpy()[:, None]
    return np.rint(255 * np.concatenate([linear, opacity], 1)).astype(np.uint8)


def _float32(tensor: torch.Tensor) -> NDArray[np.float32]:
    """Return a tensor as an array."""
    return tensor.detach().cpu().float().numpy()
