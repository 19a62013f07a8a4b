"""NoPoSplat on RealEstate10K (Ye et al. 2024, arXiv:2410.24207, table 1): views between, by overlap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lsm_core.data.test_sets import indexed_samples, overlap_tag
from lsm_core.data.views import ViewSample
from lsm_core.errors import InputError
from lsm_core.evaluation.prepared import cropped_to_cover
from lsm_core.evaluation.protocols.protocol import LPIPS, PSNR, SSIM, PaperRow, Protocol
from lsm_core.evaluation.switches import Switches

SOURCE = "arXiv:2410.24207, table 1"
STEPS = 100  # of Adam, that move each target camera before it is scored


def open_samples(data: Path, listed: Path | None) -> Sequence[ViewSample]:
    """Return the samples of an evaluation index.

    Raises:
        InputError: no index is named.
    """
    if listed is None:
        raise InputError(
            "This protocol needs an evaluation index.", "Pass --list evaluation_index_re10k.json of the release."
        )
    return indexed_samples(data, listed)


def row(label: str, psnr: float, ssim: float, lpips: float, group: str = "") -> PaperRow:
    """Return a row of the table."""
    return PaperRow(label, {"psnr": psnr, "ssim": ssim, "lpips": lpips}, SOURCE, group=group)


PROTOCOL = Protocol(
    name="noposplat-re10k",
    title="NoPoSplat's protocol on RealEstate10K",
    backend="noposplat",
    samples=open_samples,
    crop=cropped_to_cover,
    side=256,
    switches=Switches(scene_unit="baseline", pose_align_steps=STEPS),
    figures=(PSNR, SSIM, LPIPS),
    rows=(
        row("NoPoSplat", 25.033, 0.838, 0.160),
        row("NoPoSplat, small overlap", 22.514, 0.784, 0.210, "small"),
        row("NoPoSplat, medium overlap", 24.899, 0.839, 0.160, "medium"),
        row("NoPoSplat, large overlap", 27.411, 0.883, 0.119, "large"),
    ),
    data="RealEstate10K's .torch chunks (test), and --list evaluation_index_re10k.json of NoPoSplat's release",
    groups=overlap_tag,
    needs_list=True,
)
