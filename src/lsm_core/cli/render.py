"""`lsm render SCENE`: films and pictures of a scene from new places."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lsm_core.cli.arguments import (
    DeviceOption,
    IntrinsicsOption,
    JsonOption,
    QueryOption,
    SemanticsOption,
    SemanticsWeightsOption,
    WeightsOption,
    image_size,
)
from lsm_core.cli.console import err, out, print_json
from lsm_core.cli.film_files import FILMS, write_film
from lsm_core.cli.render_request import Request, choose_cameras, default_kinds, frame, read_scene
from lsm_core.errors import InputError

TOUCHING = 1.25  # times the near plane's distance: a surface this near is being cut


def render(
    source: Annotated[
        list[Path],
        typer.Argument(metavar="SCENE | A B", help="A folder of `lsm reconstruct`, Gaussians, or two images."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder; or one file .png, .mp4, .webp, .gif.")
    ] = Path("out/render"),
    path: Annotated[
        str,
        typer.Option(help="turntable, fly (between the input views), still, or a TUM file of camera poses."),
    ] = "",
    show: Annotated[
        list[str] | None,
        typer.Option(help="rgb, depth, normals, features, masks, relevancy, all; commas or repeat."),
    ] = None,
    query: QueryOption = None,
    frames: Annotated[int | None, typer.Option(min=1, max=5000, help="Default: 60; a TUM file's own.")] = None,
    fps: Annotated[float, typer.Option(min=1, max=120, help="Pictures per second.")] = 20.0,
    angle: Annotated[
        float | None, typer.Option(help="Turn-table: degrees to each side; default: what the views support.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="640x480; default: 640 wide, shape of the views.")] = None,
    fov: Annotated[float | None, typer.Option(help="Horizontal, degrees; default: that of the views.")] = None,
    view: Annotated[int | None, typer.Option(min=0, help="Still: from this input view.")] = None,
    eye: Annotated[str | None, typer.Option(help="Still: camera position x,y,z; x right, y down.")] = None,
    target: Annotated[str | None, typer.Option("--look-at", help="Still: point x,y,z to look at.")] = None,
    form: Annotated[str, typer.Option("--format", help="auto, mp4, webp, gif or png (frames).")] = "auto",
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", help="For images and words; default: the scene's, lsm-tiny.")
    ] = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    semantics: SemanticsOption = None,
    semantics_weights: SemanticsWeightsOption = None,
    camera: IntrinsicsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a scene from new places: turn-tables, flights between the views, stills; colour, depth, words."""
    request = Request(
        source, path or _default_path(output), show or [], query or [], frames, angle, view, eye, target, fov,
        None if size is None else image_size(size), backend, device, weights,
        semantics, semantics_weights, camera,
    )  # fmt: skip
    scene, model = read_scene(request)
    kinds = default_kinds(request, scene, one_file=output.suffix.lower() in (".png", *FILMS))
    framing = frame(request, scene)
    cameras = choose_cameras(request, scene, framing)
    from lsm_core.views import Question

    question = Question(model, request.query) if model is not None and request.query else None
    if request.path == "still":
        record = _still(output, scene, cameras[0], kinds, question)
    else:
        record = write_film(output, scene, cameras, kinds, question, request.path, form, fps, as_json)
    record |= _judge(scene, cameras)
    if as_json:
        print_json({"ok": True, "gaussians": len(scene.gaussians), "unit": scene.unit, **record})
        return
    out.print(f"{len(scene.gaussians):,} Gaussians, {record['frames']} frame(s): {record['files'][0]}")
    for file in record["files"][1:]:
        out.print(f"  {file}")


def _default_path(output: Path) -> str:
    """Return "still" for a PNG file, else "turntable"."""
    return "still" if output.suffix.lower() == ".png" else "turntable"


def _still(output: Path, scene: Any, camera: Any, kinds: Any, question: Any) -> dict[str, Any]:
    """Write one picture per kind: the first one to OUT.png, others to OUT_NAME.png; or all into a folder."""
    from lsm_core.io import write_png
    from lsm_core.views import Painter

    pictures = Painter(scene, kinds, [camera], question).paint(camera)
    files = []
    for index, (name, picture) in enumerate(pictures.items()):
        file = output / f"{name}.png"
        if output.suffix.lower() == ".png":
            file = output if index == 0 else output.with_name(f"{output.stem}_{name}.png")
        elif output.suffix.lower() in FILMS:
            raise InputError("A still is no film.", "Name a .png file or a folder, or leave --path still out.")
        write_png(file, picture)
        files.append(str(file))
    return {"path": "still", "frames": 1, "files": files}


def _judge(scene: Any, cameras: Any) -> dict[str, Any]:
    """Look at some views of the path: say so where they are empty or a surface touches the near plane.

    Returns:
        "covered": the smallest covered share; "nearest": the nearest surface, scene units.
    """
    from lsm_core.views.framing import probe

    step = max(1, len(cameras) // 12)
    found = {index: probe(scene.gaussians, cameras[index]) for index in range(0, len(cameras), step)}
    covered, nearest = min(p.coverage for p in found.values()), min(p.nearest for p in found.values())
    if covered < 0.01:
        err.print("[yellow]Nearly nothing is in view: check --eye, --look-at or the path.[/]")
    close = min(found, key=lambda index: found[index].nearest)
    if nearest < TOUCHING * cameras[0].near:
        err.print(f"[yellow]Frame {close} is so near a surface that a part of it is cut off.[/]")
    return {"covered": covered, "nearest": nearest}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(render)
