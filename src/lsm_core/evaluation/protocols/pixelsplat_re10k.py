"""pixelSplat on RealEstate10K (Charatan et al. 2024, arXiv:2312.12337, table 1): true poses are told."""

from __future__ import annotations

from lsm_core.evaluation.prepared import cropped_to_cover
from lsm_core.evaluation.protocols.noposplat_re10k import open_samples
from lsm_core.evaluation.protocols.protocol import LPIPS, PSNR, SSIM, PaperRow, Protocol
from lsm_core.evaluation.switches import Switches

SOURCE = "arXiv:2312.12337, table 1"

PROTOCOL = Protocol(
    name="pixelsplat-re10k",
    title="pixelSplat's protocol on RealEstate10K",
    backend="pixelsplat",
    samples=open_samples,
    crop=cropped_to_cover,
    side=256,
    switches=Switches(scene_unit="baseline", eight_bit=True),
    figures=(PSNR, SSIM, LPIPS),
    rows=(
        PaperRow("pixelSplat, RE10K", {"psnr": 26.09, "ssim": 0.863, "lpips": 0.136}, SOURCE),
        PaperRow("pixelSplat, ACID", {"psnr": 28.27, "ssim": 0.843, "lpips": 0.146}, SOURCE, data="acid"),
    ),
    data="RealEstate10K's .torch chunks (test), and --list evaluation_index_re10k.json of pixelSplat's release",
    needs_list=True,
)
