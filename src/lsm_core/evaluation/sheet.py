"""A picture of a few evaluated pairs: images, depth beside the truth, confidence, labels."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.evaluation.labelling import label_grid
from lsm_core.evaluation.pairs import EvalPair
from lsm_core.evaluation.records import PairRecord
from lsm_core.io.colormaps import color_confidence, color_depth, palette
from lsm_core.io.overlays import overlay_labels
from lsm_core.io.sheets import Panel, compose_sheet
from lsm_core.types import Prediction

RgbImage = NDArray[np.uint8]
PANEL_WIDTH = 384


def pair_row(
    backend: Backend, pair: EvalPair, prediction: Prediction, record: PairRecord, texts: Sequence[str]
) -> list[Panel]:
    """Return the panels of one pair: both images, predicted and true depth, confidence, labels of view 0."""
    predicted = prediction.depth(0).detach().cpu().float().numpy()
    true = None if pair.views[0].depth is None else sample_on_grid(prediction, 0, pair.views[0].depth).numpy()
    if true is not None and (true > 0).any():
        predicted = predicted * float(np.median(true[true > 0]) / np.median(predicted[true > 0]))
    near, far = _range(predicted if true is None else true)
    pose = f"rotation error {record.pose.rotation_deg:.1f}°, direction {record.pose.direction_deg:.0f}°"
    caption = (
        f"overlap {record.overlap:.2f}, {pose if record.pose_found else 'no pose'}, validity {record.validity:.2f}"
    )
    panels = [
        Panel(_fit(pair.views[0].image), f"view 0: {pair.views[0].name}", caption),
        Panel(_fit(pair.views[1].image), f"view 1: {pair.views[1].name}"),
        Panel(
            _fit(color_depth(predicted, near, far)), "depth", f"{near:.1f} to {far:.1f} m after median alignment"
        ),
    ]
    if true is not None:
        error = record.depth[0].absrel if record.depth[0] else float("nan")
        panels.append(Panel(_fit(color_depth(true, near, far)), "true depth", f"absrel {error:.3f}"))
    confidence = prediction.confidence[0].detach().cpu().float().numpy()
    panels.append(Panel(_fit(color_confidence(confidence)), "confidence"))
    if prediction.features is not None:
        panels.append(_label_panel(label_grid(backend, prediction, 0, texts), prediction.colors[0], texts))
    return panels


def pair_sheet(title: str, subtitle: str, rows: Sequence[Sequence[Panel]]) -> RgbImage:
    """Return the sheet of the rows that `pair_row` made."""
    return compose_sheet(title, subtitle, rows, width=2000)


def _label_panel(labels: NDArray[np.int64], colors: RgbImage, texts: Sequence[str]) -> Panel:
    """Return the label map over the image, with a legend of the texts that cover most."""
    counts = np.bincount(labels.ravel(), minlength=len(texts))
    shown = [int(i) for i in np.argsort(-counts)[:6] if counts[i] > 0]
    height = round(PANEL_WIDTH * colors.shape[0] / colors.shape[1])
    large = cv2.resize(labels.astype(np.int32), (PANEL_WIDTH, height), interpolation=cv2.INTER_NEAREST)
    overlay = overlay_labels(_fit(colors), large, len(texts))
    table = palette(len(texts))
    legend = [((int(table[i][0]), int(table[i][1]), int(table[i][2])), texts[i]) for i in shown]
    return Panel(overlay, "labels", legend=tuple(legend))


def _range(depth: NDArray[np.floating]) -> tuple[float, float]:
    """Return the 2nd and 98th percentile of the positive depths."""
    known = depth[np.isfinite(depth) & (depth > 0)]
    if known.size == 0:
        return 0.5, 5.0
    return float(np.percentile(known, 2)), float(np.percentile(known, 98))


def _fit(image: RgbImage) -> RgbImage:
    """Return the image at the width of a panel."""
    height = round(PANEL_WIDTH * image.shape[0] / image.shape[1])
    shrinks = image.shape[1] > PANEL_WIDTH
    resized = cv2.resize(image, (PANEL_WIDTH, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, dtype=np.uint8)
