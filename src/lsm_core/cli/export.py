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
    from lsm_core.types import Gaussians


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
    TUM = "tum"  # the cameras of poses.json


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

    source: Path
    title: str
    cameras: Path | None
    fov_deg: float
    voxel: float | None


def export(
    source: Annotated[
        Path, typer.Argument(metavar="SCENE", help="Gaussians: .ply, .splat, .spz, .glb, .npz. Or poses.json.")
    ],
    target: Annotated[Path | None, typer.Argument(metavar="OUT", help="File to write; its ending chooses.")] = None,
    page: Annotated[Path | None, typer.Option("--html", help="Write (also) a page with its own viewer.")] = None,
    form: Annotated[Format | None, typer.Option("--format", help="Default: by the ending of OUT.")] = None,
    min_opacity: Annotated[float, typer.Option(min=0, max=1, help="Leave out fainter Gaussians.")] = 0.0,
    scale: Annotated[float, typer.Option(help="Multiply all lengths, for example to get metres.")] = 1.0,
    features: Annotated[bool, typer.Option(help="Keep language features (gaussians, npz).")] = True,
    cameras: Annotated[
        Path | None, typer.Option(help="mesh: poses.json or .tum; default: the one beside SCENE.")
    ] = None,
    voxel: Annotated[float | None, typer.Option(help="mesh: size of a cell, in units of OUT.")] = None,
    fov: Annotated[float, typer.Option(help="html, mesh: field of view where none is known, degrees.")] = 65.0,
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
    options = Options(source, title or source.stem, cameras, fov, voxel)
    if any(chosen is Format.TUM for _, chosen in jobs):
        _write_trajectory(source, jobs, scale)
        scene = None
    else:
        scene = _load(source, min_opacity, scale, features)
        for path, chosen in jobs:
            with err.status(f"Writing {path} ..."):
                _write(path, chosen, scene, options, scale)
    written = [{"format": chosen.value, "file": str(path), "bytes": path.stat().st_size} for path, chosen in jobs]
    if as_json:
        print_json({"ok": True, "gaussians": None if scene is None else len(scene), **written[0], "files": written})
        return
    for entry in written:
        what = "The cameras" if scene is None else f"{len(scene):,} Gaussians"
        out.print(f"{what} as {entry['format']}, {int(str(entry['bytes'])) / 1e6:.2f} MB: {entry['file']}")


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


def _load(source: Path, min_opacity: float, scale: float, features: bool) -> Gaussians:
    """Read the scene and change it as asked for."""
    import torch

    from lsm_core.io import read_scene
    from lsm_core.types import Sim3

    scene = read_scene(source)
    scene = scene.select(scene.opacities >= min_opacity)
    if scale != 1.0:
        scene = scene.transform(Sim3(scale, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)))
    return scene if features else replace(scene, features=None)


def _write(path: Path, chosen: Format, scene: Gaussians, options: Options, scale: float) -> None:
    """Write one file."""
    from lsm_core import io
    from lsm_core.io.html import PageView, write_html

    if chosen is Format.POINTS:
        rgb = (255 * scene.rgb.numpy()).round().astype(np.uint8)
        io.write_point_cloud(path, io.PointCloud(scene.means.numpy(), rgb, scene.opacities.numpy()))
    elif chosen is Format.MESH:
        _write_mesh(path, scene, options, scale)
    elif chosen is Format.HTML:
        caption = f"{len(scene):,} Gaussians"
        write_html(path, scene, options.title, caption, PageView(fov_deg=options.fov_deg))
    else:
        writers: dict[Format, Any] = {
            Format.GAUSSIANS: io.write_gaussians,
            Format.SPLAT: io.write_splat,
            Format.SPZ: io.write_spz,
            Format.GLTF: io.write_gltf,
            Format.NPZ: io.write_npz,
        }
        writers[chosen](path, scene)


def _write_mesh(path: Path, scene: Gaussians, options: Options, scale: float) -> None:
    """Fuse depth drawn from the scene's cameras into a mesh."""
    from lsm_core.cli.cameras import scene_cameras
    from lsm_core.io.mesh import write_mesh
    from lsm_core.render.surface import mesh_from_gaussians

    cameras = []
    for camera in scene_cameras(options.source, options.cameras, options.fov_deg):
        T = camera.T_scene_cam.clone()
        T[:3, 3] *= scale
        cameras.append(replace(camera, T_scene_cam=T))
    write_mesh(path, mesh_from_gaussians(scene, cameras, options.voxel))


def _write_trajectory(source: Path, jobs: list[tuple[Path, Format]], scale: float) -> None:
    """Write the cameras of a poses.json as TUM trajectories."""
    from lsm_core.cli.cameras import pair_trajectory
    from lsm_core.io import Trajectory, write_tum

    if source.suffix.lower() != ".json" or len(jobs) > 1:
        raise InputError("A trajectory is made from a poses.json only.", "lsm export DIR/poses.json cameras.tum")
    track = pair_trajectory(source)
    poses = track.poses.copy()
    poses[:, :3, 3] *= scale
    write_tum(jobs[0][0], Trajectory(track.stamps_ns, poses), "T_cam0_cam; the stamp is the image's number")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(export)
