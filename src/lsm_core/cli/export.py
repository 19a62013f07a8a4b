"""`lsm export GAUSSIANS.ply OUT`: the same scene in another format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from lsm_core.cli.arguments import JsonOption
from lsm_core.cli.console import out, print_json
from lsm_core.errors import InputError


class Format(StrEnum):
    """What can be written."""

    GAUSSIANS = "gaussians"  # PLY with the fields of 3D Gaussian Splatting
    POINTS = "points"  # PLY of coloured points
    SPLAT = "splat"  # 32 bytes per Gaussian, for web viewers
    NPZ = "npz"  # NumPy arrays


def export(
    source: Annotated[Path, typer.Argument(metavar="GAUSSIANS.ply", help="Written by `lsm reconstruct`.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    form: Annotated[Format | None, typer.Option("--format", help="Default: by the ending of OUT.")] = None,
    min_opacity: Annotated[float, typer.Option(min=0, max=1, help="Leave out fainter Gaussians.")] = 0.0,
    scale: Annotated[float, typer.Option(help="Multiply all lengths, for example to get metres.")] = 1.0,
    features: Annotated[bool, typer.Option(help="Keep language features (gaussians, npz).")] = True,
    as_json: JsonOption = False,
) -> None:
    """Convert Gaussians, drop faint ones, rescale."""
    from dataclasses import replace

    import torch

    from lsm_core.io import PointCloud, read_gaussians, write_gaussians, write_point_cloud
    from lsm_core.io.atomic import atomic_path
    from lsm_core.io.splat import write_splat
    from lsm_core.types import Sim3

    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"--scale must be a positive number, got {scale:g}.")
    chosen = form or format_of(target)
    scene = read_gaussians(source)
    scene = scene.select(scene.opacities >= min_opacity)
    if scale != 1.0:
        scene = scene.transform(Sim3(scale, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)))
    if not features:
        scene = replace(scene, features=None)
    if chosen is Format.GAUSSIANS:
        write_gaussians(target, scene)
    elif chosen is Format.POINTS:
        rgb = (255 * scene.rgb.numpy()).round().astype(np.uint8)
        write_point_cloud(target, PointCloud(scene.means.numpy(), rgb, scene.opacities.numpy()))
    elif chosen is Format.SPLAT:
        write_splat(target, scene)
    else:
        names = ("means", "quats", "scales", "opacities", "sh", "features")
        arrays = {n: getattr(scene, n).numpy() for n in names if getattr(scene, n) is not None}
        with atomic_path(target) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
    if as_json:
        print_json({"ok": True, "gaussians": len(scene), "format": chosen.value, "file": str(target)})
    else:
        out.print(f"{len(scene):,} Gaussians as {chosen.value}: {target}")


def format_of(target: Path) -> Format:
    """Return the format that a file's ending stands for.

    Raises:
        InputError: none.
    """
    known = {".ply": Format.GAUSSIANS, ".splat": Format.SPLAT, ".npz": Format.NPZ}
    if target.suffix.lower() not in known:
        raise InputError(
            f"No format is known for the ending '{target.suffix}'.", f"Use {', '.join(known)} or --format."
        )
    return known[target.suffix.lower()]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(export)
