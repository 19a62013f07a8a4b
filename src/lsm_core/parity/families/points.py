"""Families `serialization`, `submconv3d`, `fusion_decoder_block`, `ptv3`, `ptv3_fusion`: networks on points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

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
CODES = ("first.serialized_code", "first.serialized_order", "first.grid_coord")


def point_transformer_config(
    stated: Mapping[str, Any], grid_size: float, in_channels: int
) -> PointTransformerConfig:
    """Return the sizes that a fixture states."""
    fusion = stated.get("fusion")
    return PointTransformerConfig(
        in_channels=in_channels,
        grid_size=grid_size,
        enc_depths=tuple(stated["enc_depths"]),
        enc_channels=tuple(stated["enc_channels"]),
        enc_heads=tuple(stated["enc_num_head"]),
        enc_patches=tuple(stated["enc_patch_size"]),
        dec_depths=tuple(stated["dec_depths"]),
        dec_channels=tuple(stated["dec_channels"]),
        dec_heads=tuple(stated["dec_num_head"]),
        dec_patches=tuple(stated["dec_patch_size"]),
        fusion=fusion and FusionConfig(fusion["dust_dim"], fusion["lseg_dim"], fusion["heads"], fusion["heads2"]),
    )


@torch.no_grad()
def answer_transformer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run with shuffled and with plain curves, and the plain ones in the two other modes of attention."""
    spec = fixture.spec
    config = point_transformer_config(spec["config"], spec["grid_size"], inputs["feat"].shape[1])
    model = PointTransformer(config).eval()
    load_strict(model, fixture.weights(), source=fixture.name)
    runs = {
        "shuffled": (spec["perms_shuffled"], AttentionMode()),
        "identity": (spec["perms_identity"], AttentionMode()),
        "identity_fp16attn": (spec["perms_identity"], AttentionMode(half=True)),
        "identity_noflash": (spec["perms_identity"], AttentionMode(shared_size=True)),
    }
    out: dict[str, Tensor] = {}
    for name, (permutations, mode) in runs.items():
        seen: dict[str, Tensor] = {}
        drawn = [torch.tensor(p) for p in permutations]
        tokens = (inputs.get("dust_tokens"), inputs.get("lseg_tokens"))
        result = model(inputs["feat"], inputs["coord"], spec["counts"], drawn, *tokens, mode, None, seen)
        out[f"{name}.out.feat"] = result
        out |= {f"{name}.{recorded_name(key)}": value for key, value in seen.items()}
    return out


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
    stated = spec["tolerance"].get(tensor.split(".")[0], spec["tolerance"]["default"])
    return Tolerance(atol=stated["atol"], rtol=stated["rtol"])


def answer_serialization(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute all curves at each depth."""
    out: dict[str, Tensor] = {}
    for depth in fixture.spec["depths"]:
        codes = curve_codes(inputs[f"d{depth}.grid_coord"], inputs[f"d{depth}.batch"], depth)
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
        conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(inputs[prefix + "bias"])
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
        Family(kind, answer_transformer, lambda name: name not in INPUTS, tolerance=transformer_tolerance)
        for kind in ("ptv3", "ptv3_fusion")
    ),
    Family(
        "serialization",
        answer_serialization,
        lambda name: name.endswith(ORDERS),
        tolerance=lambda spec, tensor: EXACT,
    ),
    Family("submconv3d", answer_convolution, lambda name: name.endswith(".out")),
    Family("fusion_decoder_block", answer_fusion, lambda name: name == "out"),
)
