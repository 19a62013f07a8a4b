"""LSM on 40 scenes of ScanNet (Fan et al. 2024, arXiv:2410.18956, table 1): labels, depth, views between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lsm_core.data.formats.scannet_lsm_test import LABELS
from lsm_core.data.test_sets import lsm_scannet_samples
from lsm_core.data.views import ViewSample
from lsm_core.evaluation.prepared import cropped_about_principal_point
from lsm_core.evaluation.protocols.protocol import LPIPS, PSNR, SSIM, Figure, PaperRow, Protocol
from lsm_core.evaluation.switches import Switches

SOURCE = "arXiv:2410.18956, table 1"


def open_samples(data: Path, listed: Path | None) -> Sequence[ViewSample]:
    """Return the test frames between their neighbours; the list is part of the data."""
    return lsm_scannet_samples(data)


def open_released(data: Path, listed: Path | None) -> Sequence[ViewSample]:
    """Return the roles that the released loader hands out: t-1 and t are given, t+1 is asked for."""
    return lsm_scannet_samples(data, "released")


def row(label: str, *values: float | None, source: str = SOURCE) -> PaperRow:
    """Return a row in the order of the columns; None where the paper has no figure."""
    named = zip(FIGURES, values, strict=True)
    return PaperRow(label, {figure.name: value for figure, value in named if value is not None}, source)


FIGURES = (
    Figure("source_miou", "src mIoU", ".4f"),
    Figure("source_accuracy", "src acc.", ".4f"),
    Figure("rel", "rel %", ".2f"),
    Figure("tau", "τ<1.03 %", ".2f"),
    Figure("target_miou", "tgt mIoU", ".4f"),
    Figure("target_accuracy", "tgt acc.", ".4f"),
    PSNR,
    SSIM,
    LPIPS,
)
PROTOCOL = Protocol(
    name="lsm-scannet",
    title="LSM's protocol on ScanNet",
    backend="lsm",
    samples=open_samples,
    crop=cropped_about_principal_point,
    side=256,
    switches=Switches(scene_unit="points", intrinsics="estimated", ssim="population"),
    figures=FIGURES,
    rows=(
        row("LSM", 0.5034, 0.7740, 3.385, 67.78, 0.5078, 0.7686, 24.40, 0.8072, 0.2506),
        row("LSeg, image by image", 0.5278, 0.7654, None, None, 0.5281, 0.7612, None, None, None),
        row("pixelSplat, true poses", None, None, None, None, None, None, 24.89, 0.8392, 0.1641),
    ),
    data="the unpacked scannet_test.tar of LSM's release",
    texts=LABELS,
)
# The paper asks for the frame between; which of the two its table is of is not known.
AS_RELEASED = replace(
    PROTOCOL,
    name="lsm-scannet-released",
    title="LSM's protocol on ScanNet, views as the released loader gives them",
    samples=open_released,
)
