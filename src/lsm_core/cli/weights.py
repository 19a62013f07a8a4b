"""`lsm weights list | fetch | verify | onnx`: official checkpoints, and lsm-tiny as ONNX graphs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from lsm_core.backends.checkpoint_identity import Identity, identify
from lsm_core.cli.console import err, out, print_json
from lsm_core.errors import InputError, WeightsError
from lsm_core.weights.fetch import check_hash, fetch
from lsm_core.weights.table import CHECKPOINTS, Checkpoint, checkpoints_of, checkpoints_to_bring, usage

app = typer.Typer(help="Official checkpoints: where they are, bring them, check them.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def register(main: typer.Typer) -> None:
    """Add the commands to the program."""
    main.add_typer(app, name="weights")


@app.command("list")
def list_checkpoints(as_json: JsonOption = False) -> None:
    """Show the checkpoints that are known, with source and licence."""
    rows = [(backend, c) for backend, checkpoints in CHECKPOINTS.items() for c in checkpoints]
    if as_json:
        more = [{"gigabytes": c.gigabytes, "non_commercial": c.non_commercial} for _, c in rows]
        print_json([{"backend": b, **vars(c), **m} for (b, c), m in zip(rows, more, strict=True)])
        return
    for backend, checkpoint in rows:
        size = "" if checkpoint.gigabytes is None else f"  {checkpoint.gigabytes:.2f} GB in float32"
        mark = "  [yellow]not for commercial use[/]" if checkpoint.non_commercial else ""
        out.print(f"[bold]{backend}[/]  {checkpoint.name}{size}{mark}", soft_wrap=True, highlight=False)
        out.print(f"    {checkpoint.licence}; {checkpoint.page}", soft_wrap=True, markup=False, highlight=False)
    out.print("lsm-tiny comes with the package (Apache-2.0). No other weights are shipped.")


@app.command("fetch")
def fetch_checkpoints(
    backend: Annotated[str, typer.Argument(help="Backend whose files to bring.")],
    to: Annotated[Path | None, typer.Option(help="Folder; weights/BACKEND by default.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="A folder that holds the files, or the URL of a mirror.")
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--file", help="Only this file (repeatable); of variants of one model the first by default."),
    ] = None,
    accept_licence: Annotated[bool, typer.Option(help="I have read the licences and accept them.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the files of a backend into one folder; goes on where it was interrupted."""
    checkpoints = checkpoints_to_bring(backend, files or ())
    for checkpoint in checkpoints:
        err.print(f"{checkpoint.name}: {checkpoint.licence}; {checkpoint.page}", soft_wrap=True)
    if not accept_licence:
        raise InputError(
            "These weights are not this project's; nothing was fetched.",
            "Read the licences above and run the command again with --accept-licence.",
        )
    others = [c.name for c in checkpoints_of(backend) if c not in checkpoints]
    if others and not files:
        err.print(f"Other variants, with --file NAME: {', '.join(others)}.", soft_wrap=True)
    folder = to or Path("weights") / backend
    found = []
    with _transfer_bar(as_json) as bar:
        for checkpoint in checkpoints:
            result = fetch(checkpoint, folder, source, _reporter(bar, checkpoint))
            found.append({"file": str(result.path), "sha256": result.sha256, "was_there": result.was_there})
    if as_json:
        print_json({"ok": True, "folder": str(folder), "files": found})
        return
    for entry in found:
        out.print(
            f"{entry['file']}  sha256 {entry['sha256']}{'  (was there)' if entry['was_there'] else ''}",
            soft_wrap=True,
        )
    out.print(f"Use them: {usage(backend, folder)}.", soft_wrap=True)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A checkpoint file, or a folder of them.")],
    hashes: Annotated[
        bool, typer.Option("--hash", help="Also compute and compare sha256 (reads all bytes).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say which checkpoint a file is, and what is missing from it or does not belong."""
    files = checkpoint_files(path)
    started = time.monotonic()
    found = [identify(file) for file in files]
    digests = [check_hash(file, None) if hashes else None for file in files]
    if as_json:
        rows = [as_row(i, d) for i, d in zip(found, digests, strict=True)]
        print_json({"ok": all(i.whole for i in found), "files": rows})
    else:
        for identity, digest in zip(found, digests, strict=True):
            _show(identity, digest)
        err.print(f"{time.monotonic() - started:.1f} s")
    if not all(identity.whole for identity in found):
        raise typer.Exit(1)


@app.command("onnx")
def write_onnx(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write, for --weights.")],
    weights: Annotated[
        Path | None, typer.Option(help="Weights of lsm-tiny: file or folder; default: those shipped.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write lsm-tiny's network as ONNX graphs, which onnxruntime runs on a CPU; needs the packages of [onnx]."""
    from lsm_core.backends.tiny_onnx_export import export_onnx

    with err.status(f"Writing {folder} ..."):
        files = export_onnx(weights, folder)
    if as_json:
        rows = [{"file": str(path), "bytes": path.stat().st_size} for path in files]
        print_json({"ok": True, "folder": str(folder), "files": rows})
        return
    for path in files:
        out.print(f"{path}  {path.stat().st_size / 1e6:.2f} MB", soft_wrap=True)
    out.print(f"Use them: --weights {folder}, weights:={folder} for the node.", soft_wrap=True)


def checkpoint_files(path: Path) -> list[Path]:
    """Return the file itself, or the checkpoints of a folder.

    Raises:
        WeightsError: there is none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.suffix in (".pth", ".pt", ".ckpt", ".safetensors"))
    if not found:
        raise WeightsError(
            f"{path} holds no checkpoint.", "Name a file or a folder with .pth, .ckpt or .safetensors."
        )
    return found


def as_row(identity: Identity, digest: str | None) -> dict[str, Any]:
    """Return a file's report for JSON."""
    parts = [
        {
            "part": part.name,
            "parameters": part.parameters,
            "missing": list(part.differences.missing),
            "unknown": list(part.differences.unknown),
            "shapes": {k: list(v) for k, v in part.differences.shapes.items()},
            "unused": list(part.differences.unused),
        }
        for part in identity.parts
    ]
    return {
        "file": str(identity.path),
        "is": identity.title,
        "whole": identity.whole,
        "foreign": list(identity.foreign),
        "sha256": digest,
        "parts": parts,
    }


def _show(identity: Identity, digest: str | None) -> None:
    verdict = "[green]whole[/]" if identity.whole else "[red]does not fit[/]"
    out.print(
        f"{identity.path}: {identity.title}: {verdict}" + (f"  sha256 {digest}" if digest else ""), soft_wrap=True
    )
    for part in identity.parts:
        detail = "" if part.differences.fits else f": {part.differences}"
        unused = f", {len(part.differences.unused)} stored and unused" if part.differences.unused else ""
        out.print(
            f"  {part.name}: {part.parameters / 1e6:.2f} M parameters{unused}{detail}", markup=False, soft_wrap=True
        )
    if identity.foreign:
        out.print(f"  unknown: {', '.join(identity.foreign[:5])}", markup=False, soft_wrap=True)


def _transfer_bar(quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=err, disable=quiet, transient=True)


def _reporter(bar: Progress, checkpoint: Checkpoint) -> Callable[[int, int | None], None]:
    task = bar.add_task(checkpoint.name, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)
