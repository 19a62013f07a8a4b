"""Families `rope2d`, `dust3r`, `dust3r_training_mode`, `dust3r_postprocess`: the geometry backbone."""

from __future__ import annotations

import re
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


def dust3r_config(stated: Mapping[str, Any], weights: Mapping[str, Tensor], prefix: str = "") -> Dust3rConfig:
    """Return the sizes that a fixture states.

    What it leaves out is read from the weights where it shows there, and has the release's value where not.

    Args:
        stated: the fixture's `config`.
        weights: under the reference's keys.
        prefix: of DUSt3R's keys.
    """
    usual = Dust3rConfig()
    _, channels, patch_size, _ = weights[f"{prefix}patch_embed.proj.weight"].shape
    croco = CrocoConfig(
        patch_size=patch_size,
        channels=channels,
        enc_dim=stated["enc_embed_dim"],
        enc_depth=stated["enc_depth"],
        enc_heads=stated["enc_num_heads"],
        dec_dim=stated["dec_embed_dim"],
        dec_depth=stated["dec_depth"],
        dec_heads=stated["dec_num_heads"],
        rope_base=rope_base(stated.get("pos_embed", "")),
    )
    dims: Any = tuple(stated.get("dpt_layer_dims", usual.layer_dims))
    depth, confidence = stated.get("depth_mode", [usual.depth]), stated.get("conf_mode", [usual.confidence])
    return Dust3rConfig(
        croco,
        dims,
        stated.get("dpt_feature_dim", usual.feature_dim),
        stated.get("dpt_last_dim", usual.last_dim),
        stated.get("head_type", usual.head),
        depth[0],
        confidence[0],
        usual.confidence_range if len(confidence) < 3 else (float(confidence[1]), float(confidence[2])),
    )


def rope_base(name: str) -> float:
    """Return the base in a name such as RoPE100."""
    stated = re.fullmatch(r"RoPE(\d+(?:\.\d+)?)", name)
    return float(stated[1]) if stated else CrocoConfig().rope_base


def build(fixture: Fixture) -> Dust3r:
    """Make the model of a fixture and load its weights."""
    weights = fixture.weights()
    model = Dust3r(dust3r_config(fixture.spec["config"], weights)).eval()
    load_strict(model, weights, DUST3R_RULES, fixture.name)
    return model


@torch.no_grad()
def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run each case: upright, or stored landscape where the fixture's model expects that."""
    model = build(fixture)
    stored_landscape = bool(fixture.spec["config"].get("landscape_only", False))
    out: dict[str, Tensor] = {}
    for prefix in sorted(name.removesuffix("img1") for name in inputs if name.endswith("img1")):
        images = [inputs[f"{prefix}img{i}"] for i in (1, 2)]
        if stored_landscape:
            out |= _mixed(model, prefix, images, [inputs[f"{prefix}true_shape{i}"] for i in (1, 2)])
        else:
            out |= _upright(model, prefix, images)
    return out


def _upright(model: Dust3r, prefix: str, images: list[Tensor]) -> dict[str, Tensor]:
    views = [model.encode(image) for image in images]
    layers = model.decode(views)
    sizes = [(image.shape[2], image.shape[3]) for image in images]
    raws = [model.head(v, layers[v], size) for v, size in enumerate(sizes)]
    return _named(prefix, model, views, layers, raws) | {f"{prefix}head{v + 1}_raw": raws[v] for v in (0, 1)}


def _mixed(model: Dust3r, prefix: str, images: list[Tensor], shapes: list[Tensor]) -> dict[str, Tensor]:
    """Run a batch of one or both orientations, stored landscape."""
    views = [
        model.encode_tokens(*embed_mixed(model.patch_embed, image, shape))
        for image, shape in zip(images, shapes, strict=True)
    ]
    layers = model.decode(views)
    raws = [
        decode_mixed(
            lambda tokens, size, v=v: model.head(v, tokens, size),  # type: ignore[misc]
            layers[v],
            shapes[v],
            (images[v].shape[2], images[v].shape[3]),
        )
        for v in (0, 1)
    ]
    last = {f"{prefix}head{v + 1}_raw": _last_call(raws[v], is_portrait(shapes[v])) for v in (0, 1)}
    return _named(prefix, model, views, layers, raws) | last


def _last_call(raw: Tensor, portrait: Tensor) -> Tensor:
    """Return what the reference's last call of a head gave: that of the portrait samples, if there are any."""
    return raw[portrait].transpose(2, 3) if bool(portrait.any()) else raw


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
        out |= {f"{prefix}dec{v + 1}.{i}": layer for i, layer in enumerate(layers[v])}
    return out


def is_answer(name: str) -> bool:
    """Tell answers from images and their shapes."""
    return not name.endswith(INPUTS)


FAMILIES = (
    Family("dust3r", answer, is_answer, on_device=True),
    Family("dust3r_training_mode", answer, is_answer, on_device=True),
    Family("rope2d", answer_rope, lambda name: name.endswith("out"), on_device=True),
    Family("dust3r_postprocess", answer_postprocess, lambda name: name != "raw", on_device=True),
)
