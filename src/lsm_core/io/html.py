"""A scene as one HTML file that any browser with WebGL 2 opens, without network: splats and viewer are in it.

The viewer is three.js and Spark, bundled by tools/viewer (see THIRD_PARTY.md); the splats are SPZ in base64.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.io.atomic import write_text
from lsm_core.io.finite_gaussians import finite_gaussians
from lsm_core.io.spz import encode_spz
from lsm_core.types import Camera, Gaussians

NEAR, FAR = 0.002, 2000.0  # clipping distances, in median distances of the scene


@dataclass(frozen=True)
class PageView:
    """Where the page's camera starts; in the scene's frame (x right, y down, z forward), y stays down.

    Attributes:
        eye: position, scene units.
        target: the point it looks at and turns about; None for the scene's middle depth straight ahead.
        fov_deg: horizontal field of view of a picture with `aspect`.
        aspect: width through height of the picture that must be in view.
    """

    eye: tuple[float, float, float] = (0.0, 0.0, 0.0)
    target: tuple[float, float, float] | None = None
    fov_deg: float = 65.0
    aspect: float = 4 / 3


def view_of(camera: Camera, gaussians: Gaussians) -> PageView:
    """Return the view of a camera, turning about the scene's median depth along its axis.

    The page has no principal point and keeps y down, so a camera that is tilted sideways is levelled.
    """
    T = camera.T_scene_cam.double().cpu()
    means = gaussians.means.detach().double().cpu()
    depth = (means - T[:3, 3]) @ T[:3, 2]
    ahead = depth[depth > 0]
    middle = float(ahead.median()) if len(ahead) else 1.0
    target = T[:3, 3] + middle * T[:3, 2]
    fov = math.degrees(2 * math.atan(camera.width / 2 / float(camera.K[0, 0])))
    return PageView(_point(T[:3, 3]), _point(target), fov, camera.width / camera.height)


def _point(vector: Tensor) -> tuple[float, float, float]:
    x, y, z = vector.tolist()
    return x, y, z


def write_html(
    path: str | Path, gaussians: Gaussians, title: str = "Scene", caption: str = "", view: PageView | None = None
) -> None:
    """Write the page.

    Raises:
        InputError: no Gaussians, a field of view outside 1 to 170 degrees, or the file cannot be written.
    """
    scene = finite_gaussians(gaussians)
    if not len(scene):
        raise InputError("There are no Gaussians to show.", "Lower --min-opacity.")
    parts = {
        "TITLE": html.escape(title),
        "CAPTION": html.escape(caption),
        "SETTINGS": json.dumps(_settings(scene, view or PageView())),
        "SCENE": base64.b64encode(encode_spz(scene)).decode("ascii"),
        "VIEWER": _asset("viewer.js"),
    }
    write_text(path, re.sub("@@([A-Z]+)@@", lambda found: parts[found[1]], _asset("page.html")))


def _settings(gaussians: Gaussians, view: PageView) -> dict[str, object]:
    """Return what the page's script reads, in its frame (y up, z backward)."""
    if not 1 <= view.fov_deg <= 170:
        raise InputError(f"The field of view must be between 1 and 170 degrees, got {view.fov_deg:g}.")
    means = gaussians.means.detach().cpu()
    ahead = max(float(means[:, 2].median()) - view.eye[2], 1e-3)
    target = view.target or (view.eye[0], view.eye[1], view.eye[2] + ahead)
    if math.dist(view.eye, target) < 1e-9:
        raise InputError("The camera's position and the point it looks at are the same.")
    distance = max(float(means.norm(dim=1).median()), math.dist(view.eye, target))
    half_height = math.tan(math.radians(view.fov_deg) / 2) / view.aspect
    return {
        "eye": [view.eye[0], -view.eye[1], -view.eye[2]],
        "target": [target[0], -target[1], -target[2]],
        "fov_y_deg": math.degrees(2 * math.atan(half_height)),
        "aspect": view.aspect,
        "near": NEAR * distance,
        "far": FAR * distance,
        "background": "#000000",
    }


def _asset(name: str) -> str:
    """Return a text that comes with the package."""
    return files("lsm_core").joinpath("assets", "viewer", name).read_text(encoding="utf-8")
