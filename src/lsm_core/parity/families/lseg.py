"""Family `lseg`: image features beside text vectors, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.backends.lseg_keys import IMAGE_PREFIXES, IMAGE_RULES
from lsm_core.nn.dpt import doubled
from lsm_core.nn.lseg import Lseg, LsegConfig, text_logits
from lsm_core.nn.vit import VitConfig
from lsm_core.parity.families.clip import EXACT, text_tower
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.query.clip_tokenizer import tokenize
from lsm_core.weights import load_strict, renamed

TEXT = "lseg_clip"
LABELS = "label_map_plus1"
MIN_GAP = 0.06  # between the two best logits, below which the best label may differ


def lseg_model(stated: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> Lseg:
    """Make LSeg's image side of the sizes that a fixture states, and load its weights."""
    dims: Any = tuple(stated["reassemble"])
    hooks: Any = tuple(stated["hooks"])
    vit = VitConfig(stated["dim"], stated["depth"], stated["heads"], stated["pos_img"] // 16)
    state = renamed(weights, IMAGE_PREFIXES)
    model = Lseg(LsegConfig(vit, hooks, dims, stated["features"], len(state["head1.bias"]))).eval()
    load_strict(model, state, IMAGE_RULES, source)
    return model


@torch.no_grad()
def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run each case, stage by stage."""
    model = lseg_model(fixture.spec["config"], fixture.weights(), fixture.name)
    tower = text_tower(fixture.spec["config"]["clip"], fixture.sibling(TEXT).weights(), TEXT)
    texts = tower(tokenize(fixture.spec["labels"]), torch.float16)
    out: dict[str, Tensor] = {}
    for case in fixture.spec["cases"]:
        image = inputs[case["prefix"] + "img"]
        readouts = model.readouts(image)
        paths = model.dpt.paths(readouts)
        features = model(image)
        logits = text_logits(features, texts)
        found = {
            "readout_1": readouts[0],
            "readout_4": readouts[3],
            "path_4": paths[0],
            "path_1": paths[3],
            "features_half_ch_stride4": features[:, ::4],
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
    best = answers[tensor.removesuffix(LABELS) + "logits"].topk(2, 1).values
    return best[:, 0] - best[:, 1] > MIN_GAP


FAMILIES = (Family("lseg", answer, lambda name: not name.endswith("img"), tolerance=tolerance, counted=counted),)
