"""Official checkpoints: where they are published, under which licence, what is known of the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lsm_core.errors import UnknownBackendError

DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
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
    """

    name: str
    part: str
    url: str
    page: str
    licence: str
    sha256: str | None = None


DUST3R = Checkpoint(
    "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth",
    "dust3r",
    f"{NAVER}DUSt3R/DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth",
    "https://github.com/naver/dust3r",
    NON_COMMERCIAL,
)
LSEG = Checkpoint(
    "demo_e200.ckpt",
    "lseg",
    f"{DRIVE}1FTuHY1xPUkM-5gaDtMfgCl3D0gR89WV7",
    "https://github.com/isl-org/lang-seg",
    "MIT (code); the page states no other for the weights",
)
LSM = Checkpoint(
    "checkpoint-final.pth",
    "lsm",
    f"{DRIVE}1q57nbRJpPhrdf1m7XZTkBfUIskpgnbri",
    "https://github.com/NVlabs/LSM",
    f"as its page states; it contains DUSt3R's weights, {NON_COMMERCIAL}",
)

# backend or semantic source -> the files it needs, all in one folder
CHECKPOINTS: dict[str, tuple[Checkpoint, ...]] = {
    "lsm": (DUST3R, LSEG, LSM),
    "dust3r": (DUST3R,),
    "lseg": (LSEG,),
}


SEMANTIC_SOURCES = ("lseg",)  # of these, files serve beside a backend


def usage(backend: str, folder: Path) -> str:
    """Return how files in a folder are named to the program and to the node."""
    if backend in SEMANTIC_SOURCES:
        return f"--semantics {backend} --semantics-weights {folder}, or semantics.weights:={folder} for the node"
    return f"--weights {folder}, or weights:={folder} for the node"


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
