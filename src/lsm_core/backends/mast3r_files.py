"""MASt3R's and Splatt3R's checkpoints: how a file becomes a network."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from lsm_core.backends.checkpoint_kinds import check_kind
from lsm_core.backends.lsm_files import file_in, with_second_decoder
from lsm_core.backends.lsm_sizes import Shapes, dust3r_sizes, shape
from lsm_core.backends.mast3r_keys import DESCRIPTORS, FOREIGN, MAST3R_RULES, PREFIX, SPLATT3R_RULES
from lsm_core.errors import WeightsError
from lsm_core.nn.mast3r import Mast3r, Mast3rConfig
from lsm_core.nn.splatt3r import Splatt3r, Splatt3rConfig
from lsm_core.weights import KeyRules, completed, load_strict
from lsm_core.weights.files import read_checkpoint

Sizes = TypeVar("Sizes", bound=Mast3rConfig)
DESCRIPTOR_OUT = "downstream_head1.head_local_features.fc2.bias"
GAUSSIAN_OUT = "downstream_head1.gaussian_dpt.dpt.head.4.bias"


def mast3r_sizes(state: Shapes, source: str) -> Mast3rConfig:
    """Return MASt3R's sizes; keys without a prefix. Descriptors have a confidence of their own, as released."""
    return _with_descriptors(Mast3rConfig(**_trunk(state, source)), state, source)


def splatt3r_sizes(state: Shapes, source: str) -> Splatt3rConfig:
    """Return Splatt3R's sizes; keys without a prefix. Whether offsets are used leaves no trace: they are."""
    sizes = _with_descriptors(Splatt3rConfig(**_trunk(state, source)), state, source)
    colours = shape(state, GAUSSIAN_OUT, source)[0] - sum(sizes.gaussian_channels) + 3 * sizes.sh_coefficients
    if colours < 3 or colours % 3:
        raise WeightsError(f"{source} has a Gaussian head of another kind ('{GAUSSIAN_OUT}').", "Fetch it again.")
    return replace(sizes, sh_coefficients=colours // 3)


def open_mast3r(place: Path | None, descriptors: bool = True, reference: bool = False) -> Mast3r:
    """Load MASt3R's file, named itself or by its folder.

    Args:
        place: file or folder.
        descriptors: load the layers of the local features, too.
        reference: heads work in the released order.

    Raises:
        WeightsError: no file was named, or it is missing, damaged, or of another model.
    """
    path, state = opened_state(place, "mast3r")
    sizes = replace(mast3r_sizes(state, str(path)), reference=reference)
    with torch.device("meta"):
        network = Mast3r(sizes if descriptors else replace(sizes, descriptor=None)).eval()
    load_strict(network, state, rules_for(MAST3R_RULES, descriptors), str(path))
    return network


def open_splatt3r(place: Path | None, descriptors: bool = False, reference: bool = False) -> Splatt3r:
    """Load Splatt3R's file; see `open_mast3r`."""
    path, state = opened_state(place, "splatt3r")
    sizes = replace(splatt3r_sizes(state, str(path)), reference=reference)
    with torch.device("meta"):
        network = Splatt3r(sizes if descriptors else replace(sizes, descriptor=None)).eval()
    load_strict(network, state, rules_for(SPLATT3R_RULES, descriptors), str(path))
    return network


def opened_state(place: Path | None, part: str) -> tuple[Path, dict[str, Tensor]]:
    """Return the file of "mast3r" or "splatt3r", and its tensors under the keys of the network.

    Raises:
        WeightsError: no file was named, or it is missing, damaged, or of another model.
    """
    path = file_in(place, part)
    file = read_checkpoint(path)
    check_kind(file, part)
    if part == "mast3r":
        return path, completed(with_second_decoder(file.tensors), MAST3R_RULES)
    foreign = [key for key in file.tensors if not key.startswith((PREFIX, *FOREIGN))]
    if foreign:
        raise WeightsError(f"{path} has the unknown tensor '{foreign[0]}'.", f"Name the checkpoint of {part}.")
    return path, completed(file.under(PREFIX), SPLATT3R_RULES)


def _trunk(state: Shapes, source: str) -> dict[str, Any]:
    sizes = dust3r_sizes(state, source)
    return {f.name: getattr(sizes, f.name) for f in fields(sizes)}


def _with_descriptors(sizes: Sizes, state: Shapes, source: str) -> Sizes:
    if DESCRIPTOR_OUT not in state:
        return replace(sizes, descriptor=None)
    assert sizes.descriptor is not None
    channels = shape(state, DESCRIPTOR_OUT, source)[0] // sizes.croco.patch_size**2
    return replace(sizes, descriptor=replace(sizes.descriptor, dim=channels - 1))


def rules_for(rules: KeyRules, descriptors: bool) -> KeyRules:
    """Return the rules of a network with or without the layers of the local features."""
    return rules if descriptors else replace(rules, unused=(*rules.unused, *DESCRIPTORS))
