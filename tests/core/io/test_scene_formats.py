"""Gaussians through every format and back, to the tolerances of docs/formats.md."""

from __future__ import annotations

import gzip
import logging
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from random_scene import random_scene, turn_apart_deg

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io import (
    read_gaussians,
    read_gltf,
    read_npz,
    read_scene,
    read_splat,
    read_spz,
    write_gaussians,
    write_gltf,
    write_npz,
    write_splat,
    write_spz,
)
from lsm_core.io.scene_files import READERS
from lsm_core.types import Gaussians

Write = Callable[[Path, Gaussians], None]
WRITERS: dict[str, Write] = {
    ".ply": write_gaussians,
    ".splat": write_splat,
    ".spz": write_spz,
    ".glb": write_gltf,
    ".npz": write_npz,
}


def drift(a: Gaussians, b: Gaussians) -> dict[str, float]:
    """Return the largest difference of each attribute; scales as ratio, rotations in degrees."""
    return {
        "means": float((a.means - b.means).abs().max()),
        "turn": float(turn_apart_deg(a.quats, b.quats).max()),
        "scales": float((a.scales.log() - b.scales.log()).abs().max()),
        "opacities": float((a.opacities - b.opacities).abs().max()),
        "dc": float((a.sh[:, 0] - b.sh[:, 0]).abs().max()),
        "rest": float((a.sh[:, 1:] - b.sh[:, 1:]).abs().max()) if a.degree else 0.0,
    }


def check(drifts: dict[str, float], **limits: float) -> None:
    assert {name: value for name, value in drifts.items() if value > limits[name]} == {}


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("ending", [".ply", ".glb", ".npz"])
def test_lossless_formats_give_back_what_was_written(tmp_path: Path, ending: str, degree: int) -> None:
    scene = random_scene(300, degree, seed=degree)
    path = tmp_path / f"scene{ending}"
    WRITERS[ending](path, scene)
    found = drift(scene, read_scene(path))
    check(found, means=0.0, turn=1e-4, scales=1e-6, opacities=1e-6, dc=1e-6, rest=1e-6)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [0.2, 3.0, 300.0])
def test_spz_keeps_every_attribute_to_its_step(tmp_path: Path, degree: int, size: float) -> None:
    scene = random_scene(300, degree, seed=degree, size=size)
    write_spz(tmp_path / "scene.spz", scene)
    middle = float(scene.means.norm(dim=1).median())
    back = read_spz(tmp_path / "scene.spz")
    check(
        drift(scene, back),
        means=middle * 2.0**-14 if size < 100 else 2.0**-12,
        turn=0.25,
        scales=1 / 32 + 1e-5,
        opacities=0.5 / 255 + 1e-6,
        dc=0.5 / (0.15 * 255) + 1e-6,
        rest=0.5 / 128 + 1e-6,
    )


def test_spz_rotations_survive_in_all_directions(tmp_path: Path) -> None:
    scene = random_scene(5000, seed=5)
    axes = torch.cat([torch.eye(4), -torch.eye(4), torch.full((1, 4), 0.5), torch.full((1, 4), -0.5)])
    scene.quats[: len(axes)] = axes
    write_spz(tmp_path / "scene.spz", scene)
    assert float(turn_apart_deg(scene.quats, read_spz(tmp_path / "scene.spz").quats).max()) < 0.25


def test_splat_keeps_what_it_has_in_order_of_importance(tmp_path: Path) -> None:
    scene = random_scene(300, degree=2)
    write_splat(tmp_path / "scene.splat", scene)
    back = read_splat(tmp_path / "scene.splat")
    weight = back.opacities * back.scales.prod(1)
    assert bool((weight[:-1] >= 0.9 * weight[1:]).all())
    order = torch.argsort(scene.opacities * scene.scales.prod(-1), descending=True, stable=True)
    scene = scene.select(order)
    assert float((scene.rgb - back.rgb).abs().max()) <= 0.5 / 255 + 1e-6
    found = drift(replace(scene, sh=scene.sh[:, :1]), back)
    check(found, means=0.0, turn=1.5, scales=1e-6, opacities=0.5 / 255 + 1e-6, dc=10.0, rest=0.0)


@pytest.mark.parametrize("ending", [".ply", ".npz"])
def test_language_features_survive_where_the_format_has_a_place(tmp_path: Path, ending: str) -> None:
    scene = random_scene(50, 1, features=7)
    WRITERS[ending](tmp_path / f"scene{ending}", scene)
    back = read_scene(tmp_path / f"scene{ending}")
    assert back.features is not None and scene.features is not None
    torch.testing.assert_close(back.features, scene.features, atol=0, rtol=0)


def test_spz_and_glb_hold_the_scene_with_y_up(tmp_path: Path) -> None:
    scene = random_scene(1)
    scene.means[0] = torch.tensor([1.0, 2.0, 3.0])  # right of, below and in front of the camera
    write_spz(tmp_path / "s.spz", scene)
    raw = gzip.decompress((tmp_path / "s.spz").read_bytes())
    bits = raw[13]
    coordinates = [int.from_bytes(raw[16 + 3 * i : 19 + 3 * i], "little", signed=True) / 2**bits for i in range(3)]
    assert coordinates == [1.0, -2.0, -3.0]
    write_gltf(tmp_path / "s.glb", scene)
    assert struct.pack("<3f", 1, -2, -3) in (tmp_path / "s.glb").read_bytes()


def test_glb_is_placed_as_its_nodes_say(tmp_path: Path) -> None:
    scene = random_scene(20, degree=1)
    path = tmp_path / "scene.glb"
    write_gltf(path, scene)
    data = path.read_bytes()
    moved = b'{"mesh":0,"translation":[0,10,0],"scale":[2,2,2]'
    data = data.replace(b'{"mesh":0', moved)
    length = struct.unpack_from("<I", data, 12)[0] + len(moved) - len(b'{"mesh":0')
    padding = -length % 4
    text = data[20 : 20 + length] + b" " * padding
    whole = struct.pack("<III", 0x46546C67, 2, len(data) + padding) + struct.pack("<I", len(text))
    path.write_bytes(whole + data[16:20] + text + data[20 + length :])
    back = read_gltf(path)
    torch.testing.assert_close(back.means, 2 * scene.means + torch.tensor([0.0, -10.0, 0.0]))
    torch.testing.assert_close(back.scales, 2 * scene.scales)
    torch.testing.assert_close(back.sh, scene.sh, atol=1e-5, rtol=0)


@pytest.mark.parametrize("ending", [".spz", ".splat", ".glb"])
def test_what_is_not_finite_is_left_out_and_counted(
    tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene = random_scene(10, degree=1)
    scene.means[0, 1], scene.scales[3, 0], scene.sh[5, 2, 1] = torch.nan, 0.0, torch.inf
    with caplog.at_level(logging.WARNING):
        WRITERS[ending](tmp_path / f"scene{ending}", scene)
    assert "3 of 10" in caplog.text
    back = read_scene(tmp_path / f"scene{ending}")
    assert len(back) == 7 and bool(torch.isfinite(back.means).all())


@pytest.mark.parametrize("ending", [".ply", ".spz", ".npz"])
def test_empty_scenes_round_trip(tmp_path: Path, ending: str) -> None:
    WRITERS[ending](tmp_path / f"none{ending}", random_scene(0, degree=1))
    assert len(read_scene(tmp_path / f"none{ending}")) == 0


def test_glb_without_gaussians_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without Gaussians"):
        write_gltf(tmp_path / "none.glb", random_scene(0))
    assert not list(tmp_path.iterdir())


def test_spz_refuses_what_24_bits_cannot_place(tmp_path: Path) -> None:
    scene = random_scene(5)
    scene.means[2, 0] = 1e7
    with pytest.raises(InputError, match="units out"):
        write_spz(tmp_path / "far.spz", scene)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", sorted(READERS))
@pytest.mark.parametrize("keep", [0, 3, 17, 60, 0.5, 0.98])
def test_cut_files_are_refused(tmp_path: Path, ending: str, keep: float) -> None:
    path = tmp_path / f"cut{ending}"
    WRITERS[ending](path, random_scene(40, degree=1))
    data = path.read_bytes()
    count = int(keep if keep > 1 else keep * len(data))
    path.write_bytes(data[: count - count % 32 + 5 if ending == ".splat" and count else count])
    with pytest.raises(FileFormatError):
        read_scene(path)


@pytest.mark.parametrize("ending", sorted(READERS))
def test_foreign_and_missing_files_are_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    with pytest.raises(FileFormatError, match="no file"):
        read_scene(path)
    path.mkdir()
    with pytest.raises(FileFormatError, match="no file"):
        read_scene(path)
    path.rmdir()
    path.write_text("no scene at all, just text")
    with pytest.raises(FileFormatError):
        read_scene(path)


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    """Flip bytes all over: either a scene is read or the file is refused."""
    rng = np.random.default_rng(0)
    for ending, write in WRITERS.items():
        path = tmp_path / f"scene{ending}"
        write(path, random_scene(8, degree=1))
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(60):
            data = whole.copy()
            data[rng.integers(0, min(len(data), 2000), 3)] = rng.integers(0, 256, 3)
            path.write_bytes(data.tobytes())
            try:
                read_scene(path)
            except FileFormatError:
                continue


def test_spz_version_2_is_read(tmp_path: Path) -> None:
    half = np.array([[0.5, -0.5, 0.5]])  # x, y, z; w is then 0.5
    rotation = np.rint(half * 127.5 + 127.5).astype(np.uint8).tobytes()
    header = struct.pack("<IIIBBBB", 0x5053474E, 2, 1, 0, 12, 0, 0)
    body = bytes([0, 16, 0] * 3) + bytes([255, 128, 128, 128, 160, 160, 160]) + rotation
    (tmp_path / "old.spz").write_bytes(gzip.compress(header + body))
    back = read_spz(tmp_path / "old.spz")
    torch.testing.assert_close(back.means, torch.tensor([[1.0, -1.0, -1.0]]))
    torch.testing.assert_close(back.scales, torch.ones(1, 3))
    # Turned half around x: q -> (0, 1, 0, 0) q.
    expected = torch.tensor([[-0.5, 0.5, -0.5, -0.5]])
    assert float(turn_apart_deg(back.quats, expected)) < 1.0


def test_newer_spz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "new.spz").write_bytes(struct.pack("<II", 0x5053474E, 5) + bytes(60))
    with pytest.raises(FileFormatError, match="Save it as SPZ version 3"):
        read_spz(tmp_path / "new.spz")


def test_spz_of_degree_4_and_impossible_sizes_are_refused(tmp_path: Path) -> None:
    for count, degree in ((1, 4), (2**31, 0)):
        header = struct.pack("<IIIBBBB", 0x5053474E, 3, count, degree, 12, 0, 0)
        (tmp_path / "x.spz").write_bytes(gzip.compress(header + bytes(100)))
        with pytest.raises(FileFormatError):
            read_spz(tmp_path / "x.spz")


def test_npz_without_the_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", means=np.zeros((3, 3)))
    with pytest.raises(FileFormatError, match="quats"):
        read_npz(tmp_path / "other.npz")


def test_a_ply_of_gaussians_names_its_missing_field(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"\.xyz"):
        read_scene(tmp_path / "cloud.xyz")
    (tmp_path / "p.ply").write_text("ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n")
    with pytest.raises(FileFormatError, match="f_dc_0"):
        read_gaussians(tmp_path / "p.ply")
