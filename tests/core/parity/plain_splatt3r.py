"""MASt3R and Splatt3R for one pair at a time, written out from the description of the released code, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from plain_dust3r import dpt_raw, dust3r
from plain_maths import Weights, mlp, part
from torch import Tensor

POINTS = ("pts3d", "pts3d_in_other_view")
MEANS = ("means", "means_in_other_view")


def dust3r_names(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fixture's sizes under the names of DUSt3R's fixtures."""
    return dict(stated) | {f"dpt_{name}": stated[name] for name in ("layer_dims", "feature_dim", "last_dim")}


def squashed(x: Tensor, mode: Sequence[Any]) -> Tensor:
    """Return a confidence of raw values."""
    kind, low, high = mode[0], float(mode[1]), float(mode[2])
    return low + x.exp() if kind == "exp" else low + (high - low) / (1 + (-x).exp())


def mast3r(w: Weights, stated: Mapping[str, Any], images: Sequence[Tensor]) -> dict[str, Tensor]:
    """Run a pair of images [3, H, W]; return what the fixtures record, without the batch axis."""
    found = dust3r(w, dust3r_names(stated), images)
    depth, out = stated["dec_depth"], dict[str, Tensor]()
    out |= {f"mid.enc{v}": found[f"feat{v}"] for v in (1, 2)}
    for v in (0, 1):
        grid = (images[v].shape[1] // 16, images[v].shape[2] // 16)
        layers = [found[f"feat{v + 1}"], *(found[f"dec{v + 1}.{i}"] for i in range(1, depth + 1))]
        hooks = (0, depth // 2, depth * 3 // 4, depth)
        out |= {f"mid.hook{i}_{v + 1}": layers[h] for i, h in enumerate(hooks)}
        prefix = f"out.view{v + 1}."
        out[prefix + POINTS[v]] = found[("pts3d_1", "pts3d_in_other_view_2")[v]]
        out[f"{prefix}conf"] = squashed(found[f"head{v + 1}_raw"][3], stated["conf_mode"])
        raw = described(part(w, f"downstream_head{v + 1}."), layers, grid)
        vectors = raw[..., : stated["desc_dim"]]
        out[f"{prefix}desc"] = vectors / vectors.square().sum(-1, keepdim=True).sqrt()
        own = stated["two_confs"]
        mode = stated["desc_conf_mode"] if isinstance(stated["desc_conf_mode"], list) else stated["conf_mode"]
        out[f"{prefix}desc_conf"] = squashed(raw[..., -1], mode) if own else out[f"{prefix}conf"]
    return out


def described(w: Weights, layers: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
    """Return raw local features [H, W, channels]: value c * 256 + r * 16 + s of a token is (r, s) of channel c."""
    values = mlp(w, "head_local_features", torch.cat((layers[0], layers[-1]), 1))
    h, width = grid
    patches = values.view(h, width, -1, 16, 16)
    out = torch.zeros(h * 16, width * 16, patches.shape[2], dtype=values.dtype)
    for y in range(h):
        for x in range(width):
            out[y * 16 : (y + 1) * 16, x * 16 : (x + 1) * 16] = patches[y, x].permute(1, 2, 0)
    return out


def splatt3r(w: Weights, stated: Mapping[str, Any], colours: Sequence[Tensor]) -> dict[str, Tensor]:
    """Run a pair of images [3, H, W] in [0, 1]; return what the fixtures record, without the batch axis."""
    images = [(c - 0.5) / 0.5 for c in colours]
    out, d = mast3r(w, stated, images), stated["sh_degree"]
    depth = stated["dec_depth"]
    found = dust3r(w, dust3r_names(stated), images)
    for v in (0, 1):
        layers = [found[f"feat{v + 1}"], *(found[f"dec{v + 1}.{i}"] for i in range(1, depth + 1))]
        grid = (images[v].shape[1] // 16, images[v].shape[2] // 16)
        raw = dpt_raw(part(w, f"downstream_head{v + 1}.gaussian_dpt.dpt."), layers, grid)
        out[f"mid.gaussian_dpt{v + 1}"] = raw
        prefix = f"out.view{v + 1}."
        values = raw.permute(1, 2, 0)
        o, s, q, sh, opacity = values.split((3, 3, 4, 3 * d, 1), -1)
        length = o.square().sum(-1, keepdim=True).sqrt()
        shift = stated["offset_shift"]
        offset = o / length.clamp(min=1e-8) * ((length - shift).exp() - math.exp(-shift))
        means = out[prefix + POINTS[v]] + (offset if stated["use_offsets"] else 0)
        scales, xyzw = s.exp(), q / (q.square().sum(-1, keepdim=True).sqrt() + 1e-8)
        coefficients = sh.reshape(*sh.shape[:2], 3, d).clone()
        coefficients[..., 0] += (colours[v].permute(1, 2, 0) - 0.5) / 0.28209479177387814
        R = turned(xyzw)
        out |= {
            prefix + MEANS[v]: means,
            f"{prefix}scales": scales,
            f"{prefix}rotations": xyzw,
            f"{prefix}sh": coefficients,
            f"{prefix}opacities": 1 / (1 + (-opacity).exp()),
            f"{prefix}covariances": R @ torch.diag_embed(scales.square()) @ R.transpose(-1, -2),
        }
    return out


def turned(xyzw: Tensor) -> Tensor:
    """Return rotation matrices of quaternions: p -> q p q*, applied to the axes."""
    x, y, z, w = xyzw.unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, -1).view(*x.shape, 3, 3)
