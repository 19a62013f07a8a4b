"""Families `rope2d`, `dust3r`, `dust3r_training_mode`, `dust3r_postprocess`: the geometry backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.lsm_keys import DUST3R_RULES
from lsm_core.nn.croco import CrocoConfig, ViewTokens
from lsm_core.nn.dust3r import Dust3r, Dust3rConfig, pointmap_from_raw
from lsm_core.nn.mixed_orientation import decode_mixed, embed_mixed, is_portrait
from lsm_core.nn.rope import apply_rope, rope_tables
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.weights import load_strict

INPUTS = ("img1", "img2", "true_shape1", "true_shape2")


def dust3r_config(stated: Mapping[str, Any]) -> Dust3rConfig:
    """Return the sizes that a fixture states; what it leaves out has the release's value."""
    usual = Dust3rConfig()
    croco = CrocoConfig(
        enc_dim=stated["enc_embed_dim"],
        enc_depth=stated["enc_depth"],
        enc_heads=stated["enc_num_heads"],
        dec_dim=stated["dec_embed_dim"],
        dec_depth=stated["dec_depth"],
        dec_heads=stated["dec_num_heads"],
    )
    dims: Any = tuple(stated.get("dpt_layer_dims", usual.layer_dims))
    return Dust3rConfig(
        croco,
        dims,
        stated.get("dpt_feature_dim", usual.feature_dim),
        stated.get("dpt_last_dim", usual.last_dim),
        stated.get("head_type", "dpt"),
    )


def build(fixture: Fixture) -> Dust3r:
    """Make the model of a fixture and load its weights."""
    model = Dust3r(dust3r_config(fixture.spec["config"])).eval()
    load_strict(model, fixture.weights(), DUST3R_RULES, fixture.name)
    return model


@torch.no_grad()
def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run each case upright."""
    model = build(fixture)
    out: dict[str, Tensor] = {}
    for case in fixture.spec["cases"]:
        prefix = case["prefix"]
        images = [inputs[f"{prefix}img{i}"] for i in (1, 2)]
        views = [model.encode(image) for image in images]
        layers = model.decode(views)
        raws = [model.head(v, layers[v], (case["H"], case["W"])) for v in (0, 1)]
        out |= _named(prefix, model, views, layers, raws)
        if model.sizes.head == "dpt":
            out |= {f"{prefix}head{v + 1}_raw": raw for v, raw in enumerate(raws)}
    return out


@torch.no_grad()
def answer_mixed(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run a batch of both orientations, stored landscape."""
    model = build(fixture)
    prefix = next(name for name in inputs if name.endswith("img1")).removesuffix("img1")
    images = [inputs[f"{prefix}img{i}"] for i in (1, 2)]
    shapes = [inputs[f"{prefix}true_shape{i}"] for i in (1, 2)]
    views = [
        model.encode_tokens(*embed_mixed(model.patch_embed, image, shape))
        for image, shape in zip(images, shapes, strict=True)
    ]
    layers = model.decode(views)
    size = (images[0].shape[2], images[0].shape[3])
    raws = [
        decode_mixed(lambda tokens, s, v=v: model.head(v, tokens, s), layers[v], shapes[v], size)  # type: ignore[misc]
        for v in (0, 1)
    ]
    upright = {
        f"{prefix}head{v + 1}_raw": raws[v][is_portrait(shapes[v])].transpose(2, 3) for v in (0, 1)
    }  # the reference recorded what its last call of the head gave: that of the portrait samples
    return _named(prefix, model, views, layers, raws) | upright


def answer_rope(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn tokens by their positions."""
    out: dict[str, Tensor] = {}
    for case in fixture.spec["cases"]:
        tokens, positions = inputs[case["prefix"] + "tokens"], inputs[case["prefix"] + "pos_yx"]
        out[case["prefix"] + "out"] = apply_rope(tokens, rope_tables(positions, tokens.shape[-1], case["base"]))
    return out


def answer_postprocess(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn raw values into points and confidence in each mode."""
    out: dict[str, Tensor] = {}
    for mode in fixture.spec["modes"]:
        low, high = (float(v) for v in mode["conf_range"])
        found = pointmap_from_raw(inputs["raw"], mode["depth"], mode["conf"], (low, high))
        out |= {mode["prefix"] + "pts3d": found.points, mode["prefix"] + "conf": found.confidence}
    return out


def _named(
    prefix: str, model: Dust3r, views: list[ViewTokens], layers: list[list[Tensor]], raws: list[Tensor]
) -> dict[str, Tensor]:
    """Name encoder tokens, decoder layers, points and confidence as the fixtures do."""
    out: dict[str, Tensor] = {}
    for v, points in enumerate(("pts3d_1", "pts3d_in_other_view_2")):
        found = model.pointmap(raws[v])
        out |= {
            f"{prefix}feat{v + 1}": views[v].tokens,
            f"{prefix}pos{v + 1}": views[v].positions,
            f"{prefix}{points}": found.points,
            f"{prefix}conf_{v + 1}": found.confidence,
        }
        out |= {f"{prefix}dec{v + 1}.{i}": layers[v][i] for i in range(1, len(layers[v]))}
    return out


def is_answer(name: str) -> bool:
    """Tell answers from images and their shapes."""
    return not name.endswith(INPUTS)


FAMILIES = (
    Family("dust3r", answer, is_answer),
    Family("dust3r_training_mode", answer_mixed, is_answer),
    Family("rope2d", answer_rope, lambda name: name.endswith("out")),
    Family("dust3r_postprocess", answer_postprocess, lambda name: name != "raw"),
)
