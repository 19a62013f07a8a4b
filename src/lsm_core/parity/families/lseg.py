"""Family `lseg`: image features beside text vectors, and what is asked of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.backends.lseg_keys import IMAGE_PREFIXES, IMAGE_RULES
from lsm_core.nn.dpt import doubled
from lsm_core.nn.folding import fold_batch_norms
from lsm_core.nn.lseg import Lseg, LsegConfig, text_logits
from lsm_core.nn.vit import VitConfig
from lsm_core.parity.families.clip import EXACT, text_tower
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.query.clip_tokenizer import tokenize
from lsm_core.weights import load_strict, renamed

TEXT_PART = "_clip"
LABELS = "label_map_plus1"
MIN_GAP = 0.06  # between the two best logits, below which the best label may differ, unless the fixture says
GAP = re.compile(r"gap > ([\d.]+)")
STRIDE = 4  # between the channels that are recorded


def lseg_config(stated: Mapping[str, Any], weights: Mapping[str, Tensor], prefix: str = "") -> LsegConfig:
    """Return the sizes that a fixture states; those of patches and output are read from the weights.

    Args:
        stated: the fixture's `config`.
        weights: under the reference's keys.
        prefix: of LSeg's keys.
    """
    dims: Any = tuple(stated["reassemble"])
    hooks: Any = tuple(stated["hooks"])
    patch = weights[f"{prefix}pretrained.model.patch_embed.proj.weight"].shape[-1]
    vit = VitConfig(stated["dim"], stated["depth"], stated["heads"], stated["pos_img"] // patch, patch)
    out_dim = len(weights[f"{prefix}scratch.head1.weight"])
    return LsegConfig(vit, hooks, dims, stated["features"], out_dim)


def lseg_model(stated: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> Lseg:
    """Make LSeg's image side of the sizes that a fixture states, and load its weights."""
    model = Lseg(lseg_config(stated, weights)).eval()
    load_strict(model, renamed(weights, IMAGE_PREFIXES), IMAGE_RULES, source)
    fold_batch_norms(model)
    return model


@torch.no_grad()
def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run each case, stage by stage."""
    model = lseg_model(fixture.spec["config"], fixture.weights(), fixture.name)
    text = fixture.partner(TEXT_PART)
    tower = text_tower(fixture.spec["config"]["clip"], text.weights(), text.name)
    texts = tower(tokenize(fixture.spec["labels"]), torch.float16)
    out: dict[str, Tensor] = {}
    for case in fixture.spec["cases"]:
        image = inputs[case["prefix"] + "img"]
        readouts = model.readouts(image)
        paths = model.dpt.paths(readouts)
        features = model(image)
        logits = text_logits(features, texts)
        found = {
            **{f"readout_{k + 1}": readouts[k] for k in range(4)},
            **{f"path_{4 - k}": paths[k] for k in range(4)},
            f"features_half_ch_stride{STRIDE}": features[:, ::STRIDE],
            "tokens_8x8": F.avg_pool2d(features, 8).flatten(2).transpose(1, 2),
            "features_full_sum_c": doubled(features).sum(1),
            "logits": logits,
            LABELS: logits.argmax(1) + 1,
        }
        out |= {case["prefix"] + name: tensor for name, tensor in found.items()}
    return out


def tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the rule for features or for logits; labels are exact where they count."""
    if tensor.endswith(LABELS):
        return EXACT
    stated = spec["tolerance"]["logits" if tensor.endswith("logits") else "features"]
    return Tolerance(atol=stated["atol"], rtol=stated["rtol"])


def counted(spec: Mapping[str, Any], tensor: str, answers: Mapping[str, Tensor]) -> Tensor | None:
    """Compare labels where the recorded logits are clear."""
    if not tensor.endswith(LABELS):
        return None
    logits = answers[tensor.removesuffix(LABELS) + "logits"]
    if logits.shape[1] < 2:
        return None
    stated = GAP.search(str(spec["tolerance"].get("label_map", "")))
    best = logits.topk(2, 1).values
    return best[:, 0] - best[:, 1] > (float(stated[1]) if stated else MIN_GAP)


FAMILIES = (
    Family(
        "lseg", answer, lambda name: not name.endswith("img"), tolerance=tolerance, counted=counted, on_device=True
    ),
)
