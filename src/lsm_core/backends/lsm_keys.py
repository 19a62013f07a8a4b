"""Where the tensors of the LSM checkpoint go, and what the default loader of the release takes from elsewhere."""

from __future__ import annotations

from lsm_core.backends.lseg_keys import IMAGE_PREFIXES, IMAGE_RULES
from lsm_core.nn.dpt import ALIASES, UNUSED_PREFIX
from lsm_core.weights import KeyRules

DUST3R_PREFIX = "dust3r.dust3r."
LSEG_PREFIX = "lseg_feature_extractor."
HEADS = ("downstream_head1.dpt.", "downstream_head2.dpt.")

DUST3R_RULES = KeyRules(
    aliases={h + alias: h + key for h in HEADS for alias, key in ALIASES.items()},
    unused=("mask_token", *(h + UNUSED_PREFIX for h in HEADS)),
)
PREFIXES = {
    "feature_expansion.1.": "feature_expansion.",
    "feature_reduction.0.": "feature_reduction.",
    DUST3R_PREFIX: "dust3r.",
    **{LSEG_PREFIX + old: f"lseg.{new}" for old, new in IMAGE_PREFIXES.items()},
    LSEG_PREFIX: "lseg.",
}
RULES = KeyRules(
    aliases={f"dust3r.{alias}": f"dust3r.{key}" for alias, key in DUST3R_RULES.aliases.items()},
    unused=(*(f"dust3r.{p}" for p in DUST3R_RULES.unused), *(f"lseg.{p}" for p in IMAGE_RULES.unused)),
)
