"""`lsm export SOURCE OUT`: the same scene in another format (docs/formats.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from lsm_core.cli.arguments import JsonOption
from lsm_core.cli.console import err, out, print_json
from lsm_core.errors import InputError

if TYPE_CHECKING:
    from lsm_core.io.html import PageView
    from lsm_core.types import Camera
    from lsm_core.views import Scene

ANY_FOV_DEG = 65.0  # where nothing is known of a camera


class Format(StrEnum):
    """What can be written."""

    GAUSSIANS = "gaussians"  # PLY with the fields of 3D Gaussian Splatting
    POINTS = "points"  # PLY of coloured points
    MESH = "mesh"  # PLY of triangles
    SPLAT = "splat"  # 32 bytes per Gaussian, for web viewers
    SPZ = "spz"  # compressed Gaussians
    GLTF = "gltf"  # binary glTF with KHR_gaussian_splatting
    NPZ = "npz"  # NumPy arrays
    HTML = "html"  # a page with its own viewer
    TUM = "tum"  # the cameras


BY_ENDING = {
    ".ply": Format.GAUSSIANS,
    ".splat": Format.SPLAT,
    ".spz": Format.SPZ,
    ".glb": Format.GLTF,
    ".npz": Format.NPZ,
    ".html": Format.HTML,
    ".tum": Format.TUM,
}


@dataclass(frozen=True)
class Options:
    """What shapes some of the formats: see the options of the command."""

    title: str
    fov_deg: float | None
    voxel: float | None


def export(
    source: Annotated[
        Path,
        typer.Argument(metavar="SCENE", help="Folder of `lsm reconstruct`, or .ply .splat .spz .glb .npz."),
    ],
    target: Annotated[Path | None, typer.Argument(metavar="OUT", help="File to write; its ending chooses.")] = None,
    page: Annotated[Path | None, typer.Option("--html", help="Write (also) a page with its own viewer.")] = None,
    form: Annotated[Format | None, typer.Option("--format", help="Default: by the ending of OUT.")] = None,
    min_opacity: Annotated[float, typer.Option(min=0, max=1, help="Leave out fainter Gaussians.")] = 0.0,
    scale: Annotated[float, typer.Option(help="Multiply all lengths, for example to get metres.")] = 1.0,
    features: Annotated[bool, typer.Option(help="Keep language features (gaussians, npz).")] = True,
    voxel: Annotated[float | None, typer.Option(help="mesh: size of a cell, in units of OUT.")] = None,
    fov: Annotated[
        float | None,
        typer.Option(help="html, mesh: a lens at the origin in place of the scene's, degrees."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="html: what the page is called; default: the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a scene, drop faint Gaussians, rescale."""
    jobs = [(target, form or format_of(target))] if target is not None else []
    jobs += [(page, Format.HTML)] if page is not None else []
    if not jobs:
        raise InputError("Nothing to write.", "Name a file OUT, or a page with --html.")
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"--scale must be a positive number, got {scale:g}.")
    options = Options(title or source.stem, fov, voxel)
    scene = _load(source, min_opacity, scale, features)
    for path, chosen in jobs:
        with err.status(f"Writing {path} ..."):
            _write(path, chosen, scene, options)
    written = [{"format": chosen.value, "file": str(path), "bytes": path.stat().st_size} for path, chosen in jobs]
    if as_json:
        print_json({"ok": True, "gaussians": len(scene.gaussians), **written[0], "files": written})
        return
    for entry in written:
        what = f"{len(scene.gaussians):,} Gaussians as {entry['format']}"
        out.print(f"{what}, {int(str(entry['bytes'])) / 1e6:.2f} MB: {entry['file']}")


def format_of(target: Path) -> Format:
    """Return the format that a file's ending stands for.

    Raises:
        InputError: none.
    """
    if target.suffix.lower() not in BY_ENDING:
        raise InputError(
            f"No format is known for the ending '{target.suffix}'.",
            f"Use {', '.join(BY_ENDING)}, or --format: {', '.join(Format)}.",
        )
    return BY_ENDING[target.suffix.lower()]


def _load(source: Path, min_opacity: float, scale: float, features: bool) -> Scene:
    """Read the scene and change it as asked for, its cameras too."""
    import torch

    from lsm_core.types import Sim3
    from lsm_core.views import open_scene

    scene = open_scene(source)
    gaussians = scene.gaussians.select(scene.gaussians.opacities >= min_opacity)
    cameras = scene.cameras
    if scale != 1.0:
        zoom = Sim3(scale, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
        gaussians = gaussians.transform(zoom)
        cameras = tuple(_moved_out(camera, scale) for camera in cameras)
    return replace(scene, gaussians=gaussians if features else replace(gaussians, features=None), cameras=cameras)


def _moved_out(camera: Camera, scale: float) -> Camera:
    """Return the camera in a scene whose lengths were multiplied."""
    T = camera.T_scene_cam.clone()
    T[:3, 3] *= scale
    return replace(camera, T_scene_cam=T)


def _write(path: Path, chosen: Format, scene: Scene, options: Options) -> None:
    """Write one file."""
    from lsm_core import io

    gaussians = scene.gaussians
    if chosen is Format.POINTS:
        rgb = (255 * gaussians.rgb.numpy()).round().astype(np.uint8)
        io.write_point_cloud(path, io.PointCloud(gaussians.means.numpy(), rgb, gaussians.opacities.numpy()))
    elif chosen is Format.MESH:
        from lsm_core.render.surface import mesh_from_gaussians

        cameras = scene.cameras if scene.cameras and options.fov_deg is None else (_at_origin(options),)
        io.write_mesh(path, mesh_from_gaussians(gaussians, cameras, options.voxel))
    elif chosen is Format.TUM:
        _write_trajectory(path, scene)
    elif chosen is Format.HTML:
        io.write_html(path, gaussians, options.title, f"{len(gaussians):,} Gaussians", _page_view(scene, options))
    else:
        writers: dict[Format, Any] = {
            Format.GAUSSIANS: io.write_gaussians,
            Format.SPLAT: io.write_splat,
            Format.SPZ: io.write_spz,
            Format.GLTF: io.write_gltf,
            Format.NPZ: io.write_npz,
        }
        writers[chosen](path, gaussians)


def _at_origin(options: Options) -> Camera:
    """Return a camera at the frame's origin that looks along z."""
    import torch

    from lsm_core.views.lens import pinhole

    return pinhole(640, 480, options.fov_deg or ANY_FOV_DEG, torch.eye(4))


def _page_view(scene: Scene, options: Options) -> PageView:
    """Return where a page starts: at the first camera of the scene, or at the origin."""
    from lsm_core.io.html import view_of

    camera = scene.cameras[0] if scene.cameras and options.fov_deg is None else _at_origin(options)
    return view_of(camera, scene.gaussians)


def _write_trajectory(path: Path, scene: Scene) -> None:
    """Write the cameras of a scene as a TUM trajectory; a camera's stamp is its number, in seconds."""
    from lsm_core.io import Trajectory, write_tum

    if not scene.cameras:
        raise InputError("This scene has no cameras.", "Name the folder that `lsm reconstruct` wrote.")
    stamps = np.arange(len(scene.cameras), dtype=np.int64) * 10**9
    poses = np.stack([camera.T_scene_cam.double().numpy() for camera in scene.cameras])
    write_tum(path, Trajectory(stamps, poses), "T_scene_cam; the stamp is the camera's number")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(export)
