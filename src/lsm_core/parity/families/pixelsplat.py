"""Families of pixelSplat: its whole network, depth buckets, Gaussians on rays, rays seen by another camera."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.pixelsplat_files import three_views
from lsm_core.backends.pixelsplat_keys import RULES
from lsm_core.geometry.epipolar import RaySegments, cell_centres, clip_rays, ray_depth, world_rays
from lsm_core.geometry.permuted_harmonics import degree_mask
from lsm_core.geometry.wigner import rotate_coefficients
from lsm_core.nn.depth_buckets import (
    choose,
    depth_from_relative_disparity,
    most_probable,
    relative_disparity_from_depth,
    sampled,
    split_logits,
)
from lsm_core.nn.epipolar import EpipolarConfig, RayCameras
from lsm_core.nn.image_attention import ImageAttentionConfig
from lsm_core.nn.pixelsplat import Pixelsplat, PixelsplatConfig, PixelsplatOutput
from lsm_core.nn.ray_gaussians import RayGaussians, ScaleRange, covariances, ray_gaussians
from lsm_core.nn.resnet import ResNetConfig
from lsm_core.nn.vit import VitConfig
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.recipe import fill_by_recipe
from lsm_core.parity.registry import Family, prefixed_answer
from lsm_core.parity.tolerance import Tolerance, tolerance_of
from lsm_core.weights import load_strict

PERMUTATION = "in.view_permutation"
SAMPLE_DEPTH, DEPTH, INDEX = "mid.epipolar.depth_clamped", "out.depth", "out.index"
RAYS_EVERY, CHANNELS = 3, 4
SAME_BUCKET = 0.1  # of a bucket: two depths that differ by more are of different buckets
BEST = re.compile(r"out\.topk(\d+)_depth_trans([01])")
MANY = 1e30  # what stands for infinity in the recordings


def pixelsplat_config(stated: Mapping[str, Any], weights: Mapping[str, Tensor]) -> PixelsplatConfig:
    """Return the sizes that a fixture states; the numbers of blocks and of embeddings are those of the weights."""
    s = stated
    embeddings = weights.get("epipolar_transformer.view_embeddings.weight")
    patches = s["dino_img"] // s["dino_patch"]
    prefix = "backbone.resnet_backbone.model.layer"
    blocks: Any = tuple(
        1 + max(int(k[len(prefix) + 2 :].split(".")[0]) for k in weights if k.startswith(f"{prefix}{i}."))
        for i in (1, 2, 3)
    )
    planes: Any = tuple(s["resnet_planes"][:3])
    own = ImageAttentionConfig(
        s["patch_size"], s["sa_octaves"], s["sa_layers"], s["sa_heads"], s["sa_ddot"], s["sa_dtoken"], s["sa_mlp"]
    )
    return PixelsplatConfig(
        VitConfig(s["dino_dim"], s["dino_depth"], s["dino_heads"], patches, s["dino_patch"], s["dino_mlp_ratio"]),
        ResNetConfig(s["stem"], planes, blocks),
        s["d_backbone"],
        EpipolarConfig(
            s["d_feature"],
            s["num_samples"],
            s["num_octaves"],
            s["ep_layers"],
            s["heads"],
            s["d_dot"],
            s["downscale"],
            0 if embeddings is None else len(embeddings),
            own,
        ),
        s["buckets"],
        1,
        s["gpp"],
        s["sh_degree"],
        ScaleRange(s["scale_min"], s["scale_max"]),
    )


def pixelsplat_model(
    config: PixelsplatConfig, weights: Mapping[str, Tensor], source: str, reference: bool
) -> Pixelsplat:
    """Make the network and fill it."""
    network = Pixelsplat(config, reference).eval()
    load_strict(network, weights, RULES, source)
    network.optimize()
    return network


@torch.no_grad()
def answer(fixture: Fixture, inputs: Mapping[str, Tensor], reference: bool = False) -> dict[str, Tensor]:
    """Run the network of the sizes that a fixture states."""
    stated, weights = fixture.spec["hyper_parameters"], fixture.weights()
    network = pixelsplat_model(pixelsplat_config(stated, weights), weights, fixture.name, reference)
    return run(network, inputs)


@torch.no_grad()
def answer_full(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run the network of the released size, filled by the fixture's recipe."""
    released = PixelsplatConfig()
    with torch.device("meta"):
        network = Pixelsplat(three_views(released) if PERMUTATION in inputs else released).eval()
    fill_by_recipe(network, fixture.spec)
    network.optimize()
    return run(network, inputs)


def run(network: Pixelsplat, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Run a network stage by stage; `out.index` is an input, it says which rows were recorded."""
    images = inputs["in.context.image"]
    cameras = RayCameras(*(inputs[f"in.context.{k}"] for k in ("extrinsics", "intrinsics", "near", "far")))
    (batch, views), size = images.shape[:2], (images.shape[3], images.shape[4])
    flat = images.flatten(0, 1)
    pyramid, tokens = network.backbone.resnet_backbone(flat), network.backbone.dino.tokens(flat)
    joined = network.backbone.join(pyramid, tokens)
    epipolar = network.epipolar_transformer
    features = epipolar.downscaler(network.project(joined)).unflatten(0, (batch, views))
    found = epipolar.sample(features, cameras)
    permutation = inputs.get(PERMUTATION)
    pixels = network.match(features, images, cameras, permutation)
    output = network.decode(pixels, cameras, size, inputs.get("in.uniform"))
    backbone = joined.unflatten(0, (batch, views))
    out = {
        "mid.resnet": pyramid.unflatten(0, (batch, views))[:, :1, :CHANNELS],
        "mid.dino_tokens_view0": tokens.unflatten(0, (batch, views))[:, 0],
        "mid.backbone_view0": backbone[:, 0],
        "mid.backbone_first16ch": backbone[:, :, :16],
        "mid.epipolar.valid": found.valid,
        "mid.epipolar.xy_sample": found.xy,
        "mid.epipolar.features_every3": found.features[:, :, :, ::RAYS_EVERY],
        SAMPLE_DEPTH: found.depth,
        "mid.epipolar_out_view1": epipolar(features, cameras, permutation)[:, 1],
        "mid.bucket_index": output.choice.index,
        "mid.buckets": torch.tensor(network.config.buckets),
    }
    return out | named_output(output, cameras, size, inputs[INDEX])


def named_output(
    output: PixelsplatOutput, cameras: RayCameras, size: tuple[int, int], index: Tensor
) -> dict[str, Tensor]:
    """Name results as the recordings do; `*_at_index` are rows of the flattened Gaussians."""
    flat = {k: v.flatten(1, 3) for k, v in named_gaussians(output.gaussians, cameras).items()}
    out = {
        DEPTH: output.choice.depth.unflatten(2, size),
        "out.opacities": output.opacities.flatten(1),
        "out.means": flat["means"],
    }
    return out | {f"out.{name}_at_index": tensor[:, index] for name, tensor in flat.items()}


def named_gaussians(gaussians: RayGaussians, cameras: RayCameras) -> dict[str, Tensor]:
    """Return what the reference has per Gaussian, [B, V, N, G, ...]; harmonics are masked and rotated its way."""
    T, count = cameras.T_world_cam, gaussians.means.shape[3]
    mask = degree_mask(round(gaussians.harmonics.shape[-1] ** 0.5) - 1).to(gaussians.harmonics)
    turned = rotate_coefficients(gaussians.harmonics * mask, T[:, :, None, None, :3, :3])
    return {
        "means": gaussians.means,
        "scales": gaussians.scales,
        "covariances": covariances(gaussians, T),
        "harmonics": turned[:, :, :, None].expand(-1, -1, -1, count, -1, -1),
        "rotations": gaussians.rotations[:, :, :, None].expand(-1, -1, -1, count, -1),
    }


def answer_buckets(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Map depths, and choose buckets in every recorded way."""
    stated, near, far = fixture.spec["hyper_parameters"], inputs["in.near"], inputs["in.far"]
    wide = (near[..., None], far[..., None], stated["eps"])
    depth = depth_from_relative_disparity(inputs["in.relative_disparity"], *wide)
    out = {"out.depth": depth, "out.back": relative_disparity_from_depth(depth, *wide)}
    features = inputs["in.features"].relu()
    raw = torch.nn.functional.linear(features, inputs["in.projection.weight"], inputs["in.projection.bias"])
    surfaces = raw.shape[-1] // (2 * stated["buckets"])
    probabilities, offsets = split_logits(raw, surfaces)
    limits = (near[:, :, None, None, None], far[:, :, None, None, None])
    for found in filter(None, map(BEST.fullmatch, fixture.spec["tensors"])):
        count, transmittance = int(found[1]), found[2] == "1"
        best = most_probable(probabilities, count)
        chosen = choose(probabilities, offsets, best, *limits, transmittance, stated["eps"])
        name = f"out.topk{found[1]}_{{}}_trans{found[2]}"
        out |= {name.format("depth"): chosen.depth, name.format("opacity"): chosen.opacity}
    index = sampled(probabilities, inputs["in.uniform"])
    drawn = choose(probabilities, offsets, index, *limits, eps=stated["eps"])
    return out | {
        "out.sampled_depth": drawn.depth,
        "out.sampled_opacity": drawn.opacity,
        "out.sampled_index": drawn.index,
    }


def answer_adapter(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Place Gaussians on rays."""
    stated, T = fixture.spec["hyper_parameters"], inputs["in.extrinsics"]
    raw, depths = inputs["in.raw"], inputs["in.depths"]
    found = ray_gaussians(
        raw.flatten(2, 4),
        inputs["in.xy"].flatten(2, 4),
        depths.flatten(2, 3),
        T,
        inputs["in.intrinsics"],
        (stated["h"], stated["w"]),
        ScaleRange(stated["scale_min"], stated["scale_max"]),
    )
    cameras = RayCameras(T, inputs["in.intrinsics"], depths, depths)
    named = named_gaussians(found, cameras)
    out = {f"out.{k}": v.unflatten(2, depths.shape[2:4]) for k, v in named.items()}
    return out | {"out.sh_mask": degree_mask(stated["sh_degree"])}


def answer_rays(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Clip the rays of view 0 to view 1's image and triangulate them with rays of view 1."""
    stated, T, K = fixture.spec["hyper_parameters"], inputs["in.extrinsics"], inputs["in.intrinsics"]
    height, width = fixture.spec["tensors"]["mid.xy"]["shape"][:2]
    xy = cell_centres(height, width, T)
    origins, directions = world_rays(xy.flatten(0, 1), T[0], K[0])
    limits = (T.new_tensor([stated["near"]]), T.new_tensor([stated["far"]]))
    bounded, unbounded = (
        clip_rays(origins, directions, T[1], K[1], *limits),
        clip_rays(origins, directions, T[1], K[1]),
    )
    other = world_rays(inputs["in.sample_xy"], T[1], K[1])
    return {
        "mid.xy": xy,
        "mid.origins": origins,
        "mid.directions": directions,
        **{f"out.bounded.{k}": v for k, v in named_segments(bounded).items()},
        "out.unbounded.overlaps": unbounded.seen,
        "out.triangulated_depth": ray_depth(origins, directions, *other),
        "out.fov": fields_of_view(K),
    }


def named_segments(segments: RaySegments) -> dict[str, Tensor]:
    """Name the parts of rays as the recordings do, which hold no infinities."""
    return {
        "t_min": segments.t_min.clamp(max=MANY),
        "t_max": segments.t_max.clamp(min=-MANY),
        "xy_min": segments.xy_min,
        "xy_max": segments.xy_max,
        "overlaps": segments.seen,
    }


def fields_of_view(K: Tensor) -> Tensor:
    """Return the angles [..., 2] (horizontal, vertical) between the middles of opposite borders, radians."""
    middles = K.new_tensor([[[0, 0.5], [1, 0.5]], [[0.5, 0], [0.5, 1]]])
    no_pose = torch.eye(4).to(K).expand(*K.shape[:-2], 4, 4)
    _, rays = world_rays(middles.flatten(0, 1), no_pose, K)
    ends = rays.unflatten(-2, (2, 2))
    return (ends[..., 0, :] * ends[..., 1, :]).sum(-1).acos()


def is_answer(tensor: str) -> bool:
    """Tell answers from inputs."""
    return tensor != INDEX and prefixed_answer(tensor)


def prepared(
    spec: Mapping[str, Any], inputs: Mapping[str, Tensor], ours: Mapping[str, Tensor], answers: Mapping[str, Tensor]
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Compare depths of samples as relative disparities, and leave out the pixels that may have flipped."""
    near, far = (inputs[f"in.context.{k}"] for k in ("near", "far"))
    seen, expected = dict(ours), dict(answers)
    if SAMPLE_DEPTH in answers:
        limits = (near[:, :, None, None, None], far[:, :, None, None, None])
        for side in (seen, expected):
            side[SAMPLE_DEPTH] = relative_disparity_from_depth(side[SAMPLE_DEPTH], *limits)
    allowed = float(spec.get("allow_flipped_pixels", 0))
    if allowed and DEPTH in answers:
        flipped = _flipped(seen[DEPTH], expected[DEPTH], near, far, seen["mid.buckets"])
        if 0 < float(flipped.float().mean()) <= allowed:
            _take_over(seen, expected, flipped, inputs[INDEX])
    return seen, expected


def _flipped(ours: Tensor, recorded: Tensor, near: Tensor, far: Tensor, buckets: Tensor) -> Tensor:
    """Return [B, N] bool: the Gaussians, in their order, whose bucket is another one than recorded."""
    limits = (near[:, :, None, None, None, None], far[:, :, None, None, None, None])
    shift = relative_disparity_from_depth(ours, *limits) - relative_disparity_from_depth(recorded, *limits)
    return (shift.abs() * buckets > SAME_BUCKET).flatten(1)


def _take_over(seen: dict[str, Tensor], expected: dict[str, Tensor], flipped: Tensor, index: Tensor) -> None:
    """Put the recorded values where a pixel flipped."""
    for name, answer in expected.items():
        if not name.startswith("out.") or name not in seen:
            continue
        mask = flipped[:, index] if name.endswith("_at_index") else flipped
        mask = mask.view(answer.shape) if name == DEPTH else mask
        seen[name] = torch.where(mask.view(*mask.shape, *[1] * (answer.ndim - mask.ndim)), answer, seen[name])


def tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the stated rule; clipped depths are compared as relative disparities."""
    rule = spec.get("tolerance_table", {}).get(tensor, {})
    if rule.get("compare") == "relative_disparity":
        return Tolerance(limit_abs=rule["limit_abs"])
    return tolerance_of(spec, tensor)


FAMILIES = (
    Family("pixelsplat", answer, is_answer, tolerance=tolerance, prepared=prepared, on_device=True),
    Family("full_pixelsplat", answer_full, is_answer, tolerance=tolerance, prepared=prepared),
    Family("pixelsplat_gaussian_adapter", answer_adapter),
    Family("depth_buckets", answer_buckets),
    Family("epipolar_geometry", answer_rays),
)
