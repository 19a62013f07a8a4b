"""NoPoSplat for one set of views, written out from the description of the released code, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from plain_dust3r import (
    EPS,
    as_map,
    conv,
    decoder_block,
    fused_paths,
    patches,
    upsampled,
    vit_block,
)
from plain_maths import Weights, layer_norm, linear, part
from torch import Tensor

from lsm_core.sh import sh_basis

Views = Sequence[Tensor]
BASE = 100.0
NAMES = [(f"act_postprocess.{k}.0", f"act_postprocess.{k}.1") for k in range(4)]


def noposplat(w: Weights, config: Mapping[str, Any], images: Views, K: Views) -> dict[str, Any]:
    """Run views [3, H, W] in [-1, 1] with normalised K [3, 3]; return what the fixtures record, without a batch."""
    backbone, mode = part(w, "backbone."), config["intrinsics_embed"]
    tokens, places, grids, cameras, beside = [], [], [], [], []
    for image, k in zip(images, K, strict=True):
        seen = image
        if mode == "pixelwise in encoder":
            channels = backbone["patch_embed.proj.weight"].shape[1] - 3
            seen = torch.cat((image, rays(k, image.shape[1], image.shape[2], channels)))
        x, grid = patches(backbone, "patch_embed.proj", seen)
        positions = [(y, c) for y in range(grid[0]) for c in range(grid[1])]
        if not mode.startswith("pixelwise"):
            cameras.append(linear(backbone, "intrinsic_encoder", k.reshape(9)))
        if mode.startswith("token"):
            x, positions = torch.cat((x, cameras[-1][None])), [*positions, (grid[0], 0)]
        if mode.startswith("linear"):
            x = x + cameras[-1]
        if mode == "pixelwise in decoder":
            channels = backbone["decoder_embed.weight"].shape[1] - x.shape[1]
            beside.append(rays(k, *grid, channels).flatten(1).T)
        for i in range(config["enc_depth"]):
            x = vit_block(backbone, f"enc_blocks.{i}", x, config["enc_num_heads"], positions, BASE)
        tokens.append(layer_norm(backbone, "enc_norm", x, EPS))
        places.append(positions)
        grids.append(grid)
    lists = decoded(backbone, config, tokens, places, beside)
    lists = [[x[: grid[0] * grid[1]] for x in own] for own, grid in zip(lists, grids, strict=True)]
    out: dict[str, Any] = {"mid.intrinsic_token": torch.stack(cameras)} if mode.startswith("token") else {}
    depth, rows = config["dec_depth"], []
    for i, hook in enumerate((0, depth // 2, depth * 3 // 4, depth)):
        out[f"mid.hook{i}"] = torch.stack([own[hook] for own in lists])
    for v, image in enumerate(images):
        points, row = head_outputs(w, config, v, lists[v], grids[v], image)
        out[f"mid.pts3d_{v}"] = points
        rows.append(row)
    return out | {key: torch.cat([row[key] for row in rows]) for key in rows[0]}


def rays(k: Tensor, height: int, width: int, channels: int) -> Tensor:
    """Return the directions through the pixel centres, [channels, height, width]: 3, or their harmonics."""
    out = torch.zeros(channels, height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            place = torch.tensor([(x + 0.5) / width, (y + 0.5) / height, 1.0], dtype=torch.float64)
            ray = torch.linalg.solve(k, place)
            ray = ray / ray.norm()
            out[:, y, x] = ray if channels == 3 else sh_basis(ray, math.isqrt(channels) - 1)
    return out


def decoded(w: Weights, config: Mapping[str, Any], tokens: Views, places: Any, beside: Views) -> list[list[Tensor]]:
    """Return the token lists: each layer of a view reads all other views' layer before."""
    lists = [[x] for x in tokens]
    inputs = [torch.cat(both, 1) for both in zip(tokens, beside, strict=True)] if beside else tokens
    now = [linear(w, "decoder_embed", x) for x in inputs]
    views = range(len(tokens))
    for i in range(config["dec_depth"]):
        before = now
        now = []
        for v in views:
            key = f"dec_blocks.{i}" if v == 0 else f"dec_blocks2.{i}"
            memory = torch.cat([before[u] for u in views if u != v])
            seen = [place for u in views if u != v for place in places[u]]
            now.append(decoder_block(w, key, before[v], memory, config["dec_num_heads"], places[v], seen, BASE))
        for v in views:
            lists[v].append(now[v])
    for own in lists:
        own[-1] = layer_norm(w, "dec_norm", own[-1], EPS)
    return lists


def head_outputs(
    w: Weights, config: Mapping[str, Any], view: int, tokens: Sequence[Tensor], grid: tuple[int, int], image: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return points [H, W, 3] and a view's Gaussians, one per row."""
    depth = len(tokens) - 1
    maps = [as_map(tokens[i], grid) for i in (0, depth // 2, depth * 3 // 4, depth)]
    c = part(w, "downstream_head1.dpt." if view == 0 else "downstream_head2.dpt.")
    x = upsampled(conv(c, "head.0", fused_paths(c, maps, NAMES)[-1], padding=1))
    vector = conv(c, "head.4", conv(c, "head.2", x, padding=1).clamp(min=0)).permute(1, 2, 0)
    length = vector.square().sum(-1, keepdim=True).sqrt()
    points = vector / length * (length.exp() - 1)
    g = part(w, "gaussian_param_head.dpt." if view == 0 else "gaussian_param_head2.dpt.")
    x = upsampled(fused_paths(g, maps, NAMES)[-1]) + conv(g, "input_merger.0", image, padding=3).clamp(min=0)
    raw = conv(g, "head.4", conv(g, "head.0", x, padding=1).clamp(min=0)).flatten(1).T
    return points, {"out.means": points.reshape(-1, 3), **gaussians(raw, config["sh_degree"])}


def gaussians(raw: Tensor, degree: int) -> dict[str, Tensor]:
    """Return what rows of raw numbers [N, 8 + 3 K] mean."""
    count = (degree + 1) ** 2
    scales = (0.001 * (1 + raw[:, 1:4].exp()).log()).clamp(max=0.3)
    q = raw[:, 4:8] / (raw[:, 4:8].square().sum(1, keepdim=True).sqrt() + 1e-8)
    sh = raw[:, 8:].reshape(-1, 3, count).clone()
    for k in range(count):
        level = math.isqrt(k)
        sh[..., k] *= 1.0 if level == 0 else 0.1 * 0.25**level
    R = torch.stack([rotation(row) for row in q])
    half = R * scales[:, None]
    return {
        "out.opacities": 1 / (1 + (-raw[:, 0]).exp()),
        "out.scales": scales,
        "out.rotations": q,
        "out.covariances": half @ half.transpose(1, 2),
        "out.harmonics": sh,
    }


def rotation(q: Tensor) -> Tensor:
    """Return [3, 3] of a quaternion x, y, z, w: v + 2 w (u x v) + 2 u x (u x v) for each axis v."""
    u, w = q[:3], q[3]
    axes = torch.eye(3, dtype=q.dtype)
    once = torch.linalg.cross(u.expand(3, 3), axes)
    twice = torch.linalg.cross(u.expand(3, 3), once)
    return (axes + (2 * w * once + 2 * twice) / (q.square().sum() + 1e-8)).T
