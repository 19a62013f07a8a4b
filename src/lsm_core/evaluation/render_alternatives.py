"""Other people's rasterizers that run on a processor, for comparison: used where installed, never needed.

They draw colours only. litesplat (Apache-2.0) is dense like our reference; Mitsuba 3 (BSD) traces rays through the
Gaussians, which is another image (no widening by 0.3 px^2, no tiles) of the same scene.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_core.errors import DependencyError
from lsm_core.sh import C0
from lsm_core.types import Camera, Gaussians

LITESPLAT_PIXELS = 64  # drawn by litesplat in one batch; its time grows with the pixels
MITSUBA_DEPTH = 128  # Gaussians a ray may pass


def litesplat_seconds(scene: Gaussians, camera: Camera) -> float:
    """Return litesplat's seconds for the image on Keras' torch backend, from a few pixels of it."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from litesplat.core.camera_model import CameraLayer
    from litesplat.core.gaussian_model import GaussianParameterLayer

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        _write_litesplat(Path(folder), scene, camera)
        view = CameraLayer(folder, GaussianParameterLayer(folder, trainable=False))
    xs = torch.linspace(0, camera.width - 1, LITESPLAT_PIXELS)
    pixels = torch.stack([xs, torch.full_like(xs, camera.height // 2)], 1)
    with torch.no_grad():
        started = time.perf_counter()
        view.render_pixel_color(pixels)
    return (time.perf_counter() - started) * camera.width * camera.height / LITESPLAT_PIXELS


def _write_litesplat(folder: Path, scene: Gaussians, camera: Camera) -> None:
    """Write the files litesplat reads."""
    T, K = camera.T_cam_scene.double(), camera.K
    columns = (scene.means, 0.5 + C0 * scene.sh[:, 0], scene.quats, scene.scales, scene.opacities)
    names = ("position", "color", "rotation", "scale", "opacity")
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]
    (folder / "gaussians.json").write_text(json.dumps(rows))
    view: dict[str, Any] = {"camera_id": 0, "model": "PINHOLE", "image_name": "", "rotation": T[:3, :3].tolist()}
    view |= {"width": camera.width, "height": camera.height, "translation": T[:3, 3].tolist()}
    view |= {"fx": float(K[0, 0]), "fy": float(K[1, 1]), "cx": float(K[0, 2]), "cy": float(K[1, 2])}
    (folder / "camera.json").write_text(json.dumps([view]))


def mitsuba_seconds(scene: Gaussians, camera: Camera) -> float:
    """Return Mitsuba's median seconds for the image, one ray per pixel, with LLVM on all of PyTorch's threads.

    Its LLVM library has to be recent (22 works, 14 aborts); `DRJIT_LIBLLVM_PATH` says where one is.
    """
    import drjit
    import mitsuba

    mitsuba.set_variant("llvm_ad_rgb")
    drjit.set_thread_count(torch.get_num_threads())
    loaded = mitsuba.load_dict(_mitsuba_scene(mitsuba, scene, camera))
    times = []
    for seed in range(4):
        started = time.perf_counter()
        np.array(mitsuba.render(loaded, spp=1, seed=seed))
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))


def _mitsuba_scene(mitsuba: Any, scene: Gaussians, camera: Camera) -> dict[str, Any]:
    """Describe the scene for Mitsuba, whose cameras look along z with x to the left and y up."""
    to_world = camera.T_scene_cam.double().numpy() @ np.diag([-1.0, -1.0, 1.0, 1.0])
    film = {"type": "hdrfilm", "width": camera.width, "height": camera.height, "rfilter": {"type": "box"}}
    return {
        "type": "scene",
        "integrator": {"type": "volprim_rf_basic", "max_depth": MITSUBA_DEPTH},
        "shape": {
            "type": "ellipsoids",
            "centers": mitsuba.TensorXf(scene.means.numpy()),
            "scales": mitsuba.TensorXf(scene.scales.numpy()),
            "quaternions": mitsuba.TensorXf(scene.quats[:, [1, 2, 3, 0]].numpy()),
            "opacities": mitsuba.TensorXf(scene.opacities[:, None].numpy()),
            "sh_coeffs": mitsuba.TensorXf(scene.sh.transpose(1, 2).flatten(1).numpy()),
        },
        "sensor": {
            "type": "perspective",
            "fov": math.degrees(2 * math.atan(camera.width / 2 / float(camera.K[0, 0]))),
            "to_world": mitsuba.ScalarTransform4f(to_world),
            "film": film,
            "sampler": {"type": "independent", "sample_count": 1},
        },
    }


ALTERNATIVES: dict[str, Callable[[Gaussians, Camera], float]] = {
    "litesplat": litesplat_seconds,
    "mitsuba": mitsuba_seconds,
}


def alternative_seconds(name: str, scene: Gaussians, camera: Camera) -> float:
    """Return the seconds another package takes for the colours of an image.

    Raises:
        DependencyError: there is no such package here.
    """
    if name not in ALTERNATIVES or importlib.util.find_spec(name) is None:
        raise DependencyError(
            f"The rasterizer {name!r} is not installed here.",
            f"Choose among {', '.join(ALTERNATIVES)} and install it with pip, in a virtual environment of its own.",
        )
    return ALTERNATIVES[name](scene, camera)
