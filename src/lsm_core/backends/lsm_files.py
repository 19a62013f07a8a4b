"""The three files of the Large Spatial Model: which is which, and how they become a network."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lsm_core.backends import lseg_keys, lsm_keys
from lsm_core.backends.lsm_sizes import clip_sizes, dust3r_sizes, lseg_sizes, point_sizes, shape
from lsm_core.errors import WeightsError
from lsm_core.nn.clip_text import ClipText
from lsm_core.nn.lsm import Lsm, LsmConfig
from lsm_core.weights import Part, load_parts, renamed
from lsm_core.weights.files import CheckpointFile, read_checkpoint
from lsm_core.weights.table import SEMANTIC_SOURCES, checkpoints_of, usage

Backbone = Literal["original", "finetuned"]
FILES = {
    "dust3r": "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth",
    "lseg": "demo_e200.ckpt",
    "lsm": "checkpoint-final.pth",
}
HEADS = {
    "gaussian_head": "gaussian_head.",
    "feature_expansion": "feature_expansion.1.",
    "feature_reduction": "feature_reduction.0.",
}
POINTS = "point_transformer."
OWN_PREFIXES = (POINTS, lsm_keys.DUST3R_PREFIX, lsm_keys.LSEG_PREFIX, *HEADS.values())


@dataclass(frozen=True, eq=False)
class LsmFiles:
    """The opened files, and the part of each."""

    dust3r: dict[str, Tensor]
    lseg: dict[str, Tensor]
    lsm: dict[str, Tensor]
    sources: dict[str, str] = field(default_factory=dict)


def open_files(folder: Path) -> LsmFiles:
    """Open the three files of a folder.

    Raises:
        WeightsError: the folder or a file is missing, unreadable or of another model.
    """
    if not folder.is_dir():
        what = "is a file; three are needed" if folder.exists() else "does not exist"
        raise WeightsError(f"The folder {folder} {what}: {', '.join(FILES.values())}.", bring("lsm", folder))
    missing = [name for name in FILES.values() if not (folder / name).is_file()]
    if missing:
        raise WeightsError(f"{folder} lacks {', '.join(missing)}.", bring("lsm", folder))
    opened: dict[str, CheckpointFile] = {part: read_checkpoint(folder / name) for part, name in FILES.items()}
    lseg = opened["lseg"].under(lseg_keys.PREFIX)
    sources = {part: str(file.path) for part, file in opened.items()}
    dust3r, own = with_second_decoder(opened["dust3r"].tensors), opened["lsm"].tensors
    return LsmFiles(dust3r, lseg, own, sources)


def with_second_decoder(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return DUSt3R's tensors; a file with one decoder only uses it for both streams."""
    if any(key.startswith("dec_blocks2") for key in state):
        return state
    first = {k: v for k, v in state.items() if k.startswith("dec_blocks.")}
    return state | {k.replace("dec_blocks.", "dec_blocks2.", 1): v for k, v in first.items()}


def build(files: LsmFiles, backbone: Backbone = "original", reference: bool = False) -> tuple[Lsm, ClipText]:
    """Make the network and the text tower.

    Names and shapes of all files are compared before a tensor of any is read.

    Args:
        files: opened.
        backbone: "original" takes DUSt3R and LSeg from their own files, as the reference's default loader does;
            "finetuned" takes them from the LSM checkpoint.
        reference: keep the slow readable twin of LSeg's tail.

    Raises:
        WeightsError: a key or shape does not fit.
    """
    own = files.lsm
    sources = {part: files.sources.get(part, part) for part in FILES}
    if backbone == "finetuned":
        dust3r, lseg = part_of(own, lsm_keys.DUST3R_PREFIX), part_of(own, lsm_keys.LSEG_PREFIX)
        sources |= {"dust3r": sources["lsm"], "lseg": sources["lsm"]}
    else:
        dust3r, lseg = files.dust3r, files.lseg
    points, foreign = part_of(own, POINTS), [k for k in own if not k.startswith(OWN_PREFIXES)]
    if foreign:
        raise WeightsError(f"{sources['lsm']} has the unknown tensor '{foreign[0]}'.", "Name the LSM checkpoint.")
    config = LsmConfig(
        dust3r_sizes(dust3r, sources["dust3r"]),
        lseg_sizes(lseg, sources["lseg"]),
        point_sizes(points, sources["lsm"]),
        shape(own, "feature_reduction.0.bias", sources["lsm"])[0],
    )
    with torch.device("meta"):
        network = Lsm(config, reference).eval()
    tower, text_part = text_tower(files.lseg, files.sources.get("lseg", "lseg"))
    parts = [
        Part(network.dust3r, dust3r, sources["dust3r"], lsm_keys.DUST3R_RULES),
        Part(network.lseg, renamed(lseg, lseg_keys.IMAGE_PREFIXES), sources["lseg"], lseg_keys.IMAGE_RULES),
        Part(network.point_transformer, points, f"{sources['lsm']}, part point_transformer,"),
        *(
            Part(getattr(network, part), part_of(own, prefix), f"{sources['lsm']}, part {prefix.rstrip('.')},")
            for part, prefix in HEADS.items()
        ),
        text_part,
    ]
    load_parts(parts)
    return network, tower


def text_tower(lseg: dict[str, Tensor], source: str) -> tuple[ClipText, Part]:
    """Return CLIP's text tower without values, and the part of LSeg's file that fills it."""
    state = part_of(lseg, lseg_keys.TEXT_PREFIX)
    with torch.device("meta"):
        tower = ClipText(clip_sizes(state, source)).eval()
    return tower, Part(tower, state, source, lseg_keys.TEXT_RULES)


def named_place(place: Path | None, backend: str) -> Path:
    """Return the place named for a backend's official files.

    Raises:
        WeightsError: none was named.
    """
    if place is not None:
        return place
    files = checkpoints_of(backend)
    variants = len({file.part for file in files}) == 1
    several = "one of the official checkpoints" if variants else "the official checkpoints"
    needed = "the official checkpoint" if len(files) == 1 else several
    who = f"The semantic source '{backend}'" if backend in SEMANTIC_SOURCES else f"Backend '{backend}'"
    raise WeightsError(f"{who} needs {needed}, which this package may not ship.", bring(backend))


def existing_place(place: Path | None, backend: str) -> Path:
    """Return the file or folder named for a backend's official files.

    Raises:
        WeightsError: none was named, or it does not exist.
    """
    named = named_place(place, backend)
    if not named.is_dir() and not named.is_file():
        raise WeightsError(f"There is no file {named}.", bring(backend, named.parent if named.suffix else named))
    return named


def file_in(place: Path | None, part: str) -> Path:
    """Return the file of a part that serves alone: the one named, or the one in the folder named.

    Raises:
        WeightsError: none was named, there is none, or a folder holds more than one variant.
    """
    place = existing_place(place, part)
    if not place.is_dir():
        return place
    names = [checkpoint.name for checkpoint in checkpoints_of(part)]
    found = [place / name for name in names if (place / name).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        raise WeightsError(f"{place} holds {', '.join(p.name for p in found)}.", "Name the file that is meant.")
    raise WeightsError(f"There is no file {' or '.join(str(place / name) for name in names)}.", bring(part, place))


def bring(backend: str, folder: Path | None = None) -> str:
    """Return the command that brings a backend's files to where they are looked for, as the fix of an error."""
    target = folder or Path("weights") / backend
    command = f"lsm weights fetch {backend} --accept-licence --to {shlex.quote(str(target))}"
    return f"{command} (--from FOLDER where they are already), then {usage(backend, target)}."


def part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a prefix, without it."""
    return {key[len(prefix) :]: tensor for key, tensor in state.items() if key.startswith(prefix)}
