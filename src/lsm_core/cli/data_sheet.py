"""The contact sheet of `lsm data inspect`: pictures, depth and labels of a few frames of each scene."""

from __future__ import annotations

import numpy as np

from lsm_core.data.formats import Dataset
from lsm_core.data.inspection import SceneReport
from lsm_core.data.views import PosedView
from lsm_core.errors import FileFormatError
from lsm_core.io.colormaps import RgbImage, color_depth
from lsm_core.io.overlays import overlay_labels
from lsm_core.io.sheets import Panel, compose_sheet

FRAMES = 5
ROW_HEIGHT = 220


def inspection_sheet(dataset: Dataset, reports: list[SceneReport]) -> RgbImage:
    """Return the sheet: a row of pictures per scene, below it their depth and labels where there are any.

    Raises:
        FileFormatError: no picture could be read.
    """
    rows: list[list[Panel]] = []
    for report in reports:
        if not report.views:
            continue
        places = np.unique(np.linspace(0, len(report.views) - 1, FRAMES).round().astype(int))
        views = [report.views[k] for k in places]
        rows.append([Panel(v.image, v.name, _caption(v)) for v in views])
        if any(v.depth is not None for v in views):
            rows.append([Panel(_depth(v), "depth", _range(v)) for v in views])
        if any(v.label is not None for v in views):
            rows.append([Panel(_labels(v), "labels") for v in views])
    if not rows:
        first = next((p for r in reports for p in r.problems), "there is no frame")
        raise FileFormatError(
            f"No picture of '{dataset.root}' can be shown: {first}", "See `lsm data inspect` for every fault."
        )
    title = f"{dataset.format}: {dataset.root.resolve().name}"
    return compose_sheet(title, f"{scene_count(dataset)}. {dataset.layout}", rows, max_row_height=ROW_HEIGHT)


def scene_count(dataset: Dataset) -> str:
    """Return "1 scene" or "40 scenes"."""
    count = len(dataset.scenes)
    return f"{count} scene" + ("s" if count != 1 else "")


def _caption(view: PosedView) -> str:
    x, y, z = view.T_world_cam[:3, 3]
    return f"{view.size[1]}x{view.size[0]}, f {view.K[0, 0]:.0f} px, at {x:.2f} {y:.2f} {z:.2f}"


def _depth(view: PosedView) -> RgbImage:
    return np.zeros_like(view.image) if view.depth is None else color_depth(view.depth)


def _range(view: PosedView) -> str:
    if view.depth is None or not (view.depth > 0).any():
        return "none"
    known = view.depth[view.depth > 0]
    return f"{np.percentile(known, 2):.2f} to {np.percentile(known, 98):.2f}, {(view.depth > 0).mean():.0%} known"


def _labels(view: PosedView) -> RgbImage:
    if view.label is None:
        return np.zeros_like(view.image)
    present = np.unique(view.label[view.label > 0])
    places = np.where(view.label > 0, np.searchsorted(present, view.label), -1)
    return overlay_labels(view.image, places, len(present))
