"""Where the tensors of MASt3R's and Splatt3R's checkpoints go."""

from __future__ import annotations

from lsm_core.nn.dpt import ALIASES, UNUSED_PREFIX
from lsm_core.weights import KeyRules

PREFIX = "encoder."  # of the network in Splatt3R's file
FOREIGN = ("lpips_criterion.",)  # of what else that file has: the training loss's own network
HEADS = ("downstream_head1.", "downstream_head2.")
DESCRIPTORS = tuple(f"{head}head_local_features." for head in HEADS)


def _rules(*dpts: str) -> KeyRules:
    places = [head + dpt for head in HEADS for dpt in dpts]
    return KeyRules(
        aliases={place + alias: place + key for place in places for alias, key in ALIASES.items()},
        unused=("mask_token", *(place + UNUSED_PREFIX for place in places)),
    )


MAST3R_RULES = _rules("dpt.")
SPLATT3R_RULES = _rules("dpt.", "gaussian_dpt.dpt.")
