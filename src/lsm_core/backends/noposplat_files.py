"""NoPoSplat's released files: which keys they hold, and how they become a network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lsm_core.backends.checkpoint_kinds import TITLES, check_kind
from lsm_core.backends.noposplat_sizes import noposplat_sizes
from lsm_core.errors import WeightsError
from lsm_core.nn.dpt import ALIASES, UNUSED_PREFIX
from lsm_core.nn.noposplat import Noposplat
from lsm_core.weights import KeyRules, load_strict
from lsm_core.weights.files import CheckpointFile, read_checkpoint

PREFIX = "encoder."
NAME = "noposplat"
LARGE = "512"  # in the name of a file that was trained at that size
DEFAULT_SIZE, LARGE_SIZE = 256, 512
HEADS = ("downstream_head1.", "downstream_head2.", "gaussian_param_head.", "gaussian_param_head2.")

RULES = KeyRules(
    aliases={f"{h}dpt.{alias}": f"{h}dpt.{key}" for h in HEADS for alias, key in ALIASES.items()},
    unused=("backbone.mask_token", *(f"{h}dpt.{UNUSED_PREFIX}" for h in HEADS)),
)


def network_state(file: CheckpointFile) -> dict[str, Tensor]:
    """Return the tensors of a file without the prefix that all of them have.

    Raises:
        WeightsError: the file is of another model, or a tensor has another prefix.
    """
    check_kind(file, NAME)
    foreign = [key for key in file.tensors if not key.startswith(PREFIX)]
    if foreign:
        raise WeightsError(
            f"{file.path} has the tensor '{foreign[0]}', which is not under '{PREFIX}' like all of {TITLES[NAME]}.",
            "Name one of its released files (lsm weights list); lsm weights verify FILE says what a file is.",
        )
    return file.under(PREFIX)


def build(path: Path, reference: bool = False) -> Noposplat:
    """Make the network of a file, on the CPU and in eval mode.

    Raises:
        WeightsError: the file is missing, damaged, or of another model.
    """
    state = network_state(read_checkpoint(path))
    with torch.device("meta"):
        network = Noposplat(noposplat_sizes(state, str(path)), reference).eval()
    load_strict(network, state, RULES, str(path))
    return network


def trained_size(path: Path) -> int:
    """Return the side of the square that a released file was trained on, which only its name tells."""
    return LARGE_SIZE if LARGE in path.stem else DEFAULT_SIZE
