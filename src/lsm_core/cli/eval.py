"""`lsm eval rgbd-sequence | hololens | hololens-views | rooms | semantic | presence | refine | views`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.backends import Backend
from lsm_core.cli.arguments import (
    BackendOption,
    DeviceOption,
    FullSizeOption,
    PatienceOption,
    RefineOption,
    WeightsOption,
)
from lsm_core.cli.eval_gallery import gallery
from lsm_core.cli.eval_protocol import register_protocols
from lsm_core.cli.evaluation_output import (
    BaselinesFromOption,
    JsonOption,
    LimitOption,
    MarkdownOption,
    RowsOption,
    SheetOption,
    SwitchOption,
    ThreadsOption,
    XFeatOption,
    deliver,
    shown_progress,
)
from lsm_core.cli.loading import load_at, refined
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.presence import study_presence
from lsm_core.evaluation.protocols.rgbd_sequence import SWITCHES
from lsm_core.evaluation.records import PairRecord
from lsm_core.evaluation.report import read_records
from lsm_core.evaluation.sequence_study import study_hololens, study_sequence
from lsm_core.evaluation.sequences import open_sequence
from lsm_core.evaluation.shared_data import find_shared
from lsm_core.evaluation.studies import study_nyu, study_rooms
from lsm_core.evaluation.switches import switched
from lsm_core.weights.xfeat_file import available_xfeat

app = typer.Typer(help="Measure a backend against ground truth.", no_args_is_help=True)

SharedOption = Annotated[Path | None, typer.Option(help="Folder with data/; default LSM_SHARED or ../shared.")]
IntrinsicsOption = Annotated[bool, typer.Option(help="Give the backend the true intrinsics.")]
BaselinesOption = Annotated[bool, typer.Option(help="Also run SIFT, ORB and identity.")]


def register(main: typer.Typer) -> None:
    """Add the commands to the program."""
    register_protocols(app)
    app.command("gallery")(gallery)
    main.add_typer(app, name="eval")


@app.command("rgbd-sequence")
def rgbd_sequence(
    data: Annotated[Path, typer.Option(help="Recording with images, depth, poses; docs/data.md has the layouts.")],
    scene: Annotated[str | None, typer.Option(help="Which recording of a folder of several.")] = None,
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    limit: LimitOption = None,
    switch: SwitchOption = None,
    baselines: BaselinesOption = True,
    baselines_from: BaselinesFromOption = None,
    xfeat: XFeatOption = None,
    full_resolution: FullSizeOption = True,
    refine_pose: RefineOption = None,
    patience: PatienceOption = None,
    as_json: JsonOption = None,
    md: MarkdownOption = None,
    sheet: SheetOption = None,
    rows: RowsOption = 8,
) -> None:
    """Poses, depth, masks, clouds, the path and views between, on any recording with depth and poses."""
    switches, sequence = switched(SWITCHES, switch or ()), open_sequence(data, scene)
    with shown_progress("rgbd-sequence") as bar:
        model = _load(backend, weights, device, threads, full_resolution)
        model = model if refine_pose is None else refined(model, refine_pose, patience)
        network = available_xfeat(xfeat, model.device) if baselines else None
        options = StudyOptions(limit, True, baselines, _known(baselines_from), rows if sheet else 0, bar)
        report = study_sequence(model, sequence, switches, replace(options, xfeat=network))
    deliver(report, as_json, md, sheet)


@app.command()
def hololens(
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    limit: LimitOption = None,
    shared: SharedOption = None,
    intrinsics: IntrinsicsOption = True,
    baselines: BaselinesOption = True,
    baselines_from: BaselinesFromOption = None,
    xfeat: XFeatOption = None,
    full_resolution: FullSizeOption = True,
    refine_pose: RefineOption = None,
    patience: PatienceOption = None,
    as_json: JsonOption = None,
    md: MarkdownOption = None,
    sheet: SheetOption = None,
    rows: RowsOption = 8,
) -> None:
    """Poses, depth and agreement of masks on a real RGB-D recording, pairs chosen by overlap."""
    folder = find_shared(shared)
    with shown_progress("hololens") as bar:
        model = _load(backend, weights, device, threads, full_resolution)
        model = model if refine_pose is None else refined(model, refine_pose, patience)
        options = StudyOptions(limit, intrinsics, baselines, _known(baselines_from), rows if sheet else 0, bar)
        options = replace(options, xfeat=available_xfeat(xfeat, model.device) if baselines else None)
        report = study_hololens(model, folder, options)
    deliver(report, as_json, md, sheet)


@app.command()
def rooms(
    data: Annotated[Path, typer.Option(help="Folder with shard_*.npz of rooms not trained on.")],
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    limit: LimitOption = 400,
    intrinsics: IntrinsicsOption = True,
    baselines: BaselinesOption = True,
    baselines_from: BaselinesFromOption = None,
    full_resolution: FullSizeOption = True,
    refine_pose: RefineOption = None,
    patience: PatienceOption = None,
    as_json: JsonOption = None,
    md: MarkdownOption = None,
    sheet: SheetOption = None,
    rows: RowsOption = 8,
) -> None:
    """Poses, depth, labels and agreement of masks in rendered rooms with held-out furniture."""
    with shown_progress("rooms") as bar:
        model = _load(backend, weights, device, threads, full_resolution)
        model = model if refine_pose is None else refined(model, refine_pose, patience)
        options = StudyOptions(limit, intrinsics, baselines, _known(baselines_from), rows if sheet else 0, bar)
        report = study_rooms(model, data, options)
    deliver(report, as_json, md, sheet)


@app.command()
def semantic(
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    limit: LimitOption = None,
    shared: SharedOption = None,
    as_json: JsonOption = None,
    md: MarkdownOption = None,
) -> None:
    """Labels on a few real photographs, eight classes."""
    folder = find_shared(shared)
    with shown_progress("semantic") as bar:
        model = _load(backend, weights, device, threads)
        report = study_nyu(model, folder, StudyOptions(limit=limit, progress=bar))
    deliver(report, as_json, md, None)


@app.command()
def presence(
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    shared: SharedOption = None,
    as_json: JsonOption = None,
    md: MarkdownOption = None,
) -> None:
    """Whether things named are in view at all, on a few real photographs: precision and recall."""
    folder = find_shared(shared)
    report = study_presence(_load(backend, weights, device, threads), folder)
    deliver(report, as_json, md, None)


@app.command()
def refine(
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    limit: LimitOption = 40,
    shared: SharedOption = None,
    intrinsics: IntrinsicsOption = True,
    full_resolution: FullSizeOption = True,
    adam: Annotated[bool, typer.Option(help="Also by Adam, not by Gauss-Newton alone.")] = True,
    lpips: Annotated[bool, typer.Option(help="Also with LPIPS, where its weights are installed (slow).")] = False,
    as_json: JsonOption = None,
    md: MarkdownOption = None,
) -> None:
    """What refining poses does on a real recording: Adam as NoPoSplat does it, and Gauss-Newton."""
    from lsm_core.evaluation.refinement_study import study_refinement  # numba is imported by what draws
    from lsm_core.weights.lpips_package import load_lpips

    folder = find_shared(shared)
    with shown_progress("refine") as bar:
        model = _load(backend, weights, device, threads, full_resolution)
        network = load_lpips(model.device) if lpips else None
        report = study_refinement(model, folder, StudyOptions(limit, intrinsics, progress=bar), network, adam)
    deliver(report, as_json, md, None)


@app.command("hololens-views")
def hololens_views(
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    limit: LimitOption = 60,
    shared: SharedOption = None,
    intrinsics: IntrinsicsOption = True,
    full_resolution: FullSizeOption = True,
    align_pose: Annotated[
        bool,
        typer.Option("--align-pose", help="First align each true camera, as NoPoSplat does (slow)."),
    ] = False,
    as_json: JsonOption = None,
    md: MarkdownOption = None,
) -> None:
    """Views drawn between the images of a real recording, beside a warp by predicted depth."""
    from lsm_core.evaluation.target_alignment import released_alignment
    from lsm_core.evaluation.view_synthesis import study_hololens_views  # numba is imported by what draws

    folder = find_shared(shared)
    with shown_progress("views between") as bar:
        model = _load(backend, weights, device, threads, full_resolution)
        align = released_alignment(model.device) if align_pose else None
        report = study_hololens_views(model, folder, StudyOptions(limit, intrinsics, progress=bar), align)
    deliver(report, as_json, md, None)


@app.command()
def views(
    data: Annotated[Path, typer.Option(help="Folder with shard_*.npz of rooms not trained on.")],
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    limit: LimitOption = 60,
    intrinsics: IntrinsicsOption = True,
    as_json: JsonOption = None,
    md: MarkdownOption = None,
) -> None:
    """Colours and words drawn on views between the given ones, in rendered rooms."""
    from lsm_core.evaluation.novel_views import study_views  # numba is imported by what draws

    with shown_progress("views") as bar:
        model = _load(backend, weights, device, threads)
        report = study_views(model, data, StudyOptions(limit, intrinsics, progress=bar))
    deliver(report, as_json, md, None)


def _known(path: Path | None) -> dict[str, list[PairRecord]]:
    """Return the records of an earlier report, or nothing."""
    return {} if path is None else read_records(path)


def _load(
    backend: str, weights: Path | None, device: str, threads: int | None, full_resolution: bool = False
) -> Backend:
    """Load the backend after setting the number of threads."""
    if threads is not None:
        torch.set_num_threads(threads)
    return load_at(full_resolution, backend, device, weights)
