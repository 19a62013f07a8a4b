"""pixelSplat's released files: which one is meant, which do not fit, and how one becomes a network."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lsm_core.backends.checkpoint_kinds import check_kind
from lsm_core.backends.lsm_files import bring, existing_place
from lsm_core.backends.pixelsplat_keys import OLD, PREFIX, RULES
from lsm_core.backends.pixelsplat_sizes import pixelsplat_sizes
from lsm_core.errors import WeightsError
from lsm_core.nn.pixelsplat import Pixelsplat, PixelsplatConfig
from lsm_core.weights import load_strict
from lsm_core.weights.files import CheckpointFile, read_checkpoint

NAME = "pixelsplat"
VIEW_EMBEDDINGS = 3  # of the model for three views
FIRST_CHOICE = "re10k.ckpt"  # of a folder that holds several
ENDINGS = (".ckpt", ".pth", ".pt", ".safetensors")


def three_views(config: PixelsplatConfig) -> PixelsplatConfig:
    """Return the sizes of the model that was trained on three views."""
    return replace(config, epipolar=replace(config.epipolar, view_embeddings=VIEW_EMBEDDINGS))


def network_state(file: CheckpointFile) -> dict[str, Tensor]:
    """Return the tensors of a file without the prefix that all of them have.

    Raises:
        WeightsError: it is an old pixelSplat checkpoint, of another model, or a tensor has another prefix.
    """
    if is_old(file):
        raise WeightsError(
            f"{file.path} is a pixelSplat checkpoint from before its camera-ready retraining; that network had "
            "convolutions after its self attention and gives other results, so it cannot be loaded.",
            "Fetch the present file of that name (lsm weights list says where).",
        )
    check_kind(file, NAME)
    foreign = [key for key in file.tensors if not key.startswith(PREFIX)]
    if foreign:
        raise WeightsError(
            f"{file.path} is no pixelSplat checkpoint: it has the tensor '{foreign[0]}', not under '{PREFIX}'.",
            "Name one of its released files (lsm weights list); lsm weights verify FILE says what a file is.",
        )
    return file.under(PREFIX)


def is_old(file: CheckpointFile) -> bool:
    """Tell whether a file is of the network that was released before the retraining."""
    return any(re.search(OLD, key) for key in file.tensors)


def build(path: Path, reference: bool = False) -> Pixelsplat:
    """Make the network of a file, on the CPU and in eval mode.

    Names and shapes are compared before a tensor is read.

    Raises:
        WeightsError: the file is missing, damaged, old, or of another model.
    """
    state = network_state(read_checkpoint(path))
    with torch.device("meta"):
        network = Pixelsplat(pixelsplat_sizes(state, str(path)), reference).eval()
    load_strict(network, state, RULES, str(path))
    network.optimize()
    return network.requires_grad_(False)


def file_in(place: Path | None) -> Path:
    """Return the file named, or that of the folder named: re10k.ckpt, else the only one.

    Raises:
        WeightsError: none was named, there is none, or there are several to choose from.
    """
    place = existing_place(place, NAME)
    if not place.is_dir():
        return place
    found = sorted(p for p in place.iterdir() if p.suffix in ENDINGS)
    chosen = [p for p in found if p.name == FIRST_CHOICE] or found
    if len(chosen) != 1:
        what = f"holds {len(found)} checkpoints: {', '.join(p.name for p in found)}" if found else "holds none"
        raise WeightsError(f"The folder {place} {what}.", "Name the file." if found else bring(NAME, place))
    return chosen[0]
