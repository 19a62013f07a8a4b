"""Splatt3R on ScanNet++ (Smart et al. 2024, arXiv:2408.13912, table 1): views where the given ones have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lsm_core.data.test_sets import splatt3r_samples
from lsm_core.data.views import ViewSample
from lsm_core.errors import InputError
from lsm_core.evaluation.prepared import cropped_about_principal_point
from lsm_core.evaluation.protocols.protocol import LPIPS, PSNR, SSIM, Figure, PaperRow, Protocol
from lsm_core.evaluation.switches import Switches

SOURCE = "arXiv:2408.13912, table 1"
WHOLE = Switches(scene_unit="as-predicted", intrinsics="estimated", image_mask="seen", clamped=False)
# Its table's figures in brackets: the released average over the mask, 4.77 dB lower than a mean over its pixels.
MASKED = replace(WHOLE, mask_averages=True, released_mask=True)
HONEST = replace(WHOLE, mask_averages=True)


def open_samples(data: Path, listed: Path | None) -> Sequence[ViewSample]:
    """Return every tenth sample of a released list.

    Raises:
        InputError: no list is named.
    """
    if listed is None:
        raise InputError(
            "Splatt3R's protocol needs a list of samples.", "Pass --list test_set_ALPHA_BETA.json of its release."
        )
    return splatt3r_samples(data, listed)


def rows() -> tuple[PaperRow, ...]:
    """Return the rows: one per list, from close to very wide."""
    table = {
        "0.9_0.9": ("close", 19.66, 14.72, 0.757, 0.234, 0.237),
        "0.7_0.7": ("medium", 19.66, 14.38, 0.770, 0.229, 0.243),
        "0.5_0.5": ("wide", 19.41, 13.72, 0.783, 0.220, 0.247),
        "0.3_0.3": ("very wide", 19.18, 12.94, 0.794, 0.209, 0.258),
    }
    names = ("psnr", "psnr_masked", "ssim", "lpips", "lpips_masked")
    return tuple(
        PaperRow(f"Splatt3R, {label}", dict(zip(names, values, strict=True)), SOURCE, data=f"test_set_{coverage}")
        for coverage, (label, *values) in table.items()
    )


PROTOCOL = Protocol(
    name="splatt3r-scannetpp",
    title="Splatt3R's protocol on ScanNet++",
    backend="splatt3r",
    samples=open_samples,
    crop=cropped_about_principal_point,
    side=512,
    switches=WHOLE,
    more_images={"masked": MASKED, "on_mask": HONEST},
    figures=(
        PSNR,
        Figure("psnr_masked", "PSNR (masked, as released)", ".2f"),
        Figure("psnr_on_mask", "PSNR on the mask", ".2f"),
        SSIM,
        LPIPS,
        Figure("lpips_masked", "LPIPS (masked)"),
    ),
    rows=rows(),
    data="a folder with raw/ and processed/ (docs/data.md), and --list test_set_ALPHA_BETA.json of the release",
    needs_list=True,
)
