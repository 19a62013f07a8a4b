"""Our files in loaders of JavaScript viewers, in Node: SuperSplat's converter, Babylon.js, Khronos' validator.

Needs the packages of tools/readers: `cd tools/readers && npm ci --ignore-scripts`.
"""

from __future__ import annotations

import base64
import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_scene import axes_apart_deg, random_scene, turn_apart_deg

from lsm_core.io import write_gaussians, write_gltf, write_splat, write_spz
from lsm_core.io.y_up import turn_half_around_x

READERS = Path(__file__).resolve().parents[3] / "tools" / "readers"


@pytest.fixture(scope="module")
def node() -> str:
    """Return the program `node`; the test is skipped where it or the packages are missing."""
    program = shutil.which("node")
    if program is None or not (READERS / "node_modules").is_dir():
        pytest.skip("no Node.js, or not installed: cd tools/readers && npm ci --ignore-scripts")
    return program


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=READERS, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_splat_transform(node: str, file: Path) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a file as PlayCanvas' splat-transform, the library of SuperSplat, reads it."""
    table = file.with_suffix(".csv")
    run(node, "node_modules/@playcanvas/splat-transform/bin/cli.mjs", "-q", file, "-w", table)
    with table.open(newline="") as lines:
        rows = list(csv.reader(lines))
    values = np.array(rows[1:], float)
    return {name: values[:, i] for i, name in enumerate(rows[0])}


@pytest.mark.parametrize("form", ["ply", "spz", "splat"])
def test_supersplat_reads_our_files(node: str, tmp_path: Path, form: str) -> None:
    degree = 0 if form == "splat" else 2
    scene = random_scene(60, degree)
    {"ply": write_gaussians, "spz": write_spz, "splat": write_splat}[form](tmp_path / f"s.{form}", scene)
    if form == "splat":
        weight = scene.opacities * scene.scales.prod(-1)
        scene = scene.select(torch.argsort(weight, descending=True, stable=True))
    read = by_splat_transform(node, tmp_path / f"s.{form}")
    steps = {"ply": (0, 1e-5, 1e-5, 1e-5), "spz": (3e-4, 0.032, 0.002, 0.014), "splat": (0, 1e-5, 0.002, 0.01)}
    position, log_scale, opacity, dc = steps[form]

    def stack(prefix: str, count: int) -> NDArray[np.float64]:
        return np.stack([read[f"{prefix}_{i}"] for i in range(count)], 1)

    means = np.stack([read[axis] for axis in "xyz"], 1)
    np.testing.assert_allclose(means, scene.means.numpy(), atol=position + 1e-6)
    np.testing.assert_allclose(stack("scale", 3), np.log(scene.scales.numpy()), atol=log_scale)
    np.testing.assert_allclose(1 / (1 + np.exp(-read["opacity"])), scene.opacities.numpy(), atol=opacity)
    if form == "splat":
        np.testing.assert_allclose(0.5 + 0.2820948 * stack("f_dc", 3), scene.rgb.numpy(), atol=0.002)
    else:
        np.testing.assert_allclose(stack("f_dc", 3), scene.sh[:, 0].numpy(), atol=dc)
        rest = scene.sh[:, 1:].numpy().transpose(0, 2, 1).reshape(60, -1)  # all red, all green, all blue
        np.testing.assert_allclose(stack("f_rest", 24), rest, atol=0.004)
    turn = axes_apart_deg(torch.from_numpy(stack("rot", 4)), scene.quats)
    assert float(turn.max()) < {"ply": 1e-3, "spz": 0.25, "splat": 1.5}[form]


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_babylon_reads_our_glb(node: str, tmp_path: Path, degree: int) -> None:
    """Its loader quantises to bytes; positions and scales stay float."""
    scene = random_scene(60, degree)
    write_gltf(tmp_path / "s.glb", scene)
    answer = run(node, "read_glb.mjs", tmp_path / "s.glb")
    read = json.loads(answer[answer.index("{") :])
    layout = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("rotation", "u1", 4)])
    rows = np.frombuffer(base64.b64decode(read["rows"]), layout)
    scene = turn_half_around_x(scene)
    np.testing.assert_allclose(rows["mean"], scene.means.numpy(), atol=1e-6)
    np.testing.assert_allclose(rows["scale"], scene.scales.numpy(), rtol=1e-6)
    rgba = torch.cat([scene.rgb, scene.opacities[:, None]], 1).numpy()
    np.testing.assert_allclose(rows["rgba"], 255 * rgba, atol=1.01)
    quats = torch.from_numpy((rows["rotation"].astype(np.float64) - 127.5) / 127.5)
    assert float(turn_apart_deg(quats, scene.quats).max()) < 1.5
    assert read["degree"] == degree
    if degree:
        textures = [np.frombuffer(base64.b64decode(t), np.uint8).reshape(-1, 16)[:60] for t in read["sh"]]
        higher = scene.sh[:, 1:].reshape(60, -1).numpy()
        stored = np.concatenate(textures, 1)[:, : higher.shape[1]]
        np.testing.assert_allclose(stored, (128 + 128 * higher).clip(0, 255), atol=1.01)


def test_khronos_validator_finds_nothing_but_an_extension_it_does_not_know(node: str, tmp_path: Path) -> None:
    write_gltf(tmp_path / "s.glb", random_scene(60, 1))
    script = (
        "import { readFileSync } from 'node:fs'; import validator from 'gltf-validator';"
        "const report = await validator.validateBytes(new Uint8Array(readFileSync(process.argv[1])),"
        "{ maxIssues: 0 }); console.log(JSON.stringify(report));"
    )
    report = json.loads(run(node, "--input-type=module", "-e", script, "--", tmp_path / "s.glb"))
    others = [
        message
        for message in report["issues"]["messages"]
        if message["code"] != "UNSUPPORTED_EXTENSION"
        and not (message["code"] == "MESH_PRIMITIVE_INVALID_ATTRIBUTE" and "KHR_gaussian" in message["pointer"])
    ]
    assert others == []
    assert report["info"]["totalVertexCount"] == 60
