"""Families `gaussian_head`, `lsm_end_to_end`, `weights_only`: the whole Large Spatial Model."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.lsm import TRAINED_COEFFICIENTS
from lsm_core.backends.lsm_files import POINTS, part_of
from lsm_core.backends.lsm_keys import DUST3R_PREFIX, LSEG_PREFIX, PREFIXES, RULES
from lsm_core.nn.folding import fold_batch_norms
from lsm_core.nn.gaussian_head import GaussianHead, merge_points
from lsm_core.nn.lseg import text_logits
from lsm_core.nn.lsm import Lsm, LsmConfig, LsmOutput
from lsm_core.nn.pixel_gaussians import PixelGaussians, joined
from lsm_core.parity.families.clip import EXACT, text_tower
from lsm_core.parity.families.dust3r import dust3r_config
from lsm_core.parity.families.lseg import lseg_config
from lsm_core.parity.families.points import point_transformer_config
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance
from lsm_core.query.clip_tokenizer import tokenize
from lsm_core.render.cpu import rasterize_cpu
from lsm_core.render.projection import rotation_matrices
from lsm_core.types import Camera
from lsm_core.weights import load_strict, renamed

DUST3R_PART, CLIP_PART = "_part_dust3r", "_clip"
INPUT = re.compile(r"img\d+|view\d+\.c2w|K|first\.serialized_order")
HEAD_INPUT = re.compile(r"pts3d_\d+|img\d+|point_feat|lseg_res_feature|merged\.offset")
PARTS = (
    DUST3R_PREFIX, LSEG_PREFIX, POINTS, "gaussian_head.", "feature_expansion.", "feature_reduction.",
)  # fmt: skip
NEAR = 0.2
FILLER = "dummy"  # the one recorded tensor of a fixture that only has weights; it is zero


def lsm_config(stated: Mapping[str, Any], weights: Mapping[str, Tensor], grid_size: float) -> LsmConfig:
    """Return the sizes that a fixture states; widths of tokens follow from the parts."""
    lseg = lseg_config(stated["lseg"], weights, LSEG_PREFIX)
    fusion = {"dust_dim": stated["dust3r"]["enc_embed_dim"], "lseg_dim": lseg.out_dim, **stated["fusion"]}
    feature_dim = len(weights["feature_reduction.0.bias"])
    return LsmConfig(
        dust3r_config(stated["dust3r"], weights, DUST3R_PREFIX),
        lseg,
        point_transformer_config({**stated["ptv3"], "fusion": fusion}, grid_size, part_of(weights, POINTS)),
        feature_dim,
        sh_degree(weights["gaussian_head.gaussian_proj.bias"], feature_dim),
    )


def sh_degree(bias: Tensor, feature_dim: int) -> int:
    """Return the degree whose coefficients, with the other parameters, make up the output of a Gaussian head."""
    return math.isqrt((len(bias) - 3 - 4 - 1 - feature_dim) // 3) - 1


def lsm_model(fixture: Fixture, reference: bool) -> Lsm:
    """Make the model of a fixture from the files its weights are spread over."""
    whole = fixture.sibling(fixture.spec["weights_of"])
    state = whole.weights()
    if not any(key.startswith(DUST3R_PREFIX) for key in state):
        state |= whole.partner(DUST3R_PART).weights()
    model = Lsm(lsm_config(fixture.spec["config"], state, fixture.spec["grid_size"]), reference).eval()
    load_strict(model, renamed(state, PREFIXES), RULES, fixture.name)
    if not reference:
        fold_batch_norms(model)
    return model


@torch.no_grad()
def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Predict the pair, draw it into both views and ask for the labels."""
    spec = fixture.spec
    model = lsm_model(fixture, reference=False)
    images = [inputs[name] for name in sorted(name for name in inputs if name.startswith("img"))]
    views = [model.encode(image) for image in images]
    permutations = [torch.tensor(p) for p in spec["perms"]]
    found = model(views, permutations, orders=inputs.get("first.serialized_order"))
    text = fixture.sibling(spec["weights_of"]).partner(CLIP_PART)
    tower = text_tower(spec["config"]["clip"], text.weights(), text.name)
    texts = tower(tokenize(spec["labels"]), torch.float16)
    out = {
        "lseg_tokens": torch.cat([view.language for view in views], 1),
        "lseg_res_feature": torch.cat([view.residual for view in views])[:, ::8],
        "dust3r_enc_feat": torch.cat([view.geometry.tokens for view in views], 1),
        "point_feat": found.point_features,
        "merged.center": found.merged.center,
        "merged.scale": found.merged.scale,
    }
    for v, points in enumerate(("pred1.pts3d", "pred2.pts3d_in_other_view")):
        out |= {points: found.pointmaps[v].points, f"pred{v + 1}.conf": found.pointmaps[v].confidence}
        named = named_gaussians(f"pred{v + 1}.", found.gaussians[v])
        named[f"pred{v + 1}.sh_coeffs_ch0_stride"] = named.pop(f"pred{v + 1}.sh_coeffs")[..., 0]
        named[f"pred{v + 1}.gs_feats_ch0_stride"] = named.pop(f"pred{v + 1}.gs_feats")[..., ::8]
        out |= named
    for name in inputs:
        if name.endswith(".c2w"):
            out |= drawn(model, found, inputs, name.removesuffix("c2w"), texts)
    return out


def drawn(
    model: Lsm, found: LsmOutput, inputs: Mapping[str, Tensor], prefix: str, texts: Tensor
) -> dict[str, Tensor]:
    """Draw all Gaussians into a view, on the CPU, with features and what the labels score there."""
    size = (inputs["img1"].shape[2], inputs["img1"].shape[3])
    reference, c2w, K = (inputs[name].cpu() for name in ("view0.c2w", f"{prefix}c2w", "K"))
    with torch.device("cpu"):
        views = [PixelGaussians(**{k: v.cpu() for k, v in vars(view).items()}) for view in found.gaussians]
        scene = joined(views, TRAINED_COEFFICIENTS)
        camera = pinhole(K, size, torch.linalg.inv(reference) @ c2w)
        # As there: tiles leave out what lies beyond 3 standard deviations, colours above 1 are not cut.
        image = rasterize_cpu(scene, [camera], torch.zeros(3), True, culling="released")[0]
    assert image.features is not None
    features = image.features.permute(2, 0, 1)
    expanded = model.expand(features[None].to(texts.device))
    return {
        f"{prefix}render": image.rgb.permute(2, 0, 1),
        f"{prefix}depth": (image.depth * image.alpha)[None],
        f"{prefix}feature_map_stride8": features[::8],
        f"{prefix}expanded_stride16": expanded[0, ::16],
        f"{prefix}logits": text_logits(expanded, texts),
    }


def pinhole(K: Tensor, size: tuple[int, int], T_scene_cam: Tensor) -> Camera:
    """Return the camera the reference draws with: its field of view, the principal point in the middle."""
    height, width = size
    middle = torch.tensor([[0, 0, (width - 1) / 2], [0, 0, (height - 1) / 2], [0, 0, 1.0]])
    return Camera(middle + torch.diag(torch.stack((K[0, 0], K[1, 1], K.new_zeros(())))), width, height, T_scene_cam,
                  near=NEAR)  # fmt: skip


def named_gaussians(prefix: str, g: PixelGaussians) -> dict[str, Tensor]:
    """Name a view's Gaussians as the fixtures do; their covariances read the quaternion as xyzw."""
    assert g.features is not None
    half = rotation_matrices(g.rotations.roll(1, -1).flatten(0, -2)) * g.scales.flatten(0, -2)[:, None]
    return {
        f"{prefix}means": g.means,
        f"{prefix}scales": g.scales,
        f"{prefix}rotations": g.rotations,
        f"{prefix}opacities": g.opacities[..., None],
        f"{prefix}sh_coeffs": g.sh,
        f"{prefix}gs_feats": g.features,
        f"{prefix}covs": (half @ half.transpose(1, 2)).view(*g.means.shape, 3),
    }


@torch.no_grad()
def answer_head(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Merge points and make Gaussians of given features."""
    stated = fixture.spec["config"]
    weights = fixture.weights()
    degree = sh_degree(weights["gaussian_proj.bias"], stated["d_gs_feats"])
    head = GaussianHead(stated["d_pt_feat"], stated["d_gs_feats"], degree).eval()
    load_strict(head, weights, source=fixture.name)
    count = sum(name.startswith("img") for name in inputs)
    images = [inputs[f"img{v + 1}"] for v in range(count)]
    merged = merge_points([inputs[f"pts3d_{v + 1}"] for v in range(count)], images)
    residuals = list(inputs["lseg_res_feature"].chunk(count))
    views = head(inputs["point_feat"], merged, images, residuals)
    out = {
        "merged.coord": merged.coords,
        "merged.color": merged.features[:, 3:],
        "merged.feat": merged.features,
        "merged.center": merged.center,
        "merged.scale": merged.scale,
    }
    for v, view in enumerate(views):
        out |= named_gaussians(f"pred{v + 1}.", view)
    return out


def answer_weights(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Answer for a file of weights that other fixtures use: every tensor must be of a known part and finite."""
    bad = [k for k, t in fixture.weights().items() if not k.startswith(PARTS) or not t.isfinite().all()]
    return {FILLER: torch.full((1,), float(len(bad)))}


def tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the rule of the stage a tensor belongs to."""
    stated = spec["tolerance"]
    if tensor.startswith("view"):
        rule = stated["logits" if tensor.endswith("logits") else "render"]
    elif tensor.endswith(("pts3d", "pts3d_in_other_view", "conf", "enc_feat", "center", "merged.scale")):
        rule = stated["dust3r"]
    else:
        rule = stated["gaussians"]
    return Tolerance(atol=rule.get("atol"), rtol=rule.get("rtol"))


FAMILIES = (
    Family("lsm_end_to_end", answer, lambda name: not INPUT.fullmatch(name), tolerance=tolerance, on_device=True),
    Family("gaussian_head", answer_head, lambda name: not HEAD_INPUT.fullmatch(name), on_device=True),
    Family("weights_only", answer_weights, lambda name: name == FILLER, tolerance=lambda spec, tensor: EXACT),
)
