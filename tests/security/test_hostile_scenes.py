"""Scenes and maps from outside: what announces or unfolds to more than it holds is refused."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hungry import outcome

from lsm_core.errors import FileFormatError
from lsm_core.io.archive_limits import ALWAYS_FINE, MAX_RATIO, check_unpacked_size
from lsm_core.io.array_archive import DOCUMENT, read_archive
from lsm_core.io.gaussian_ply import write_gaussians
from lsm_core.io.gltf import EXTENSION, read_gltf
from lsm_core.io.npz import read_npz
from lsm_core.io.ply import read_ply
from lsm_core.io.scene_size import MAX_GAUSSIANS
from lsm_core.io.spz import read_spz
from lsm_core.mapping.map_store import KIND, read_map
from lsm_core.views.saved import open_scene

GIB = 1 << 30


def zip_bomb(path: Path, member: str, size: int) -> None:
    """Write a zip whose one member of zeros unpacks to `size` bytes, a thousand times its own size."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({(size - 128) // 12}, 3), }}".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(DOCUMENT, json.dumps({"kind": KIND, "version": 1}))
        with archive.open(member, "w", force_zip64=True) as file:
            file.write(b"\x93NUMPY\x01\x00v\x00" + header.ljust(117) + b"\n")
            for _ in range(size >> 20):
                file.write(bytes(1 << 20))


@pytest.mark.parametrize(("reader", "member"), [(read_npz, "means.npy"), (read_map, "x.npy")], ids=["npz", "map"])
def test_zip_bombs_are_refused_by_their_directory(reader, member: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    zip_bomb(tmp_path / "bomb.npz", member, 96 << 20)
    assert (tmp_path / "bomb.npz").stat().st_size < 1 << 20
    with pytest.raises(FileFormatError, match="unpack"):
        reader(tmp_path / "bomb.npz")


def test_members_that_lie_over_one_another_do_not_count_twice(tmp_path: Path) -> None:
    """A directory of a thousand entries for the same stored bytes: small on the disk, large unpacked."""
    kernel = bytes(1 << 20)
    with zipfile.ZipFile(tmp_path / "o.zip", "w") as archive:
        archive.writestr("a", kernel)
        entry = archive.infolist()[0]
        archive.filelist.extend([entry] * 1000)
        archive._didModify = True  # type: ignore[attr-defined]
    with zipfile.ZipFile(tmp_path / "o.zip") as archive, pytest.raises(FileFormatError, match="unpack"):
        check_unpacked_size(archive, "o.zip")


def test_what_numbers_pack_to_is_fine() -> None:
    """Half zeros, as a map of a room with holes has them."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 1000)).astype(np.float32) * (rng.random((200, 1)) < 0.5)
    data = io.BytesIO()
    np.savez_compressed(data, values=values)
    with zipfile.ZipFile(data) as archive:
        (entry,) = archive.infolist()
        assert entry.file_size < MAX_RATIO / 10 * entry.compress_size
        check_unpacked_size(archive, "x")
    assert ALWAYS_FINE < GIB


def test_an_entry_that_understates_its_size_is_not_believed(tmp_path: Path) -> None:
    """The directory says 1000 bytes, the stream has 96 MiB: no more than 1000 are unpacked; the sum is wrong."""
    zip_bomb(tmp_path / "bomb.npz", "means.npy", 96 << 20)
    data = bytearray((tmp_path / "bomb.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "bomb.npz") as archive:
        true = archive.getinfo("means.npy").file_size
    assert data.count(struct.pack("<I", true)) >= 1
    (tmp_path / "lying.npz").write_bytes(bytes(data).replace(struct.pack("<I", true), struct.pack("<I", 1000)))
    setup = f"from lsm_core.io.npz import read_npz\npath = {str(tmp_path / 'lying.npz')!r}"
    assert outcome(setup, "read_npz(path)", room_mib=64).startswith("refused:")


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", means=np.array([{}, []], object))
    with pytest.raises(FileFormatError):
        read_npz(tmp_path / "objects.npz")


def test_fortran_order_is_read_as_numpy_means_it(tmp_path: Path) -> None:
    n = 5
    rng = np.random.default_rng(1)
    arrays = {"means": (n, 3), "quats": (n, 4), "scales": (n, 3), "opacities": (n,), "sh": (n, 1, 3)}
    stored = {k: np.asfortranarray(rng.random(shape).astype(np.float32)) for k, shape in arrays.items()}
    np.savez(tmp_path / "f.npz", **stored)
    np.testing.assert_array_equal(read_npz(tmp_path / "f.npz").means.numpy(), stored["means"])


def spz(count: int, body: int) -> bytes:
    """A gzip stream whose header announces `count` Gaussians."""
    return gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 3, count, 0, 12, 0, 0) + bytes(body))


def test_an_spz_of_too_many_gaussians_is_refused(tmp_path: Path) -> None:
    """The body is real, so the size alone would be believed: 40 MiB of zeros announce 21 million Gaussians."""
    (tmp_path / "bomb.spz").write_bytes(spz(MAX_GAUSSIANS + 1, 40 << 20))
    with pytest.raises(FileFormatError, match="Gaussians"):
        read_spz(tmp_path / "bomb.spz")


def test_an_spz_stream_longer_than_it_says_is_not_unpacked_further(tmp_path: Path) -> None:
    (tmp_path / "long.spz").write_bytes(spz(1, 512 << 20))
    setup = f"from lsm_core.io.spz import read_spz\npath = {str(tmp_path / 'long.spz')!r}"
    assert outcome(setup, "read_spz(path)", room_mib=128) == "read"


def glb(document: dict, data: bytes = b"") -> bytes:  # type: ignore[type-arg]
    """The bytes of a binary glTF file."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks


def gaussian_glb(count: int, nodes: int, data: bytes) -> bytes:
    """A scene of `nodes` nodes that all show one mesh of `count` Gaussians."""
    names = ["ROTATION", "SCALE", "OPACITY", "SH_DEGREE_0_COEF_0"]
    kinds = {
        "POSITION": "VEC3",
        **dict(zip((f"{EXTENSION}:{n}" for n in names), ("VEC4", "VEC3", "SCALAR", "VEC3"), strict=True)),
    }
    accessors = [{"bufferView": 0, "componentType": 5126, "count": count, "type": kind} for kind in kinds.values()]
    primitive = {"attributes": {name: i for i, name in enumerate(kinds)}, "extensions": {EXTENSION: {}}}
    return glb(
        {
            "buffers": [{"byteLength": len(data)}],
            "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": len(data)}],
            "accessors": accessors,
            "meshes": [{"primitives": [primitive]}],
            "nodes": [{"mesh": 0}] * nodes,
            "scenes": [{"nodes": list(range(nodes))}],
        },
        data,
    )


def test_a_glb_that_repeats_one_mesh_for_ever_is_refused(tmp_path: Path) -> None:
    """600 KB that unfold to 100 million Gaussians; two of these nodes are a scene like any other."""
    data = np.full(4000, 0.5, np.float32).tobytes()
    (tmp_path / "two.glb").write_bytes(gaussian_glb(1000, 2, data))
    assert len(read_gltf(tmp_path / "two.glb")) == 2000
    (tmp_path / "bomb.glb").write_bytes(gaussian_glb(1000, 100_000, data))
    with pytest.raises(FileFormatError, match="100000000 Gaussians"):
        read_gltf(tmp_path / "bomb.glb")


@pytest.mark.parametrize("count", [10**12, -1, 2**63])
def test_a_glb_accessor_that_claims_more_than_there_is_is_refused(tmp_path: Path, count: int) -> None:
    (tmp_path / "bomb.glb").write_bytes(gaussian_glb(count, 1, bytes(64)))
    with pytest.raises(FileFormatError):
        read_gltf(tmp_path / "bomb.glb")


def test_json_nested_without_end_is_refused(tmp_path: Path) -> None:
    deep = b"[" * 200_000
    text = deep + b" " * (-len(deep) % 4)
    (tmp_path / "deep.glb").write_bytes(
        struct.pack("<III", 0x46546C67, 2, 20 + len(text)) + struct.pack("<II", len(text), 0x4E4F534A) + text
    )
    with pytest.raises(FileFormatError):
        read_gltf(tmp_path / "deep.glb")
    with zipfile.ZipFile(tmp_path / "deep.lsmmap", "w") as archive:
        archive.writestr(DOCUMENT, deep)
    with pytest.raises(FileFormatError):
        read_archive(tmp_path / "deep.lsmmap", KIND, 1)


@pytest.mark.parametrize("count", ["9" * 15, "9" * 5000, "9" * 500_000], ids=["15", "5000", "500000"])
@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
def test_a_ply_that_announces_any_number_of_vertices_is_refused(tmp_path: Path, form: str, count: str) -> None:
    head = f"ply\nformat {form} 1.0\nelement vertex {count}\nproperty float x\nend_header\n1.0\n"
    (tmp_path / "bomb.ply").write_text(head)
    with pytest.raises(FileFormatError):
        read_ply(tmp_path / "bomb.ply")


def test_a_record_of_a_scene_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    """poses.json from outside names a depth picture by a path that leads out of its folder."""
    (tmp_path / "secret.png").write_bytes(b"\x89PNG")
    folder = tmp_path / "scene"
    folder.mkdir()
    (tmp_path / "two.glb").write_bytes(gaussian_glb(10, 1, np.full(40, 0.5, np.float32).tobytes()))
    write_gaussians(folder / "gaussians.ply", read_gltf(tmp_path / "two.glb"))
    eye = np.eye(4).tolist()
    view = {
        "pose_valid": True, "depth": "../secret.png", "image": "a.png", "T_cam0_cam": eye,
        "K": np.eye(3).tolist(), "depth_pixel_to_image_pixel": np.eye(3).tolist(),
    }  # fmt: skip
    (folder / "poses.json").write_text(json.dumps({"views": [view], "unit": "relative", "backend": "x"}))
    with pytest.raises(FileFormatError, match=r"scene/secret\.png"):
        open_scene(folder)
