"""Families `serialization`, `submconv3d`, `fusion_decoder_block`, `ptv3`, `ptv3_fusion`: networks on points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lsm_core.nn.folding import fold_batch_norms
from lsm_core.parity.families.clip import EXACT
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.points.fusion import FusionBlock
from lsm_core.points.ptv3 import AttentionMode, FusionConfig, PointTransformer, PointTransformerConfig
from lsm_core.points.serialization import ORDERS, curve_codes
from lsm_core.points.sparse_conv import SubmanifoldConv
from lsm_core.points.voxels import Voxels
from lsm_core.weights import load_strict

INPUTS = ("coord", "color", "feat", "offset", "dust_tokens", "lseg_tokens")
ORDER = "first.serialized_order"
CODES = ("first.serialized_code", ORDER, "first.grid_coord")

PERMUTATIONS = "perms_"
MODES = {"": AttentionMode(), "_fp16attn": AttentionMode(half=True), "_noflash": AttentionMode(shared_size=True)}


def point_transformer_config(
    stated: Mapping[str, Any], grid_size: float, weights: Mapping[str, Tensor], curves: Sequence[str] = ORDERS
) -> PointTransformerConfig:
    """Return the sizes that a fixture states; channels and kernels are read from the weights.

    Args:
        stated: the fixture's `config`.
        grid_size: edge of a voxel.
        weights: under the keys of the point transformer alone.
        curves: that the fixture names.
    """
    fusion = stated.get("fusion")
    stem, cpe = weights["embedding.stem.conv.weight"], weights["enc.enc0.block0.cpe.0.weight"]
    stages = len(stated["enc_depths"])
    return PointTransformerConfig(
        in_channels=stem.shape[-1],
        grid_size=grid_size,
        enc_depths=tuple(stated["enc_depths"]),
        enc_channels=tuple(stated["enc_channels"]),
        enc_heads=tuple(stated["enc_num_head"]),
        enc_patches=tuple(stated["enc_patch_size"]),
        dec_depths=tuple(stated["dec_depths"]),
        dec_channels=tuple(stated["dec_channels"]),
        dec_heads=tuple(stated["dec_num_head"]),
        dec_patches=tuple(stated["dec_patch_size"]),
        strides=tuple(stated.get("stride", (2,) * (stages - 1))),
        curves=tuple(curves),
        stem_size=stem.shape[1],
        cpe_size=cpe.shape[1],
        fusion=fusion and FusionConfig(fusion["dust_dim"], fusion["lseg_dim"], fusion["heads"], fusion["heads2"]),
    )


@torch.no_grad()
def answer_transformer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run each recorded set of permutations in the three modes of attention."""
    spec, weights = fixture.spec, fixture.weights()
    curves = spec.get("order_names", ORDERS)
    model = PointTransformer(point_transformer_config(spec["config"], spec["grid_size"], weights, curves)).eval()
    load_strict(model, weights, source=fixture.name)
    fold_batch_norms(model)
    given = tie_orders(fixture)
    tokens = (inputs.get("dust_tokens"), inputs.get("lseg_tokens"))
    out: dict[str, Tensor] = {}
    for drawn, permutations in ((k.removeprefix(PERMUTATIONS), v) for k, v in spec.items() if PERMUTATIONS in k):
        for suffix, mode in MODES.items():
            name, seen = drawn + suffix, dict[str, Tensor]()
            result = model(
                inputs["feat"],
                inputs["coord"],
                spec["counts"],
                [torch.tensor(p) for p in permutations],
                *tokens,
                mode,
                given.get(drawn),
                seen,
            )
            out[f"{name}.out.feat"] = result
            out |= {f"{name}.{recorded_name(key)}": value for key, value in seen.items()}
    return out


def tie_orders(fixture: Fixture) -> dict[str, Tensor]:
    """Return the recorded orders of the first stage, by the run's name, where points share a voxel.

    How ties are broken is not defined by the reference and decides which patch a point falls in, so the recorded
    order is followed if it does sort the recorded codes; a wrong one is left out, and the comparison then fails.
    """
    recorded, found = fixture.tensors(), {}
    for name, order in recorded.items():
        run = name.removesuffix(f".{ORDER}")
        if run == name:
            continue
        each_once = order.sort(1).values == torch.arange(order.shape[1], device=order.device)
        steps = recorded[f"{run}.{CODES[0]}"].gather(1, order).diff()
        has_ties, sorts = bool((steps == 0).any()), bool((steps >= 0).all())
        if has_ties and sorts and bool(each_once.all()):
            found[run] = order
    return found


def recorded_name(stage: str) -> str:
    """Return the fixtures' name of a stage's output."""
    first = {"first.codes": CODES[0], "first.orders": CODES[1], "first.grid": CODES[2]}
    if stage in first:
        return first[stage]
    part = stage[:3] + "." if stage[:3] in ("enc", "dec") and stage[3:].isdigit() else ""
    return f"{part}{stage}.feat"


def transformer_tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the rule of a run; codes are exact."""
    if tensor.endswith(CODES):
        return EXACT
    run, rules = tensor.split(".")[0], spec["tolerance"]
    half = next((rule for name, rule in rules.items() if name.endswith("fp16attn")), None)
    stated = rules.get(run) or (half if run.endswith("fp16attn") else None) or rules["default"]
    return Tolerance(atol=stated["atol"], rtol=stated["rtol"])


def answer_serialization(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute all curves at each depth."""
    out: dict[str, Tensor] = {}
    for depth in fixture.spec["depths"]:
        grid, batch = inputs[f"d{depth}.grid_coord"], inputs[f"d{depth}.batch"]
        codes = curve_codes(grid, batch, depth)
        out |= {f"d{depth}.{order}": row for order, row in zip(ORDERS, codes, strict=True)}
    return out


@torch.no_grad()
def answer_convolution(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convolve each case."""
    out: dict[str, Tensor] = {}
    for case in fixture.spec["cases"]:
        prefix = case["prefix"]
        weight, indices = inputs[prefix + "weight_KRSC"], inputs[prefix + "indices_bxyz"]
        conv = SubmanifoldConv(weight.shape[-1], len(weight), case["k"])
        bias = inputs.get(prefix + "bias")
        conv.weight, conv.bias = nn.Parameter(weight), None if bias is None else nn.Parameter(bias)
        out[prefix + "out"] = conv(inputs[prefix + "features"], Voxels(indices[:, 1:], indices[:, 0]))
    return out


@torch.no_grad()
def answer_fusion(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fuse points of several samples with tokens."""
    stated = fixture.spec["config"]
    block = FusionBlock(stated["dim"], stated["heads"]).eval()
    load_strict(block, fixture.weights(), source=fixture.name)
    return {"out": block(inputs["point_feat"], stated["counts"], inputs["memory"])}


FAMILIES = (
    *(
        Family(
            kind,
            answer_transformer,
            lambda name: name not in INPUTS,
            tolerance=transformer_tolerance,
            on_device=True,
        )
        for kind in ("ptv3", "ptv3_fusion")
    ),
    Family(
        "serialization",
        answer_serialization,
        lambda name: name.endswith(ORDERS),
        tolerance=lambda spec, tensor: EXACT,
        on_device=True,
    ),
    Family("submconv3d", answer_convolution, lambda name: name.endswith(".out"), on_device=True),
    Family("fusion_decoder_block", answer_fusion, lambda name: name == "out", on_device=True),
)
