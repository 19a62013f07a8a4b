"""`lsm render GAUSSIANS.ply`: draw Gaussians from a camera of your choice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from lsm_core.cli.arguments import JsonOption, image_size, numbers
from lsm_core.cli.console import err, out, print_json, progress_bar
from lsm_core.errors import InputError
from lsm_core.types import Camera


def look_at(
    eye: list[float], target: list[float], down: tuple[float, float, float] = (0.0, 1.0, 0.0)
) -> torch.Tensor:
    """Return [4, 4] T_scene_cam of a camera at `eye` that looks at `target`, its y axis towards `down`.

    Raises:
        InputError: both are the same point.
    """
    forward = np.asarray(target, np.float64) - np.asarray(eye, np.float64)
    if np.linalg.norm(forward) < 1e-9:
        raise InputError(
            "The camera's position and the point it looks at are the same.", "Change --eye or --look-at."
        )
    forward /= np.linalg.norm(forward)
    hint = np.asarray(down) if abs(forward @ np.asarray(down)) < 0.999 else np.array([0.0, 0.0, -1.0])
    right = np.cross(hint, forward)
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    T[:3, 3] = eye
    return torch.from_numpy(T).float()


def pinhole(width: int, height: int, fov_deg: float, T_scene_cam: torch.Tensor) -> Camera:
    """Return a camera with a horizontal field of view, principal point in the middle.

    Raises:
        InputError: the angle is not between 1 and 170 degrees.
    """
    if not 1 <= fov_deg <= 170:
        raise InputError(f"--fov must be between 1 and 170 degrees, got {fov_deg:g}.")
    focal = width / 2 / np.tan(np.deg2rad(fov_deg) / 2)
    K = torch.tensor([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], dtype=torch.float32)
    return Camera(K, width, height, T_scene_cam)


def orbit_eyes(eye: list[float], target: list[float], frames: int, degrees: float = 30.0) -> list[list[float]]:
    """Return positions that swing about the target's vertical (y) axis and back, `degrees` to each side."""
    offset = np.asarray(eye) - np.asarray(target)
    eyes = []
    for k in range(frames):
        angle = np.deg2rad(degrees) * np.sin(2 * np.pi * k / frames)
        c, s = np.cos(angle), np.sin(angle)
        turned = np.array([c * offset[0] + s * offset[2], offset[1], -s * offset[0] + c * offset[2]])
        eyes.append((np.asarray(target) + turned).tolist())
    return eyes


def render(
    gaussians: Annotated[Path, typer.Argument(metavar="GAUSSIANS.ply", help="Written by `lsm reconstruct`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file; with --orbit a folder.")] = Path(
        "out/render.png"
    ),
    size: Annotated[str, typer.Option(help="Picture size, pixels.")] = "640x480",
    fov: Annotated[float, typer.Option(help="Horizontal field of view, degrees.")] = 65.0,
    eye: Annotated[str, typer.Option(help="Camera position x,y,z; x right, y down, z forward.")] = "0,0,0",
    target: Annotated[str | None, typer.Option("--look-at", help="Point x,y,z; default: straight ahead.")] = None,
    depth: Annotated[bool, typer.Option("--depth", help="Also write a picture of the depth.")] = False,
    orbit: Annotated[int, typer.Option(min=0, max=2000, help="Draw this many frames of a swing instead.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Draw Gaussians into a PNG, or a swing around them into a folder of PNGs."""
    from lsm_core.io import read_gaussians, write_png
    from lsm_core.io.colormaps import color_depth
    from lsm_core.render import render as draw

    width, height = image_size(size)
    scene = read_gaussians(gaussians)
    position = numbers(eye, 3, "--eye")
    ahead = float(scene.means[:, 2].median()) if len(scene) else 1.0
    middle = (
        numbers(target, 3, "--look-at") if target else [position[0], position[1], position[2] + max(ahead, 1e-3)]
    )
    eyes = orbit_eyes(position, middle, orbit) if orbit else [position]
    files: list[str] = []
    with progress_bar(disable=not orbit or as_json) as bar:
        for k, place in enumerate(bar.track(eyes, description="Drawing")):
            result = draw(scene, pinhole(width, height, fov, look_at(place, middle)))
            name = output / f"frame_{k:04d}.png" if orbit else output
            write_png(name, (255 * result.rgb.numpy()).round().astype(np.uint8))
            files.append(str(name))
            if depth:
                files.append(str(name.with_name(f"{name.stem}_depth.png")))
                write_png(files[-1], color_depth(result.depth.numpy()))
    covered = float((result.alpha > 0.5).float().mean())
    if covered < 0.01:
        err.print("[yellow]Nearly nothing is in view: check --eye and --look-at.[/]")
    if as_json:
        print_json({"ok": True, "gaussians": len(scene), "files": files, "covered": covered})
    else:
        out.print(
            f"{len(scene):,} Gaussians: {files[0]}" + (f" and {len(files) - 1} more" if len(files) > 1 else "")
        )


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(render)
