"""`lsm query`: where in two images, a recording or a saved map are the things these words name?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lsm_core.cli.arguments import (
    DeviceOption,
    IntrinsicsOption,
    JsonOption,
    SemanticsOption,
    SemanticsWeightsOption,
    WeightsOption,
    intrinsics,
)
from lsm_core.cli.console import err, out, print_json
from lsm_core.cli.loading import ModelChoice
from lsm_core.errors import GeometryError, InputError
from lsm_core.query import split_texts

if TYPE_CHECKING:
    from lsm_core.cli.query_bag import BagOptions

BAG_ENDINGS = (".mcap", ".db3")


def query(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="A B | BAG | MAP TEXT...",
            help="Two images, a bag or a map, then what to look for: texts, or lists such as 'chair, table; sofa'.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the results; for a map also a .png.")
    ] = Path("out/query"),
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Smallest score of a masked pixel; default: the model's own.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", help="Model; default: lsm-tiny, or the one that made the map.")
    ] = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    semantics: SemanticsOption = None,
    semantics_weights: SemanticsWeightsOption = None,
    camera: IntrinsicsOption = None,
    topic: Annotated[str | None, typer.Option(help="Bag: image topic; default: the one with most images.")] = None,
    max_seconds: Annotated[float, typer.Option(min=0, help="Bag: stop after this much of it; 0 for all.")] = 0.0,
    use_odometry: Annotated[bool, typer.Option("--odometry/--no-odometry", help="Bag: use its odometry.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Find things named by words in two images, a bag or a saved map: masks, pictures, objects, and a table."""
    choice = ModelChoice(backend or "lsm-tiny", device, weights, semantics, semantics_weights)
    is_map, is_bag = is_map_path(Path(words[0])), is_bag_path(Path(words[0]))
    texts = words[1:] if is_map or is_bag else words[2:]
    if not texts:
        raise typer.BadParameter("TEXT is missing: say what to look for behind the file names.")
    asked = split_texts(texts)
    if is_map:
        from lsm_core.cli.query_map import MapQuestion, query_saved_map

        question = MapQuestion(Path(words[0]), asked, threshold, choice, any_model=backend is None)
        query_saved_map(question, output, as_json)
    elif is_bag:
        from lsm_core.cli.query_bag import BagOptions

        if camera:
            raise InputError("--intrinsics is for images.", "A bag brings its camera_info.")
        options = BagOptions(topic, max_seconds, use_odometry)
        _query_bag(Path(words[0]), asked, choice, output, threshold, options, as_json)
    else:
        _query_images([Path(word) for word in words[:2]], asked, choice, output, threshold, camera, as_json)


def is_map_path(path: Path) -> bool:
    """Whether a path means a saved map: by its ending, there or not."""
    from lsm_core.mapping import is_map_file

    return is_map_file(path)


def is_bag_path(path: Path) -> bool:
    """Whether a path means a bag: a folder, or a file with a bag's ending."""
    return path.is_dir() or path.suffix in BAG_ENDINGS


def _query_images(
    paths: list[Path],
    texts: tuple[str, ...],
    choice: ModelChoice,
    output: Path,
    threshold: float | None,
    camera: str | None,
    as_json: bool,
) -> None:
    """Look in two images."""
    from lsm_core.cli.known_cameras import known_cameras
    from lsm_core.cli.loading import load_images, load_model
    from lsm_core.cli.pair_files import write_masks
    from lsm_core.cli.query_files import images_sheet
    from lsm_core.io import write_png

    images = load_images(paths)
    model = load_model(choice, texts)
    known = known_cameras(model, images, intrinsics(camera))
    with err.status("Looking ..."):
        prediction = known.judged(model.predict(images, known.intrinsics, known.poses))
        found = model.query(prediction, list(texts), thresholds=threshold)
    files = write_masks(output, found, images)
    write_png(output / "sheet.png", images_sheet(found, images, [path.name for path in paths]))
    rows = [
        {
            "text": text,
            "presence": float(found.presence[t]),
            "pixels": [int(found.masks[view][t].sum()) for view in range(2)],
        }
        for t, text in enumerate(found.texts)
    ]
    if as_json:
        files.append("sheet.png")
        print_json({"ok": True, "backend": model.name, "folder": str(output), "files": files, "found": rows})
        return
    table = Table("text", "presence", "share of A", "share of B", box=None, pad_edge=False)
    for t, text in enumerate(found.texts):
        shares = [f"{100 * found.masks[view][t].mean():.1f} %" for view in range(2)]
        table.add_row(text, f"{found.presence[t]:.2f}", *shares)
    out.print(table)
    out.print(f"Masks, overlays and a sheet: {output}")


def _query_bag(
    path: Path,
    texts: tuple[str, ...],
    choice: ModelChoice,
    output: Path,
    threshold: float | None,
    options: BagOptions,
    as_json: bool,
) -> None:
    """Look in the keyframes of a recording, and in the map they make."""
    from lsm_core.cli.loading import load_model
    from lsm_core.cli.query_bag import BagQuery, query_bag
    from lsm_core.cli.query_files import write_bag_query

    model = load_model(choice, texts)
    asked = BagQuery(model, texts, threshold)
    segments, things = query_bag(path, asked, model, options, quiet=as_json)
    if not asked.keyframes:
        raise GeometryError(
            f"No pair of images in '{path}' supports geometry, so there is no keyframe to look at.",
            "The camera must move through the scene; two of its images can be asked on their own.",
        )
    files = write_bag_query(output, asked, segments, things, path)
    rows: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        best = asked.best[index]
        rows.append(
            {
                "text": text,
                "presence": 0.0 if best is None else best.presence,
                "best_stamp_ns": None if best is None else best.stamp_ns,
                "keyframes": asked.seen_in[index],
                "objects": sum(thing.text == text for thing in things),
            }
        )
    if as_json:
        summary = {"ok": True, "backend": model.name, "folder": str(output), "files": files}
        print_json({**summary, "keyframes": asked.keyframes, "found": rows})
        return
    table = Table("text", "presence", "in keyframes", "best at", "objects", box=None, pad_edge=False)
    for row in rows:
        at = "–" if row["best_stamp_ns"] is None else f"{(row['best_stamp_ns'] - asked.start_ns) * 1e-9:.1f} s"
        counts = f"{row['keyframes']} of {asked.keyframes}"
        table.add_row(row["text"], f"{row['presence']:.2f}", counts, at, str(row["objects"]))
    out.print(table)
    out.print(f"Pictures, masks, map and objects: {output}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(query)
