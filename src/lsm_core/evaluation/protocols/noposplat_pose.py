"""NoPoSplat's poses (Ye et al. 2024, arXiv:2410.24207, table 3): PnP on Gaussians, then 200 steps of Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lsm_core.data.test_sets import indexed_samples, overlap_tag, scannet1500_samples
from lsm_core.data.views import PosedView, ViewSample
from lsm_core.evaluation.prepared import cropped_to_cover, padded_and_covered
from lsm_core.evaluation.protocols.protocol import AUC, Figure, PaperRow, Protocol
from lsm_core.evaluation.switches import Switches

SOURCE = "arXiv:2410.24207, table 3"
MIDDLE_PX = 1.0  # principal points farther than this from the middle are brought there by padding


def open_samples(data: Path, listed: Path | None) -> Sequence[ViewSample]:
    """Return ScanNet-1500's pairs, or with an index those of chunks; targets are not needed."""
    return scannet1500_samples(data) if listed is None else indexed_samples(data, listed)


def crop(view: PosedView, side: int) -> PosedView:
    """Cover the square; a view whose principal point is off the middle (ScanNet) is padded first."""
    height, width = view.size
    off = max(abs(view.K[0, 2] - (width - 1) / 2), abs(view.K[1, 2] - (height - 1) / 2))
    return padded_and_covered(view, side) if off > MIDDLE_PX else cropped_to_cover(view, side)


def row(label: str, data: str, *areas: float) -> PaperRow:
    """Return a row of the table."""
    named = {figure.name: area for figure, area in zip(AUC, areas, strict=True)}
    return PaperRow(label, named, SOURCE, data=data)


PROTOCOL = Protocol(
    name="noposplat-pose",
    title="NoPoSplat's poses",
    backend="noposplat",
    samples=open_samples,
    crop=crop,
    side=256,
    switches=replace(Switches(), scene_unit="baseline"),
    figures=(*AUC, Figure("maa_30", "mAA@30"), Figure("rotation_median_deg", "rot °", ".2f")),
    rows=(
        row("NoPoSplat, RE10K", "evaluation_index_re10k", 0.672, 0.792, 0.869),
        row("NoPoSplat*, RE10K", "evaluation_index_re10k", 0.691, 0.806, 0.877),
        row("NoPoSplat, ACID", "evaluation_index_acid", 0.454, 0.591, 0.709),
        row("NoPoSplat*, ACID", "evaluation_index_acid", 0.486, 0.617, 0.728),
        row("NoPoSplat, ScanNet-1500", "", 0.264, 0.473, 0.655),
        row("NoPoSplat*, ScanNet-1500", "", 0.318, 0.538, 0.717),
    ),
    data="ScanNet-1500 without a list; or .torch chunks and --list evaluation_index_(re10k|acid).json",
    groups=overlap_tag,
    left_out=("ignored",),
    refine_pose="adam",
)
