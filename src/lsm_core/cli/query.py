"""`lsm query A B "chair" "table"`: where in two images are the things these words name?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lsm_core.cli.arguments import (
    BackendOption,
    DeviceOption,
    IntrinsicsOption,
    JsonOption,
    SemanticsOption,
    SemanticsWeightsOption,
    WeightsOption,
    intrinsics,
)
from lsm_core.cli.console import err, out, print_json


def query(
    first: Annotated[Path, typer.Argument(metavar="A", help="Image file.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Image file of the same scene.")],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="What to look for.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for masks and overlays.")] = Path(
        "out/query"
    ),
    backend: BackendOption = "lsm-tiny",
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    semantics: SemanticsOption = None,
    semantics_weights: SemanticsWeightsOption = None,
    camera: IntrinsicsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find things named by words in two images: masks, overlays, and a table of what is there."""
    from lsm_core.cli.loading import ModelChoice, load_images, load_model
    from lsm_core.cli.pair_files import write_masks

    images = load_images([first, second])
    K = intrinsics(camera)
    model = load_model(ModelChoice(backend, device, weights, semantics, semantics_weights), texts)
    with err.status("Looking ..."):
        prediction = model.predict(images, None if K is None else [K, K])
        found = model.query(prediction, texts)
    files = write_masks(output, found, images)
    rows = [
        {
            "text": text,
            "presence": float(found.presence[t]),
            "pixels": [int(found.masks[view][t].sum()) for view in range(2)],
        }
        for t, text in enumerate(found.texts)
    ]
    if as_json:
        print_json({"ok": True, "backend": model.name, "folder": str(output), "files": files, "found": rows})
        return
    table = Table("text", "presence", "share of A", "share of B", box=None, pad_edge=False)
    for t, text in enumerate(found.texts):
        shares = [f"{100 * found.masks[view][t].mean():.1f} %" for view in range(2)]
        table.add_row(text, f"{found.presence[t]:.2f}", *shares)
    out.print(table)
    out.print(f"Masks and overlays: {output}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(query)
