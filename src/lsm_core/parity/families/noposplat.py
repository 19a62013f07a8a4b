"""Families of NoPoSplat: the network, its adapter, opacities, rays and losses."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.noposplat_files import RULES
from lsm_core.backends.noposplat_sizes import noposplat_sizes
from lsm_core.errors import UnsupportedError
from lsm_core.geometry.permuted_harmonics import degree_mask
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dpt import hooked
from lsm_core.nn.gaussian_adapter import (
    OpacityMapping,
    covariances,
    symmetric_matrices,
    unified_gaussians,
)
from lsm_core.nn.intrinsics_embedding import IntrinsicsMode, ray_embedding
from lsm_core.nn.noposplat import Noposplat, NoposplatConfig
from lsm_core.nn.pixel_gaussians import PixelGaussians
from lsm_core.nn.ray_gaussians import opacity_of_probability
from lsm_core.parity.families.dust3r import rope_base
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.recipe import fill_by_recipe
from lsm_core.parity.registry import Family, prefixed_answer
from lsm_core.training.render_losses import colour_loss, depth_smoothness_loss
from lsm_core.weights import load_strict

AT_INDEX = "_at_index"
RAYS = re.compile(r"out\.degree(\d+)(?:_downsample(\d+))?(_merged)?")
OPACITY_CASE = re.compile(r"out\.i(-?[\d.]+)_f(-?[\d.]+)_w(\d+)_step(\d+)")
LOSS = re.compile(r"out\.(?:mse(?:_w([\d.]+))?|depth_(?:plain|bilateral([\d.]+))(_second)?)")


def noposplat_config(stated: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> NoposplatConfig:
    """Return the sizes that a fixture states; what it leaves out is read from the weights."""
    shown = noposplat_sizes(weights, source)
    croco = CrocoConfig(
        patch_size=shown.croco.patch_size,
        enc_dim=stated.get("enc_embed_dim", shown.croco.enc_dim),
        enc_depth=stated.get("enc_depth", shown.croco.enc_depth),
        enc_heads=stated.get("enc_num_heads", shown.croco.enc_heads),
        dec_dim=stated.get("dec_embed_dim", shown.croco.dec_dim),
        dec_depth=stated.get("dec_depth", shown.croco.dec_depth),
        dec_heads=stated.get("dec_num_heads", shown.croco.dec_heads),
        rope_base=rope_base(stated.get("pos_embed", "")),
    )
    dims: Any = tuple(stated.get("layer_dims", shown.layer_dims))
    return NoposplatConfig(
        croco,
        dims,
        stated.get("feature_dim", shown.feature_dim),
        stated.get("last_dim", shown.last_dim),
        stated.get("sh_degree", shown.sh_degree),
        intrinsics_mode(stated.get("intrinsics_embed"), shown.intrinsics),
    )


def intrinsics_mode(stated: str | None, shown: IntrinsicsMode) -> IntrinsicsMode:
    """Return the mode in words such as "token in encoder"; a linear one leaves no other trace than a token's."""
    words = re.match(r"(token|linear|pixelwise)(?: in (?:the )?(encoder|decoder))?\b", stated or "")
    if stated is None:
        return shown
    if words is None:
        raise UnsupportedError(f"The fixture's intrinsics mode '{stated}' is not known.")
    kind: Any = words[1]
    place: Any = words[2] or shown.place
    return IntrinsicsMode(kind, place, shown.degree)


@torch.no_grad()
def answer_network(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run the network with recorded weights."""
    weights = fixture.weights()
    config = noposplat_config(fixture.spec["hyper_parameters"], weights, fixture.name)
    model = Noposplat(config).eval()
    load_strict(model, weights, RULES, fixture.name)
    return _run(model, inputs["in.context.image"], inputs["in.context.intrinsics"], inputs["out.index"])


@torch.no_grad()
def answer_full(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run the network of the release with the recipe's weights."""
    with torch.device("meta"):
        model = Noposplat(NoposplatConfig()).eval()
    fill_by_recipe(model, fixture.spec)
    images, K = (inputs["in.image01"] - 0.5) / 0.5, inputs["in.intrinsics"]
    return _run(model, images, K, inputs["out.index"])


def _run(model: Noposplat, images: Tensor, K: Tensor, index: Tensor) -> dict[str, Tensor]:
    """Run views [B, V, 3, H, W] and name everything as the fixtures do."""
    views = [model.encode(images[:, v], K[:, v]) for v in range(images.shape[1])]
    layers = model.decode(views)
    found = model.gaussians(views, layers)
    out = {f"mid.hook{i}": torch.stack(hook, 1) for i, hook in enumerate(zip(*map(hooked, layers), strict=True))}
    out |= {f"mid.pts3d_{v}": view.means for v, view in enumerate(found)}
    if model.config.intrinsics.kind == "token":
        out["mid.intrinsic_token"] = model.backbone.intrinsic_encoder(K.flatten(2))
    means, scales, quats, opacities, sh = (
        torch.cat([getattr(view, part).flatten(1, 2) for view in found], 1)
        for part in ("means", "scales", "rotations", "opacities", "sh")
    )
    rows = _named(PixelGaussians(means, scales, quats, opacities, sh))
    at = {f"{name}{AT_INDEX}": tensor[:, index] for name, tensor in rows.items()}
    return out | rows | at


def _named(gaussians: PixelGaussians) -> dict[str, Tensor]:
    """Name Gaussians [..., N] as the fixtures do: quaternions xyzw, coefficients colour by colour."""
    return {
        "out.means": gaussians.means,
        "out.opacities": gaussians.opacities,
        "out.scales": gaussians.scales,
        "out.rotations": gaussians.rotations.roll(-1, -1),
        "out.covariances": symmetric_matrices(covariances(gaussians.scales, gaussians.rotations)),
        "out.harmonics": gaussians.sh.transpose(-1, -2),
    }


def answer_adapter(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make Gaussians of raw numbers."""
    raw = inputs["in.raw"]
    found = unified_gaussians(inputs["in.means"], inputs["in.opacities"], raw)
    return _named(found) | {"out.sh_mask": degree_mask(math.isqrt(found.sh.shape[-2]) - 1)}


def answer_rays(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Embed the rays of an image, at its size or a smaller one."""
    size, out = fixture.spec["hyper_parameters"], dict[str, Tensor]()
    for name in fixture.spec["tensors"]:
        case = RAYS.fullmatch(name)
        if case is None:
            continue
        step = int(case[2] or 1)
        rays = ray_embedding(inputs["in.intrinsics"], (size["H"] // step, size["W"] // step), int(case[1]))
        out[name] = rays.flatten(-2).transpose(-1, -2) if case[3] else rays
    return out


def answer_opacity(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Map probabilities in each case that the names of the answers state."""
    out = {}
    for name in fixture.spec["tensors"]:
        if case := OPACITY_CASE.fullmatch(name):
            mapping = OpacityMapping(float(case[1]), float(case[2]), int(case[3]))
            out[name] = opacity_of_probability(inputs["in.pdf"], mapping.exponent(int(case[4])))
    return out


def answer_render_losses(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute each loss that the names of the answers state."""
    out = {}
    depth, near, far = (inputs[f"in.{name}"] for name in ("depth", "near", "far"))
    for name in fixture.spec["tensors"]:
        case = LOSS.fullmatch(name)
        if case is None:
            continue
        if name.startswith("out.mse"):
            out[name] = colour_loss(inputs["in.color"], inputs["in.target"], float(case[1] or 1))
        else:
            target = inputs["in.target"] if case[2] else None
            out[name] = depth_smoothness_loss(depth, near, far, target, float(case[2] or 0), bool(case[3]))
    return out


def is_answer(name: str) -> bool:
    """Tell answers from inputs; which rows are compared is asked, not answered."""
    return prefixed_answer(name) and name != "out.index"


FAMILIES = (
    Family("noposplat", answer_network, is_answer, on_device=True),
    Family("full_noposplat", answer_full, is_answer),
    Family("noposplat_dense_intrinsics", answer_rays, on_device=True),
    Family("unified_gaussian_adapter", answer_adapter, on_device=True),
    Family("opacity_mapping", answer_opacity, on_device=True),
    Family("render_losses", answer_render_losses, on_device=True),
)
