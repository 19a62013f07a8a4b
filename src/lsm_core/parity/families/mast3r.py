"""Families `mast3r`, `splatt3r`, `full_splatt3r`: the metric trunk and its Gaussians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.mast3r_keys import MAST3R_RULES, SPLATT3R_RULES
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dpt import hooked
from lsm_core.nn.dust3r import Dust3rConfig
from lsm_core.nn.mast3r import DescriptorConfig, Mast3r, Mast3rConfig
from lsm_core.nn.pixel_gaussians import PixelGaussians
from lsm_core.nn.splatt3r import Splatt3r, Splatt3rConfig
from lsm_core.parity.families.dust3r import rope_base
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.recipe import fill_by_recipe
from lsm_core.parity.registry import Family
from lsm_core.render.projection import rotation_matrices
from lsm_core.weights import load_strict

CROCO_NAMES = {
    "patch_size": "patch_size",
    "enc_embed_dim": "enc_dim",
    "enc_depth": "enc_depth",
    "enc_num_heads": "enc_heads",
    "dec_embed_dim": "dec_dim",
    "dec_depth": "dec_depth",
    "dec_num_heads": "dec_heads",
}
POINTS = ("pts3d", "pts3d_in_other_view")
MEANS = ("means", "means_in_other_view")


def trunk_sizes(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a `Dust3rConfig` that a fixture states, those of the release for the others."""
    usual = Dust3rConfig()
    croco = {ours: stated[name] for name, ours in CROCO_NAMES.items() if name in stated}
    depth, confidence = stated.get("depth_mode", [usual.depth]), stated.get("conf_mode", ["exp", 1, "inf"])
    sizes = Dust3rConfig(
        CrocoConfig(rope_base=rope_base(stated.get("pos_embed", "")), **croco),
        tuple(stated.get("layer_dims", usual.layer_dims)),
        stated.get("feature_dim", usual.feature_dim),
        stated.get("last_dim", usual.last_dim),
        depth=depth[0],
        confidence=confidence[0],
        confidence_range=(float(confidence[1]), float(confidence[2])),
    )
    return {f.name: getattr(sizes, f.name) for f in fields(sizes)}


def descriptor_sizes(stated: Mapping[str, Any], usual: DescriptorConfig) -> DescriptorConfig:
    """Return the sizes of the local features that a fixture states, those of a release for the others."""
    mode = stated.get("desc_conf_mode")
    if isinstance(mode, str):  # "same as conf_mode ..."
        mode = stated["conf_mode"]
    kind, low, high = mode or (usual.confidence, *usual.confidence_range)
    own = stated.get("two_confs", usual.own_confidence)
    return DescriptorConfig(stated.get("desc_dim", usual.dim), own, kind, (float(low), float(high)))


def mast3r_sizes(stated: Mapping[str, Any]) -> Mast3rConfig:
    """Return the sizes of a MASt3R that a fixture states."""
    return Mast3rConfig(**trunk_sizes(stated), descriptor=descriptor_sizes(stated, DescriptorConfig()))


def splatt3r_sizes(stated: Mapping[str, Any]) -> Splatt3rConfig:
    """Return the sizes of a Splatt3R that a fixture states."""
    usual = Splatt3rConfig()
    assert usual.descriptor is not None
    return Splatt3rConfig(
        **trunk_sizes(stated),
        descriptor=descriptor_sizes(stated, usual.descriptor),
        use_offsets=stated.get("use_offsets", usual.use_offsets),
        sh_coefficients=stated.get("sh_degree", usual.sh_coefficients),
        offset_shift=stated.get("offset_shift", usual.offset_shift),
    )


@torch.no_grad()
def answer_mast3r(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run a pair, with descriptors."""
    model = Mast3r(mast3r_sizes(fixture.spec["hyper_parameters"])).eval()
    load_strict(model, fixture.weights(), MAST3R_RULES, fixture.name)
    images = [inputs["in.img1"], inputs["in.img2"]]
    tokens, positions = model.patch_embed(images[0])
    views = [model.encode(image) for image in images]
    layers = model.decode(views)
    named, raws = _points(model, layers, images)
    out = {
        "mid.patch_tokens1": tokens,
        "mid.pos1": positions,
        "mid.enc1": views[0].tokens,
        "mid.enc2": views[1].tokens,
        "mid.dpt1": raws[0],
    }
    out |= {f"mid.hook{i}_{v + 1}": t for v in (0, 1) for i, t in enumerate(hooked(layers[v]))}
    return out | named


@torch.no_grad()
def answer_splatt3r(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run a pair, with descriptors and Gaussians; recorded weights, or those of the recipe."""
    stated = fixture.spec["hyper_parameters"]
    with torch.device("meta"):
        model = Splatt3r(splatt3r_sizes(stated)).eval()
    if "weight_recipe" in fixture.spec:
        fill_by_recipe(model, fixture.spec)
    else:
        load_strict(model, fixture.weights(), SPLATT3R_RULES, fixture.name)
    images = [2 * inputs[f"in.original_img{v}"] - 1 for v in (1, 2)]
    views = [model.encode(image) for image in images]
    layers = model.decode(views)
    out, _ = _points(model, layers, images)
    for v, image in enumerate(images):
        raw = model.raw_gaussians(v, layers[v], (image.shape[2], image.shape[3]))
        out |= _gaussians(v, model.gaussians(raw, out[f"out.view{v + 1}.{POINTS[v]}"], image))
        out |= {f"mid.gaussian_dpt{v + 1}": raw, f"mid.dec_last{v + 1}": layers[v][-1]}
        out[f"mid.enc{v + 1}"] = views[v].tokens
    return {name: _thinned(fixture, name, tensor) for name, tensor in out.items()}


def _points(
    model: Mast3r, layers: Sequence[Sequence[Tensor]], images: Sequence[Tensor]
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Return points, descriptors and confidences of both views by name, and the raw points."""
    out, raws = dict[str, Tensor](), []
    for v, image in enumerate(images):
        size = (image.shape[2], image.shape[3])
        raws.append(model.head(v, layers[v], size))
        points = model.pointmap(raws[v])
        described = model.descriptors(v, layers[v], size, points.confidence)
        prefix = f"out.view{v + 1}."
        out |= {prefix + POINTS[v]: points.points, f"{prefix}conf": points.confidence}
        out |= {f"{prefix}desc": described.vectors, f"{prefix}desc_conf": described.confidence}
    return out, raws


def _gaussians(view: int, g: PixelGaussians) -> dict[str, Tensor]:
    """Name a view's Gaussians as the fixtures do; recorded quaternions are xyzw, colours colour by colour."""
    half = rotation_matrices(g.rotations.flatten(0, -2)) * g.scales.flatten(0, -2)[:, None]
    prefix = f"out.view{view + 1}."
    return {
        prefix + MEANS[view]: g.means,
        f"{prefix}scales": g.scales,
        f"{prefix}rotations": g.rotations.roll(-1, -1),
        f"{prefix}sh": g.sh.transpose(-1, -2),
        f"{prefix}opacities": g.opacities[..., None],
        f"{prefix}covariances": (half @ half.transpose(1, 2)).view(*g.means.shape, 3),
    }


def _thinned(fixture: Fixture, name: str, tensor: Tensor) -> Tensor:
    """Return every n-th pixel of descriptors that were recorded so."""
    recorded = fixture.spec.get("tensors", {}).get(name)
    if recorded is None or not name.endswith(".desc"):
        return tensor
    rows, columns = (tensor.shape[i] // recorded["shape"][i] for i in (1, 2))
    return tensor[:, ::rows, ::columns]


FAMILIES = (
    Family("mast3r", answer_mast3r, on_device=True),
    Family("splatt3r", answer_splatt3r, on_device=True),
    Family("full_splatt3r", answer_splatt3r),
)
