"""Where the tensors of LSeg's demo_e200 checkpoint go (keys after the Lightning prefix `net.`)."""

from __future__ import annotations

from lsm_core.weights import KeyRules

PREFIX = "net."
IMAGE_PREFIXES = {
    "pretrained.model.": "vit.",
    "scratch.": "dpt.scratch.",
    "scratch.head1.": "head1.",
    **{f"pretrained.act_postprocess{k + 1}.0.project.0.": f"readout.{k}." for k in range(4)},
    **{
        f"pretrained.act_postprocess{k + 1}.{i + 3}.": f"dpt.act_postprocess.{k}.{i}."
        for k in range(4)
        for i in (0, 1)
    },
}
IMAGE_RULES = KeyRules(
    unused=("vit.norm.", "vit.head.", "dpt.scratch.refinenet4.resConfUnit1.", "clip_pretrained."),
)
TEXT_PREFIX = "clip_pretrained."
TEXT_RULES = KeyRules(unused=("visual.", "logit_scale"))
