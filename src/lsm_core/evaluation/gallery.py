"""A page of pictures of real pairs: those that are typical and the worst ones, chosen by their errors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lsm_core.backends.base import Backend
from lsm_core.evaluation.geometry_tables import above
from lsm_core.evaluation.goals import GOOD_OVERLAP
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.records import PairRecord, run_backend
from lsm_core.evaluation.sequences import RgbdSequence, choose_pairs, load_pairs
from lsm_core.io.atomic import atomic_path, write_text
from lsm_core.io.cloud_views import draw_cloud
from lsm_core.io.colormaps import RgbImage, color_confidence, color_depth, palette
from lsm_core.io.overlays import overlay_labels
from lsm_core.io.sheets import Panel, compose_sheet
from lsm_core.types import Prediction

WORDS = ("chair", "table", "sofa", "cabinet", "floor", "wall")
TYPICAL = (0.1, 0.3, 0.5, 0.7, 0.9)  # quantiles of the rotation error
WORST = 5
WIDTH, QUALITY = 1400, 70
SURE = 0.8  # share of the points that is drawn, those of highest confidence


@dataclass(frozen=True)
class Picked:
    """A pair of the page: what it stands for, and what was measured on it."""

    title: str
    pair: EvalPair
    record: PairRecord


def pick_pairs(pairs: Sequence[EvalPair], records: Sequence[PairRecord]) -> tuple[list[Picked], list[Picked]]:
    """Return pairs at even quantiles of the rotation error, and those with the largest, the worst first.

    Both are taken from the pairs that overlap by more than 0.4 and got a pose; one without says so itself.
    """
    known = {id(record): pair for record, pair in zip(records, pairs, strict=True)}
    posed = [record for record in above(records, GOOD_OVERLAP) if record.pose_found]
    ranked = sorted(posed, key=lambda r: r.pose.rotation_deg)
    worst = [Picked(f"Worst, {k + 1}", known[id(r)], r) for k, r in enumerate(ranked[::-1][:WORST])]
    rest = ranked[: len(ranked) - len(worst)]
    at = {q: rest[round(q * (len(rest) - 1))] for q in TYPICAL} if rest else {}
    return [Picked(f"Rotation error, {100 * q:.0f} %", known[id(r)], r) for q, r in at.items()], worst


def figures_of(record: PairRecord) -> str:
    """Return what was measured on a pair, in one line."""
    parts = [f"overlap {record.overlap:.2f}", f"baseline {record.baseline_m:.2f} m"]
    parts += [f"rotation {record.pose.rotation_deg:.1f}° off", f"direction {record.pose.direction_deg:.0f}° off"]
    if record.depth[0] is not None:
        parts += [f"depth absrel {record.depth[0].absrel:.3f}", f"within 1.25 {record.depth[0].delta:.2f}"]
    if not np.isnan(record.pointmap1):
        parts.append(f"view-1 points {record.pointmap1:.3f}")
    return ", ".join([*parts, f"validity {record.validity:.2f}"])


def draw_pair(backend: Backend, picked: Picked, known_intrinsics: bool) -> RgbImage:
    """Draw images, depth beside the truth, confidence, the cloud from the side, and the words' masks."""
    ((pair, prediction, _),) = run_backend(backend, [picked.pair], known_intrinsics)
    images = [Panel(view.image, f"view {k}: {view.name}") for k, view in enumerate(pair.views)]
    rows = [[*images, *_cloud_panels(prediction)], _depth_panels(pair, prediction)]
    if backend.has_language:
        found = backend.query(prediction, list(WORDS))
        colours = [(int(r), int(g), int(b)) for r, g, b in palette(len(WORDS))]
        rows[1] += [
            Panel(overlay_labels(view.image, found.labels[k], len(WORDS)), f"masks, view {k}",
                  legend=tuple(zip(colours, WORDS, strict=True)) if k == 0 else ())
            for k, view in enumerate(pair.views)
        ]  # fmt: skip
    return compose_sheet(picked.title, figures_of(picked.record), rows, width=WIDTH)


def write_gallery(
    backend: Backend, sequence: RgbdSequence, page: Path, command: str, options: StudyOptions | None = None
) -> list[Picked]:
    """Measure all pairs of a recording, then write the page and its pictures (WebP, in `images` beside it).

    Args:
        backend: any with poses of its own.
        sequence: with images, depth and poses.
        page: Markdown file; pictures of an earlier page of that name are replaced.
        command: that makes the page, to be named on it.
        options: limit, intrinsics and progress are used.

    Returns:
        The pairs on the page.
    """
    opts = options or StudyOptions()
    pairs = load_pairs(sequence, evenly_spaced(choose_pairs(sequence), opts.limit))
    records = []
    for _, _, record in run_backend(backend, pairs, opts.known_intrinsics):
        records.append(record)
        opts.progress(len(records), len(pairs))
    typical, worst = pick_pairs(pairs, records)
    folder = page.parent / "images"
    for stale in folder.glob(f"{page.stem}_*.webp"):
        stale.unlink()
    files = {}
    for number, picked in enumerate([*typical, *worst]):
        files[id(picked)] = folder / f"{page.stem}_{number:02d}.webp"
        with atomic_path(files[id(picked)]) as temporary:
            picture = Image.fromarray(draw_pair(backend, picked, opts.known_intrinsics))
            picture.save(temporary, "WEBP", quality=QUALITY, method=6)
    good = above(records, GOOD_OVERLAP)
    lines = [*_opening(sequence, len(pairs), good), "", "## Typical pairs", ""]
    lines += [line for picked in typical for line in _entry(picked, files[id(picked)], page)]
    lines += ["## The worst", ""]
    lines += [line for picked in worst for line in _entry(picked, files[id(picked)], page)]
    lines.append(f"Made by `{command}` with backend `{backend.name}` on {provenance(backend.device).line()}")
    write_text(page, "\n".join(lines) + "\n")
    return [*typical, *worst]


def _opening(sequence: RgbdSequence, pairs: int, good: Sequence[PairRecord]) -> list[str]:
    lost = sum(not record.pose_found for record in good)
    order = ", ".join(f"{100 * q:.0f}" for q in TYPICAL)
    text = (
        f"Pairs of real images ({sequence.title}), none of them trained on, and what the model makes of them "
        f"without knowing their poses. Of {pairs} pairs, the {len(good)} that overlap by more than "
        f"{GOOD_OVERLAP:g} are ranked by the error of their rotation; {lost} got no pose, which the model says "
        f"itself, and are left out. The worst {WORST} stand at the end of that order, the typical ones at {order} "
        "% of the rest. What the figures are: [evaluation.md](evaluation.md)."
    )
    how = (
        f"In each picture: both images; the cloud of both views, the surer {100 * SURE:.0f} % of its points, from "
        "the side and from above (red: the two cameras); depth of view 0 beside the measured one, on one scale, "
        "near red to far blue, after its median was set to the truth's; confidence, high in yellow; the masks of "
        "six words, each pixel in the colour of the best one that holds there."
    )
    return ["# Pictures", "", text, "", how]


def _entry(picked: Picked, file: Path, page: Path) -> list[str]:
    place = Path(os.path.relpath(file, page.parent)).as_posix()
    caption = figures_of(picked.record)
    return [f"**{picked.title}**: {caption}.", "", f"![{picked.title}: {picked.pair.name}]({place})", ""]


def _cloud_panels(prediction: Prediction) -> list[Panel]:
    """Draw the cloud of the views with a pose from the side and from above."""
    views = [v for v, valid in enumerate(prediction.pose_valid) if valid]
    points, colours = [], []
    for v in views:
        confidence = prediction.confidence[v].detach().cpu().numpy()
        sure = confidence >= np.quantile(confidence, 1 - SURE)
        points.append(prediction.pointmaps[v].detach().cpu().numpy()[sure])
        colours.append(prediction.colors[v][sure])
    centres = np.stack([prediction.poses[v][:3, 3].detach().cpu().double().numpy() for v in views])
    joined, rgb = np.concatenate(points), np.concatenate(colours)
    return [
        Panel(draw_cloud(joined, rgb, "side", (540, 360), centres), "cloud from the side"),
        Panel(draw_cloud(joined, rgb, "top", (540, 360), centres), "cloud from above"),
    ]


def _depth_panels(pair: EvalPair, prediction: Prediction) -> list[Panel]:
    """Draw depth after median alignment, the true one, and the confidence."""
    depth = prediction.depth(0).detach().cpu().float().numpy()
    assert pair.views[0].depth is not None
    true = sample_on_grid(prediction, 0, pair.views[0].depth).numpy()
    measured = true > 0
    depth = depth * float(np.median(true[measured] / depth[measured]))
    near, far = (float(value) for value in np.percentile(true[measured], (2, 98)))
    return [
        Panel(color_depth(depth, near, far), "depth", f"{near:.1f} m red to {far:.1f} m blue"),
        Panel(color_depth(true, near, far), "measured depth"),
        Panel(color_confidence(prediction.confidence[0].detach().cpu().numpy()), "confidence"),
    ]
