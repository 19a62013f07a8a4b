"""Official checkpoints: where they are published, under which licence, what is known of the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lsm_core.errors import InputError, UnknownBackendError

DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
HUGGING_FACE = "https://huggingface.co/"
NAVER = "https://download.europe.naverlabs.com/ComputerVision/"
NON_COMMERCIAL = "CC BY-NC-SA 4.0 (non-commercial)"


@dataclass(frozen=True)
class Checkpoint:
    """One published file.

    Attributes:
        name: of the file, as its users know it.
        part: what it is a checkpoint of, as `weights.verify` names it.
        url: of the file itself.
        page: where it and its licence are described.
        licence: of the weights.
        sha256: of the file, None where the source does not state one.
        parameters_m: million of different parameters.
    """

    name: str
    part: str
    url: str
    page: str
    licence: str
    sha256: str | None = None
    parameters_m: float | None = None

    @property
    def gigabytes(self) -> float | None:
        """Size of the weights in float32; a file may hold more, such as an optimizer's state."""
        return None if self.parameters_m is None else round(self.parameters_m * 4e-3, 2)

    @property
    def non_commercial(self) -> bool:
        """Whether the licence forbids commercial use."""
        return "non-commercial" in self.licence


DUST3R = Checkpoint(
    "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth",
    "dust3r",
    f"{NAVER}DUSt3R/DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth",
    "https://github.com/naver/dust3r",
    NON_COMMERCIAL,
    parameters_m=571.17,
)
LSEG = Checkpoint(
    "demo_e200.ckpt",
    "lseg",
    f"{DRIVE}1FTuHY1xPUkM-5gaDtMfgCl3D0gR89WV7",
    "https://github.com/isl-org/lang-seg",
    "MIT (code); the page states no other for the weights",
    parameters_m=495.14,
)
LSM = Checkpoint(
    "checkpoint-final.pth",
    "lsm",
    f"{DRIVE}1q57nbRJpPhrdf1m7XZTkBfUIskpgnbri",
    "https://github.com/NVlabs/LSM",
    f"as its page states; it contains DUSt3R's weights, {NON_COMMERCIAL}",
    parameters_m=1100.07,
)

MAST3R = Checkpoint(
    "MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric.pth",
    "mast3r",
    f"{NAVER}MASt3R/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric.pth",
    "https://github.com/naver/mast3r",
    NON_COMMERCIAL,
    parameters_m=688.64,
)
SPLATT3R = Checkpoint(
    "epoch=19-step=1200.ckpt",
    "splatt3r",
    f"{HUGGING_FACE}brandonsmart/splatt3r_v1.0/resolve/main/epoch%3D19-step%3D1200.ckpt",
    "https://github.com/btsmart/splatt3r",
    f"CC BY-NC 4.0 (non-commercial); it contains MASt3R's weights, {NON_COMMERCIAL}",
    parameters_m=729.04,
)
# The files are in one folder of the authors' drive; nothing states addresses of their own.
PIXELSPLAT_FOLDER = "https://drive.google.com/drive/folders/18nGNWIn8RN0aEWLR6MC2mshAkx2uN6fL"
PIXELSPLAT_RE10K, PIXELSPLAT_ACID, PIXELSPLAT_RE10K_3_VIEW = (
    Checkpoint(
        name,
        "pixelsplat",
        PIXELSPLAT_FOLDER,
        "https://github.com/dcharatan/pixelsplat",
        "MIT (code); the page states no other for the weights",
        parameters_m=118.98,
    )
    for name in ("re10k.ckpt", "acid.ckpt", "re10k_3_view.ckpt")
)
NOPOSPLAT = tuple(
    Checkpoint(
        name,
        "noposplat",
        f"{HUGGING_FACE}botaoye/NoPoSplat/resolve/main/{name}",
        "https://github.com/cvg/NoPoSplat",
        f"as its page states (MIT for the code); it was trained from MASt3R's weights, {NON_COMMERCIAL}",
        parameters_m=612.0,
    )
    for name in (
        "re10k.ckpt",
        "acid.ckpt",
        "mixRe10kDl3dv.ckpt",
        "mixRe10kDl3dv_512x512.ckpt",
        "re10k_3views.ckpt",
    )
)

XFEAT = Checkpoint(
    "xfeat.pt",
    "xfeat",
    "https://github.com/verlab/accelerated_features/raw/main/weights/xfeat.pt",
    "https://github.com/verlab/accelerated_features",
    "Apache-2.0",
    parameters_m=1.54,
)

# backend, semantic source or baseline of the evaluation -> the files it needs, all in one folder
CHECKPOINTS: dict[str, tuple[Checkpoint, ...]] = {
    "lsm": (DUST3R, LSEG, LSM),
    "dust3r": (DUST3R,),
    "lseg": (LSEG,),
    "mast3r": (MAST3R,),
    "splatt3r": (SPLATT3R,),
    "pixelsplat": (PIXELSPLAT_RE10K, PIXELSPLAT_ACID, PIXELSPLAT_RE10K_3_VIEW),
    "noposplat": NOPOSPLAT,
    "xfeat": (XFEAT,),
}


ONE_IS_ENOUGH = ("noposplat", "pixelsplat")  # their files are variants of one model, the usual one first
SEMANTIC_SOURCES = ("lseg",)  # of these, files serve beside a backend
BASELINES = ("xfeat",)  # of these, files serve the evaluation alone


def usage(backend: str, folder: Path) -> str:
    """Return how files in a folder are named to the program and to the node."""
    if backend in SEMANTIC_SOURCES:
        return f"--semantics {backend} --semantics-weights {folder}, or semantics.weights:={folder} for the node"
    if backend in BASELINES:
        return f"lsm eval rgbd-sequence --{backend} {folder}"
    return f"--weights {folder}, or weights:={folder} for the node"


def checkpoints_to_bring(backend: str, names: Sequence[str] = ()) -> tuple[Checkpoint, ...]:
    """Return the files to fetch: those named, else all that a backend needs.

    Raises:
        UnknownBackendError: no checkpoint is known for this backend.
        InputError: it has no file of that name.
    """
    known = checkpoints_of(backend)
    if not names:
        return known[:1] if backend in ONE_IS_ENOUGH else known
    foreign = [name for name in names if name not in {c.name for c in known}]
    if foreign:
        choices = ", ".join(c.name for c in known)
        raise InputError(f"'{backend}' has no file {', '.join(foreign)}.", f"Choose among {choices}.")
    return tuple(c for c in known if c.name in names)


def checkpoints_of(backend: str) -> tuple[Checkpoint, ...]:
    """Return the files a backend needs.

    Raises:
        UnknownBackendError: no checkpoint is known for this name.
    """
    if backend not in CHECKPOINTS:
        raise UnknownBackendError(
            f"No official checkpoint is known for '{backend}'.", f"Choose one of: {', '.join(CHECKPOINTS)}."
        )
    return CHECKPOINTS[backend]
