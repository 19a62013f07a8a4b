"""pixelSplat for one set of views, written out from the description of the released code, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from plain_maths import Weights, attend, batch_norm, gelu, layer_norm, linear, mlp, part
from scipy.special import sph_harm_y
from torch import Tensor

TINY = 1e-10
EDGE = 1e-6
FLOAT32_EPS = float(np.finfo(np.float32).eps)


def conv(w: Weights, key: str, x: Tensor, stride: int = 1, pad: int = 0) -> Tensor:
    """Convolve [C, H, W]."""
    return F.conv2d(x[None], w[f"{key}.weight"], w.get(f"{key}.bias"), stride, pad)[0]


def transposed(w: Weights, key: str, x: Tensor) -> Tensor:
    """Spread every cell of [C, h, w] over its own square of pixels."""
    kernel = w[f"{key}.weight"]
    out = torch.einsum("chw,cokl->ohkwl", x, kernel)
    return out.reshape(kernel.shape[1], x.shape[1] * kernel.shape[2], -1) + w[f"{key}.bias"][:, None, None]


def resnet(w: Weights, image: Tensor) -> Tensor:
    """Return the projected, resized and summed levels [D, H, W]."""
    m = part(w, "model.")
    x = batch_norm(m, "bn1", conv(m, "conv1", image, 2, 3), 1e-5, 0).relu()
    levels = [x]
    for layer, stride in ((1, 1), (2, 2), (3, 2)):
        block = 0
        while f"layer{layer}.{block}.conv1.weight" in m:
            b = part(m, f"layer{layer}.{block}.")
            step = stride if block == 0 else 1
            y = batch_norm(b, "bn1", conv(b, "conv1", x), 1e-5, 0).relu()
            y = batch_norm(b, "bn2", conv(b, "conv2", y, step, 1), 1e-5, 0).relu()
            y = batch_norm(b, "bn3", conv(b, "conv3", y), 1e-5, 0)
            if "downsample.0.weight" in b:
                x = batch_norm(b, "downsample.1", conv(b, "downsample.0", x, step), 1e-5, 0)
            x, block = (x + y).relu(), block + 1
        levels.append(x)
    total = torch.zeros(1, dtype=torch.float64)
    for i, level in enumerate(levels):
        level = conv(w, f"projections.layer{i}", level)
        rows, columns = (corner_weights(level.shape[1 + a], image.shape[1 + a]) for a in (0, 1))
        total = total + torch.einsum("yi,cij,xj->cyx", rows, level, columns)
    return total


def corner_weights(size: int, out: int) -> Tensor:
    """Return [out, size]: linear interpolation with the outermost samples on the outermost samples."""
    W = torch.zeros(out, size, dtype=torch.float64)
    for i in range(out):
        at = i * (size - 1) / (out - 1) if out > 1 else 0.0
        low = min(int(at), size - 1)
        high = min(low + 1, size - 1)
        W[i, low] += 1 - (at - low)
        W[i, high] += at - low
    return W


def cubic_weights(size: int, out: int, scale: float) -> Tensor:
    """Return [out, size]: Keys' kernel with -0.75, source (i + 0.5) / scale - 0.5, borders repeated."""
    a = -0.75

    def kernel(t: float) -> float:
        t = abs(t)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0

    W = torch.zeros(out, size, dtype=torch.float64)
    for i in range(out):
        at = (i + 0.5) / scale - 0.5
        for tap in range(math.floor(at) - 1, math.floor(at) + 3):
            W[i, min(max(tap, 0), size - 1)] += kernel(at - tap)
    return W


def dino(w: Weights, image: Tensor, heads: int, patch: int) -> Tensor:
    """Return the tokens [1 + N, dim] after the last norm."""
    cells = conv(w, "patch_embed.proj", image, patch)
    h, width = cells.shape[1:]
    grid = math.isqrt(w["pos_embed"].shape[1] - 1)
    square = w["pos_embed"][0, 1:].view(grid, grid, -1)
    if not h == width == grid:
        rows, columns = (cubic_weights(grid, n, (n + 0.1) / grid) for n in (h, width))
        square = torch.einsum("yi,ijc,xj->yxc", rows, square, columns)
    x = torch.cat((w["cls_token"][0] + w["pos_embed"][0, :1], cells.flatten(1).T + square.flatten(0, 1)))
    block = 0
    while f"blocks.{block}.norm1.weight" in w:
        b = part(w, f"blocks.{block}.")
        q, k, v = linear(b, "attn.qkv", layer_norm(b, "norm1", x, 1e-6)).chunk(3, 1)
        x = x + linear(b, "attn.proj", attend(q, k, v, heads))
        x = x + mlp(b, "mlp", layer_norm(b, "norm2", x, 1e-6))
        block += 1
    return layer_norm(w, "norm", x, 1e-6)


def backbone(w: Weights, image: Tensor, s: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the ResNet's part, the tokens, and the sum of both [D, H, W]."""
    own, tokens = (
        resnet(part(w, "resnet_backbone."), image),
        dino(part(w, "dino."), image, s["dino_heads"], s["dino_patch"]),
    )
    whole, local = (
        linear(w, f"{name}.2", linear(w, f"{name}.0", x).relu())
        for name, x in (("global_token_mlp", tokens[:1]), ("local_token_mlp", tokens[1:]))
    )
    h, width = image.shape[1] // s["dino_patch"], image.shape[2] // s["dino_patch"]
    spread = (
        local.T.reshape(-1, h, width).repeat_interleave(s["dino_patch"], 1).repeat_interleave(s["dino_patch"], 2)
    )
    return own, tokens, own + whole[0][:, None, None] + spread


def ray(xy: Tensor, T: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Return origin and unit direction of one ray."""
    local = torch.linalg.solve(K, torch.cat((xy, xy.new_ones(1))))
    return T[:3, 3], T[:3, :3] @ (local / local.norm())


def projected(point: Tensor, K: Tensor) -> Tensor:
    return (K @ (point / (point[2] + FLOAT32_EPS)))[:2]


def inside(xy: Tensor) -> bool:
    return bool(((xy >= -EDGE) & (xy <= 1 + EDGE)).all())


def clipped(origin: Tensor, direction: Tensor, T: Tensor, K: Tensor, near: float, far: float) -> Any:
    """Return both ends of what a camera sees of a ray, image positions; None where it sees nothing."""
    E = torch.linalg.inv(T)
    o, d = E[:3, :3] @ origin + E[:3, 3], E[:3, :3] @ direction
    crossings = []
    for axis in (0, 1):
        for value in (0.0, 1.0):
            c = (value - K[axis, 2]) / K[axis, axis]
            below = d[axis] - c * d[2]
            if below == 0:
                continue
            t = float((c * o[2] - o[axis]) / below)
            point = o + t * d
            xy = projected(point, K)
            xy[axis] = value
            if inside(xy) and t > -EDGE and point[2] > -EDGE:
                crossings.append((t, xy))
    ends = []
    for t, pick in ((near, min), (far, max)):
        point = o + t * d
        xy = projected(point, K)
        if inside(xy) and point[2] > -EDGE:
            ends.append(xy)
        elif crossings:
            ends.append(pick(crossings, key=lambda found: found[0])[1])
        else:
            return None
    return ends


def met(origin: Tensor, direction: Tensor, other: Tensor, towards: Tensor) -> float:
    """Return the distance from `origin` of the point nearest to two rays."""
    if float(direction @ towards) > 1 - 1e-5:
        return float((1e10 - origin).norm())
    I = torch.eye(3, dtype=torch.float64)  # noqa: E741
    A, B = torch.outer(direction, direction) - I, torch.outer(towards, towards) - I
    return float((torch.linalg.solve(A + B, A @ origin + B @ other) - origin).norm())


def bilinear(image: Tensor, xy: Tensor) -> Tensor:
    """Return [C] at a normalised position; beyond the border are zeros."""
    _, H, W = image.shape
    x, y = float(xy[0]) * W - 0.5, float(xy[1]) * H - 0.5
    out = torch.zeros(len(image), dtype=torch.float64)
    for i in (math.floor(y), math.floor(y) + 1):
        for j in (math.floor(x), math.floor(x) + 1):
            if 0 <= i < H and 0 <= j < W:
                out = out + image[:, i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return out


def code(values: Tensor, octaves: int) -> Tensor:
    """Return sines and cosines of [.., D]: (number, octave, phase)."""
    angles = values[..., None] * 2 * math.pi * 2.0 ** torch.arange(octaves, dtype=torch.float64)
    return torch.stack((angles.sin(), angles.cos()), -1).flatten(-3)


def centres(height: int, width: int) -> Tensor:
    """Return the cells' centres [height * width, 2] as (x, y)."""
    return torch.tensor(
        [[(x + 0.5) / width, (y + 0.5) / height] for y in range(height) for x in range(width)]
    ).double()


def image_attention(w: Weights, x: Tensor, s: Mapping[str, Any]) -> Tensor:
    """Attend within a map [C, h, w] on patches."""
    patches = conv(w, "patch_embedder.0", x, s["patch_size"]).relu()
    h, width = patches.shape[1:]
    tokens = patches.flatten(1).T + linear(w, "positional_encoding.1", code(centres(h, width), s["sa_octaves"]))
    for layer in range(s["sa_layers"]):
        a, f = (part(w, f"transformer.layers.{layer}.{i}.") for i in (0, 1))
        q, k, v = linear(a, "fn.to_qkv", layer_norm(a, "norm", tokens, 1e-5)).chunk(3, 1)
        tokens = tokens + linear(a, "fn.to_out.0", attend(q, k, v, s["sa_heads"]))
        hidden = gelu(linear(f, "fn.net.0", layer_norm(f, "norm", tokens, 1e-5)))
        tokens = tokens + linear(f, "fn.net.3", hidden)
    return transposed(w, "resampler", tokens.T.reshape(-1, h, width))


def relative_disparity(depth: Tensor, near: float, far: float) -> Tensor:
    return 1 - (1 / (depth + TINY) - 1 / (far + TINY)) / (1 / (near + TINY) - 1 / (far + TINY) + TINY)


def epipolar(
    w: Weights, features: list[Tensor], cams: Any, s: Mapping[str, Any], order: Tensor | None
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return [C, H, W] per view, and the samples."""
    T, K, near, far = cams
    views, (_, h, width) = len(features), features[0].shape
    steps = [(k + 0.5) / s["num_samples"] for k in range(s["num_samples"])]
    rays = centres(h, width)
    xs, seen_all = [], {"valid": [], "xy": [], "features": [], "depth": []}  # type: ignore[var-annotated]
    for v in range(views):
        found = {key: [] for key in seen_all}  # type: ignore[var-annotated]
        keys = []
        for rank, o in enumerate(other for other in range(views) if other != v):
            rows = {key: [] for key in seen_all}  # type: ignore[var-annotated]
            for xy in rays:
                origin, direction = ray(xy, T[v], K[v])
                ends = clipped(origin, direction, T[o], K[o], near[v], far[v])
                a, b = (torch.zeros(2).double(),) * 2 if ends is None else ends
                places = torch.stack([a + (b - a) * step for step in steps])
                taken = torch.stack([bilinear(features[o], p) * (ends is not None) for p in places])
                meet = [met(origin, direction, *ray(p, T[o], K[o])) for p in places]
                depth = torch.tensor(meet).double().clamp(near[v], far[v])
                for key, value in zip(rows, (torch.tensor(ends is not None), places, taken, depth), strict=True):
                    rows[key].append(value)
            for key in rows:
                found[key].append(torch.stack(rows[key]))
            coded = code(relative_disparity(found["depth"][-1], near[v], far[v])[..., None], s["num_octaves"])
            sample = found["features"][-1] + linear(w, "depth_encoding.1", coded)
            if order is not None:
                sample = sample + w["view_embeddings.weight"][order[rank]]
            keys.append(sample)
        memory = torch.cat(keys, 1)  # [rays, samples of all views, C]
        x = features[v].flatten(1).T
        for layer in range(s["ep_layers"]):
            a, f = (part(w, f"transformer.layers.{layer}.{i}.") for i in (0, 1))
            q = linear(a, "fn.to_q", layer_norm(a, "norm", x, 1e-5))
            k, value = linear(a, "fn.to_kv", memory).chunk(2, -1)
            mixed = torch.cat([attend(q[i : i + 1], k[i], value[i], s["heads"]) for i in range(len(x))])
            x = x + linear(a, "fn.to_out.0", mixed)
            y = layer_norm(f, "norm", x, 1e-5).T.reshape(-1, h, width)
            y = image_attention(part(f, "fn.self_attention."), y, s) + y
            x = x + y.flatten(1).T
        fine = transposed(w, "upscaler", x.T.reshape(-1, h, width))
        refined = conv(w, "upscale_refinement.2", gelu(conv(w, "upscale_refinement.0", fine, 1, 3)), 1, 3)
        xs.append(fine + refined)
        for key in seen_all:
            seen_all[key].append(torch.stack(found[key]))
    return xs, {key: torch.stack(value) for key, value in seen_all.items()}


def harmonics(directions: Tensor, degree: int) -> list[Tensor]:
    """Return the orthonormal real harmonics without Condon-Shortley sign at (z, x, y), per degree [N, 2 l + 1]."""
    y, z, x = directions.numpy().T  # the standard basis' x is our z, its y our x, its polar axis our y
    theta, phi = np.arccos(np.clip(z, -1, 1)), np.arctan2(y, x)
    out = []
    for level in range(degree + 1):
        rows = []
        for m in range(-level, level + 1):
            value = sph_harm_y(level, abs(m), theta, phi) * (-1) ** m
            rows.append(value.real if m == 0 else math.sqrt(2) * (value.real if m > 0 else value.imag))
        out.append(torch.from_numpy(np.stack(rows, -1)))
    return out


def turned(coefficients: Tensor, R: Tensor) -> Tensor:
    """Turn coefficients [.., (L + 1)^2] with the matrices that turn the harmonics, found by least squares."""
    degree = math.isqrt(coefficients.shape[-1]) - 1
    d = torch.nn.functional.normalize(
        torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).double(), dim=1
    )
    parts = []
    for level, (old, new) in enumerate(zip(harmonics(d, degree), harmonics(d @ R.T, degree), strict=True)):
        D = torch.linalg.lstsq(old, new).solution.T
        parts.append(coefficients[..., level * level : (level + 1) ** 2] @ D.T)
    return torch.cat(parts, -1)


def gaussians(
    w: Weights, pixels: Tensor, T: Tensor, K: Tensor, near: float, far: float, size: tuple[int, int],
    s: Mapping[str, Any], uniform: Tensor | None,
) -> dict[str, Tensor]:  # fmt: skip
    """Return what one view's pixels [N, C] give, per pixel and sample."""
    buckets = s["buckets"]
    raw = linear(w, "depth_predictor.projection.1", pixels.relu()).view(len(pixels), buckets, 2)
    pdf, offset = raw[..., 0].softmax(-1), raw[..., 1].sigmoid()
    if uniform is None:
        index = pdf.argmax(-1, keepdim=True)
    else:
        cdf = (pdf / (FLOAT32_EPS + pdf.sum(-1, keepdim=True))).cumsum(-1)
        index = (cdf[:, None] <= uniform.view(len(pixels), -1, 1)).sum(-1).clamp(max=buckets - 1)
    r = (index + offset.gather(1, index)) / buckets
    depth = 1 / ((1 - r) * (1 / (near + TINY) - 1 / (far + TINY)) + 1 / (far + TINY) + TINY)
    raw = linear(w, "to_gaussians.1", pixels.relu())
    h, width = size
    xy = centres(h, width) + (raw[:, :2].sigmoid() - 0.5) / torch.tensor([width, h]).double()
    rays = [ray(p, T, K) for p in xy]
    direction = torch.stack([d for _, d in rays])
    m = 0.1 * float((torch.linalg.inv(K[:2, :2]) @ torch.tensor([1 / width, 1 / h]).double()).sum())
    scale = s["scale_min"] + (s["scale_max"] - s["scale_min"]) * raw[:, 2:5].sigmoid()
    scales = scale[:, None] * depth[..., None] * m
    x, y, z, c = (raw[:, 5:9] / (raw[:, 5:9].norm(dim=1, keepdim=True) + 1e-8)).unbind(1)
    R = torch.stack(
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * c), 2 * (x * z + y * c), 2 * (x * y + z * c),
         1 - 2 * (x * x + z * z), 2 * (y * z - x * c), 2 * (x * z - y * c), 2 * (y * z + x * c),
         1 - 2 * (x * x + y * y)], -1,
    ).view(-1, 3, 3)  # fmt: skip
    R = T[:3, :3] @ R
    covariance = torch.einsum("nij,ngj,nkj->ngik", R, scales**2, R)
    sh = raw[:, 9:].view(len(pixels), 3, -1)
    mask = torch.tensor([1.0 if k == 0 else 0.1 * 0.25 ** math.isqrt(k) for k in range(sh.shape[-1])]).double()
    sh = turned(sh * mask, T[:3, :3])[:, None].expand(-1, depth.shape[1], -1, -1)
    return {
        "index": index,
        "depth": depth,
        "opacities": pdf.gather(1, index) / s["gpp"],
        "means": T[:3, 3] + direction[:, None] * depth[..., None],
        "scales": scales,
        "covariances": covariance,
        "harmonics": sh,
    }


def pixelsplat(
    weights: Weights, s: Mapping[str, Any], images: Tensor, cams: Any, uniform: Tensor | None, order: Tensor | None
) -> dict[str, Tensor]:
    """Return the recorded tensors of one set of views, without the batch axis; `out.*` per flattened Gaussian."""
    w = {k: v.double() for k, v in weights.items()}
    T, K, near, far = cams
    views, size = len(images), (images.shape[2], images.shape[3])
    parts = [backbone(part(w, "backbone."), image, s) for image in images]
    own = part(w, "epipolar_transformer.")
    features = []
    for _, _, joined in parts:
        projected_ = linear(w, "backbone_projection.1", joined.relu().movedim(0, -1)).movedim(-1, 0)
        features.append(conv(own, "downscaler", projected_, s["downscale"]))
    maps, seen = epipolar(own, features, cams, s, order)
    found = []
    for v in range(views):
        pixels = maps[v] + conv(w, "high_resolution_skip.0", images[v], 1, 3).relu()
        u = None if uniform is None else uniform[v]
        found.append(gaussians(w, pixels.flatten(1).T, T[v], K[v], near[v], far[v], size, s, u))
    flat = {key: torch.stack([f[key] for f in found]) for key in found[0]}
    out = {
        "mid.resnet": parts[0][0][None, :4],
        "mid.dino_tokens_view0": parts[0][1],
        "mid.backbone_view0": parts[0][2],
        "mid.epipolar.valid": seen["valid"],
        "mid.epipolar.xy_sample": seen["xy"],
        "mid.epipolar.features_every3": seen["features"][:, :, ::3],
        "mid.epipolar.depth_clamped": seen["depth"],
        "mid.epipolar_out_view1": maps[1],
        "out.depth": flat["depth"].unflatten(1, size)[..., None, :],
        "out.opacities": flat["opacities"].flatten(),
    }
    if uniform is not None:
        out["mid.bucket_index"] = flat["index"][:, :, None]
    names = ("means", "scales", "covariances", "harmonics")
    return out | {f"rows.{name}": flat[name].flatten(0, 2) for name in names}
