"""Families `clip_tokenizer` and `clip_text`: from words to vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.lseg_keys import TEXT_RULES
from lsm_core.nn.clip_text import ClipText, ClipTextConfig
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.query.clip_tokenizer import tokenize
from lsm_core.weights import load_strict

EXACT = Tolerance(limit_abs=0.0)


def text_tower(stated: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> ClipText:
    """Make the text tower of the sizes that a fixture states; what it leaves out is read from the weights."""
    config = ClipTextConfig(
        vocabulary=len(weights["token_embedding.weight"]),
        context=len(weights["positional_embedding"]),
        width=stated["width"],
        heads=stated["heads"],
        layers=stated["layers"],
        out_dim=weights["text_projection"].shape[1],
    )
    model = ClipText(config).eval()
    load_strict(model, {k: v.float() for k, v in weights.items()}, TEXT_RULES, source)
    return model


@torch.no_grad()
def answer_text(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Encode the labels in both precisions."""
    model = text_tower(fixture.spec["config"], fixture.weights(), fixture.name)
    tokens = tokenize(fixture.spec["labels"])
    return {
        "tokens": tokens,
        "text_features_fp32": model(tokens),
        "text_features_fp16": model(tokens, torch.float16),
    }


def answer_tokens(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tokenize the strings."""
    return {"tokens": tokenize(fixture.spec["strings"])}


def tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the rule of a precision; tokens are exact."""
    if tensor == "tokens":
        return EXACT
    stated = spec["tolerance"][tensor.removeprefix("text_features_")]
    return Tolerance(atol=stated["atol"], rtol=stated["rtol"])


FAMILIES = (
    Family("clip_text", answer_text, is_answer=lambda name: True, tolerance=tolerance, on_device=True),
    Family("clip_tokenizer", answer_tokens, is_answer=lambda name: True, tolerance=tolerance),
)
